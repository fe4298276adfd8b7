"""Which way a title is read."""

import pytest

from chatplay.ui.history_rows import is_right_to_left


@pytest.mark.parametrize("title", ["مرحبا", "שלום world", "12 عنوان", "😀 مرحبا"])
def test_first_letter_from_the_right_makes_a_title_right_to_left(title):
    assert is_right_to_left(title)


@pytest.mark.parametrize("title", ["", "Hello", "hello مرحبا", "12 + 3", "😀"])
def test_other_titles_are_left_to_right(title):
    assert not is_right_to_left(title)
