"""Cells of files that spreadsheets open: no formula begins, and numbers stay numbers."""

import pytest

from chatplay.sheets import safe_cell


@pytest.mark.parametrize("text", ["-0.5", "-1", "+1e-05", "-1, 0, 1", "plain", "", "1-1"])
def test_numbers_and_plain_words_stay_as_they_are(text):
    assert safe_cell(text) == text


@pytest.mark.parametrize(
    "text", ["-1+cmd|' /C calc'!A0", "-inf", "-nan", "-", "+A1", "-1, =1+1", "-1, A1", "=1", "@x", "－1", "\t=1"]
)
def test_what_could_begin_a_formula_is_guarded(text):
    assert safe_cell(text) == f"'{text}"
