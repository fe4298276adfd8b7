"""Word differences: complete, in words, and quick for long answers."""

from hypothesis import given
from hypothesis import strategies as st

from chatplay.diffs import Piece, same_share, word_diff

TEXTS = st.lists(st.sampled_from(["one", "two", "three", " ", "  ", "\n", ".", "中", "文", "é"]), max_size=30).map(
    "".join
)


def sides(pieces):
    left = "".join(piece.text for piece in pieces if piece.kind != "added")
    right = "".join(piece.text for piece in pieces if piece.kind != "removed")
    return left, right


def test_a_changed_word_is_the_only_change():
    assert word_diff("the quick fox", "the slow fox") == (
        Piece("same", "the "),
        Piece("removed", "quick"),
        Piece("added", "slow"),
        Piece("same", " fox"),
    )


def test_neighbouring_changed_words_are_one_change():
    assert [piece.text for piece in word_diff("a b c d", "a x y d")] == ["a ", "b c", "x y", " d"]


def test_another_space_between_equal_words_is_a_change_of_space():
    assert word_diff("a b", "a\nb") == (
        Piece("same", "a"),
        Piece("removed", " "),
        Piece("added", "\n"),
        Piece("same", "b"),
    )


def test_scripts_without_spaces_are_compared_letter_by_letter():
    assert [piece.kind for piece in word_diff("我喜欢茶", "我喜欢水")] == ["same", "removed", "added"]


def test_long_texts_keep_equal_lines_and_compare_words_between_them():
    lines = [f"line number {number} of the text" for number in range(2_000)]
    pieces = word_diff("\n".join(lines), "\n".join([*lines[:900], "line number x of the text", *lines[901:]]))
    assert [piece.text for piece in pieces if piece.kind != "same"] == ["900", "x"]


def test_same_share_counts_characters_of_both():
    assert same_share(word_diff("ab cd", "ab xy")) == 0.6
    assert same_share(word_diff("", "")) is None


@given(TEXTS | st.text(), TEXTS | st.text())
def test_pieces_joined_are_the_texts(left, right):
    assert sides(word_diff(left, right)) == (left, right)


@given(TEXTS)
def test_equal_texts_have_one_piece(text):
    assert word_diff(text, text) == ((Piece("same", text),) if text else ())
