"""Messages of ours on a page: code spans are drawn, nothing else in them acts."""

import pytest

from chatplay.ui.markdown import message_markdown


def test_code_spans_are_kept():
    assert message_markdown("`qwen2-7b` is down") == "`qwen2-7b` is down"


@pytest.mark.parametrize("hostile", ["![x](http://e/)", "**b**", "<b>", "$x$", "a`b", "[x](http://e/)"])
def test_everything_else_shows_as_written(hostile):
    shown = message_markdown(hostile).replace(":color[:]", ":")
    assert shown != hostile
    assert shown.replace("\\", "") == hostile


def test_directive_in_a_message_is_parted():
    assert ":material" not in message_markdown(":material/home:")


def test_two_backticks_are_no_code_span():
    assert "\\`\\`" in message_markdown("``a``")
