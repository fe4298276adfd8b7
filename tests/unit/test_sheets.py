"""Cells of files that spreadsheets open: no formula begins, and numbers stay numbers."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from chatplay.sheets import BOM, csv_lines, safe_cell
from chatplay.ui.files import _csv


@pytest.mark.parametrize("text", ["-0.5", "-1", "+1e-05", "-1, 0, 1", "plain", "", "1-1"])
def test_numbers_and_plain_words_stay_as_they_are(text):
    assert safe_cell(text) == text


@pytest.mark.parametrize(
    "text", ["-1+cmd|' /C calc'!A0", "-inf", "-nan", "-", "+A1", "-1, =1+1", "-1, A1", "=1", "@x", "－1", "\t=1"]
)
def test_what_could_begin_a_formula_is_guarded(text):
    assert safe_cell(text) == f"'{text}"


def test_lines_say_each_kind_of_value_in_one_way():
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    row = ["=1", None, True, 0.1, np.float64(0.1), 3, at, {"a": [1]}]
    assert csv_lines([row]) == '\'=1,,true,0.1,0.1,3,2026-03-01T12:00:00+00:00,"{""a"": [1]}"\r\n'


def test_a_table_is_written_as_all_other_files_are():
    table = pd.DataFrame({"Model": ["=x", None], "Shown": [True, False], "ms": [1.25, np.nan], "n": [1, 2]})
    assert _csv(table).decode() == f"{BOM}Model,Shown,ms,n\r\n'=x,true,1.25,1\r\n,false,,2\r\n"
