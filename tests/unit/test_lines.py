"""Names and titles: one line, short enough, and what cannot be stored is named."""

import pytest

from chatplay.errors import BadInput
from chatplay.lines import checked_line


def test_line_is_kept_with_single_blanks():
    assert checked_line("  My\n first\t one ", what="title", limit=20) == "My first one"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (" \n ", "A name has 1 to 5 characters. Type one."),
        ("abcdef", "A name has 1 to 5 characters. Type a shorter one."),
        ("a\0b", "The name holds a NUL character at position 2. Remove it."),
        ("a\ud800", "half of a surrogate pair"),
    ],
)
def test_line_that_cannot_be_a_name_is_refused_with_the_cure(text, said):
    with pytest.raises(BadInput) as caught:
        checked_line(text, what="name", limit=5)
    assert said in str(caught.value)
    assert caught.value.param == "name"
