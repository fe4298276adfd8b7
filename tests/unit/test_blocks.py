"""Cutting a stream into blocks: the pieces are the text, and look like the whole."""

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatplay.ui.blocks import BlockCutter

RENDERER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("reference")

LINES = st.sampled_from(
    [
        "A paragraph of words.",
        "more of it",
        "",
        "",
        "- an item",
        "  - a deeper item",
        "  its second line",
        "* another list",
        "1. first",
        "2. second",
        "12",
        "   indented text",
        "    code by indent",
        "```python",
        "```",
        "~~~~",
        "| a | b |",
        "|---|:-:|",
        "| 1 | 2 |",
        "# A heading",
        "===",
        "---",
        "> a quote",
        "> - with an item",
        "[1]: https://example.org",
        "<div>",
        "**bold",
        "text** `code",
    ]
)
TEXTS = st.lists(LINES, max_size=25).map("\n".join)


def pieces_of(text, step, **options):
    cutter, pieces = BlockCutter(**options), []
    for at in range(0, len(text), step):
        if finished := cutter.feed(text[at : at + step]):
            pieces.append(finished)
    return [*pieces, cutter.live]


@given(TEXTS, st.integers(1, 40))
@example("1. a\n\n2. b\n\ntext\n\n3. c", 1)
@example("- a\n\n- b\n\n    deeper\n\ntext", 2)
@example("| a |\n|---|\n| b |\n\n```\n\n\n```\nend", 3)
def test_pieces_drawn_below_each_other_look_like_the_whole(text, step):
    pieces = pieces_of(text, step, min_chars=1, more_chars=0)
    assert "".join(pieces) == text
    assert "".join(RENDERER.render(piece) for piece in pieces) == RENDERER.render(text)


def test_finished_paragraphs_leave_the_live_part():
    paragraph = "word " * 100 + "\n\n"
    cutter = BlockCutter()
    finished = cutter.feed(paragraph + "The next")
    assert finished == paragraph
    assert cutter.live == "The next"


def test_open_fence_stays_whole_until_it_is_closed():
    cutter = BlockCutter(min_chars=1)
    code = "```python\n" + "x = 1\n\n" * 500
    assert cutter.feed(code) == ""
    assert cutter.feed("```\n") == ""
    assert cutter.feed("After it. " * 10) == code + "```\n"


def test_number_that_may_become_a_list_item_is_not_cut_off():
    cutter = BlockCutter(min_chars=1)
    assert cutter.feed("1. one\n\n2") == ""
    assert cutter.feed(". two\n\nA paragraph") == "1. one\n\n2. two\n\n"


def test_pieces_grow_so_that_a_long_answer_has_few_of_them():
    text = ("A sentence of some length stands here. " * 4 + "\n\n") * 400
    assert len(pieces_of(text, 40)) < 60


def test_long_live_part_is_drawn_less_often():
    cutter = BlockCutter()
    cutter.feed("```\n")
    quick = cutter.pause_sec
    cutter.feed("x = 1\n" * 2000)
    assert quick < 0.1
    assert 0.2 < cutter.pause_sec <= 0.5


def test_empty_lines_without_end_take_linear_work():
    cutter = BlockCutter()
    assert len(cutter.feed("word" + "\n" * 500_000 + "The next")) == 500_004
    assert cutter.live == "The next"


def test_code_is_a_piece_of_its_own_however_short():
    text = "Before it.\n\n```\nx\n```\nAfter it, more words come.\n"
    assert pieces_of(text, 1) == ["Before it.\n\n", "```\nx\n```\n", "After it, more words come.\n"]
