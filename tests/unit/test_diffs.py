"""Word differences: complete, in words, and quick for long answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay.diffs import Piece, word_diff

TEXTS = st.lists(st.sampled_from(["one", "two", "three", " ", "  ", "\n", ".", "中", "文", "é"]), max_size=30).map(
    "".join
)


def sides(pieces):
    left = "".join(piece.text for piece in pieces if piece.kind != "added")
    right = "".join(piece.text for piece in pieces if piece.kind != "removed")
    return left, right


def test_a_changed_word_is_the_only_change():
    assert word_diff("the quick fox", "the slow fox").pieces == (
        Piece("same", "the "),
        Piece("removed", "quick"),
        Piece("added", "slow"),
        Piece("same", " fox"),
    )


def test_neighbouring_changed_words_are_one_change():
    assert [piece.text for piece in word_diff("a b c d", "a x y d").pieces] == ["a ", "b c", "x y", " d"]


def test_another_space_between_equal_words_is_a_change_of_space():
    assert word_diff("a b", "a\nb").pieces == (
        Piece("same", "a"),
        Piece("removed", " "),
        Piece("added", "\n"),
        Piece("same", "b"),
    )


def test_scripts_without_spaces_are_compared_letter_by_letter():
    assert [piece.kind for piece in word_diff("我喜欢茶", "我喜欢水").pieces] == ["same", "removed", "added"]


def test_long_texts_keep_equal_lines_and_compare_words_between_them():
    lines = [f"line number {number} of the text" for number in range(2_000)]
    found = word_diff("\n".join(lines), "\n".join([*lines[:900], "line number x of the text", *lines[901:]]))
    assert [piece.text for piece in found.pieces if piece.kind != "same"] == ["900", "x"]
    assert not found.is_rough


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("one\n" + "a\n" * 30_000, "two\n" + "a\n" * 29_000 + "b\n"),
        (", ".join(f"{number}" for number in range(1_400)), ", ".join(f"n{number}" for number in range(1_400))),
    ],
)
def test_texts_that_repeat_themselves_take_bounded_work_and_say_that_they_are_rough(left, right):
    found = word_diff(left, right)
    assert found.is_rough
    assert sides(found.pieces) == (left, right)


def test_answer_that_loops_is_compared_exactly_where_both_begin_and_end_alike():
    loop = "again\n" * 30_000
    found = word_diff(loop + "end", loop + "and end")
    assert [piece.text for piece in found.pieces if piece.kind != "same"] == ["and "]
    assert not found.is_rough


def test_same_share_counts_characters_of_both():
    assert word_diff("ab cd", "ab xy").same_share == 0.6
    assert word_diff("", "").same_share is None


@given(TEXTS | st.text(), TEXTS | st.text())
def test_pieces_joined_are_the_texts(left, right):
    assert sides(word_diff(left, right).pieces) == (left, right)


@given(TEXTS)
def test_equal_texts_have_one_piece(text):
    assert word_diff(text, text).pieces == ((Piece("same", text),) if text else ())
