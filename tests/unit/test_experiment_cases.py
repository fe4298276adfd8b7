"""Cases from pasted text and files of all kinds; what is wrong is told with its row and column."""

import io
import json
import re
from datetime import date, datetime
from zipfile import ZipFile

import pytest
from openpyxl import Workbook

from chatplay.errors import BadInput
from chatplay.experiments import cases
from chatplay.experiments.cases import read_file, read_text
from tests.sheets import sheet


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"word,expected\nhi,there\n"),
        ("a.csv", b"\xef\xbb\xbfword,expected\r\nhi,there\r\n"),
        ("a.csv", "word,expected\nhi,there\n".encode("utf-16")),
        ("a.csv", b"word;expected\nhi;there\n"),
        ("a.tsv", b"word\texpected\nhi\tthere\n"),
        ("a.jsonl", b'{"word": "hi", "expected": "there"}\n'),
        ("a.json", b'[{"word": "hi", "expected": "there"}]'),
        ("A.XLSX", sheet(["word", "expected"], ["hi", "there"])),
    ],
)
def test_file_of_any_kind_gives_the_same_cases(name, data):
    found = read_file(data, name=name)
    assert found.columns == ("word", "expected")
    assert found.rows == (("hi", "there"),)


def test_latin_1_is_read_as_such():
    assert read_file("wort\nMünze\n".encode("latin-1"), name="a.csv").rows == (("Münze",),)


def test_quoted_cell_may_hold_lines_and_separators():
    assert read_text('word,expected\n"a,\nb","say ""hi"""\n').rows == (("a,\nb", 'say "hi"'),)


def test_short_row_is_filled_and_blank_rows_are_passed_over():
    assert read_text("word,expected\n\nhi\n , \n").rows == (("hi", ""),)


def test_numbers_dates_and_lists_become_text():
    rows = read_file(sheet(["n", "f", "b"], [3, 2.5, True]), name="a.xlsx").rows
    assert rows == (("3", "2.5", "true"),)
    assert read_text('{"a": [1, 2], "b": null, "c": 3.0}').rows == (("[1, 2]", "", "3"),)


def test_date_of_a_sheet_has_no_time_unless_the_cell_has_one():
    data = sheet(["day", "moment"], [date(2026, 1, 2), datetime(2026, 1, 2, 15, 30)])
    assert read_file(data, name="a.xlsx").rows == (("2026-01-02", "2026-01-02T15:30:00"),)


def test_formulas_that_were_never_calculated_are_named_by_their_rows():
    data = sheet(["n", "word"], ["=1+1", "one"], [2, "two"], ["=1+3", None])
    with pytest.raises(BadInput, match=r"rows 2, 4.*spreadsheet program"):
        read_file(data, name="a.xlsx")


def test_calculated_formula_may_come_to_an_empty_text():
    """As a spreadsheet program saves it: `<v>` holds what the formula came to."""
    data, file = sheet(["n", "word"], ["=1+1", "one"], ["=A9&A9", "two"]), io.BytesIO()
    with ZipFile(io.BytesIO(data)) as before, ZipFile(file, "w") as after:
        for name in before.namelist():
            after.writestr(name, re.sub(rb"(1\+1</f>)<v ?/?>(</v>)?", rb"\1<v>2</v>", before.read(name)))
    assert read_file(file.getvalue(), name="a.xlsx").rows == (("2", "one"), ("", "two"))


def test_columns_of_json_lines_are_those_of_all_objects():
    found = read_text('{"a": "1"}\n{"b": "2"}')
    assert (found.columns, found.rows) == (("a", "b"), (("1", ""), ("", "2")))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no rows"),
        ("word\n", "no case below"),
        ("word,word\nx,y", r"`word` \(1 and 2\)"),
        ("word,\nx,y", "Column 2 has no name"),
        ("word,2nd\nx,y", "Column 2 is called `2nd`"),
        ("word\nok\nx,y\n", "Row 3 has 2 cells"),
        ('word\n"open\n', "Row"),
        ('{"a": 1}\n{"a": }', "Row 2 is not JSON at character"),
        ('{"a": 1}\n[1]', "Row 2 is not an object"),
        ('{"a": "\\ud800"}', "Row 1, column `a` holds half of a surrogate pair"),
        ('{"a": "x\\u0000"}', "Row 1, column `a` holds a NUL"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, says):
    with pytest.raises(BadInput, match=says) as refused:
        read_text(text)
    assert refused.value.param == "cases"
    assert refused.value.cure


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"word,expected\n\nok,yes\nfar too long,no\n"),
        ("a.jsonl", b'\n{"word": "ok"}\n\n{"word": "far too long"}\n'),
        ("a.xlsx", sheet(["word", "expected"], [], ["ok", "yes"], ["far too long", "no"])),
    ],
)
def test_place_of_a_mistake_is_that_in_the_file_whatever_its_kind(name, data, monkeypatch):
    monkeypatch.setattr(cases, "MAX_CELL_CHARS", 8)
    with pytest.raises(BadInput, match="Row 4, column `word` has 12 characters"):
        read_file(data, name=name)


def test_row_of_a_sheet_with_too_many_cells_is_named():
    with pytest.raises(BadInput, match="Row 3 has 2 cells, the head has 1 columns"):
        read_file(sheet(["word"], ["ok"], ["one", "two"]), name="a.xlsx")


def test_limits_are_told_with_their_numbers(monkeypatch):
    monkeypatch.setattr(cases, "MAX_ROWS", 2)
    with pytest.raises(BadInput, match="more than 2 rows"):
        read_text("a\n1\n2\n3\n")
    monkeypatch.setattr(cases, "MAX_CELL_CHARS", 3)
    with pytest.raises(BadInput, match="Row 2, column `a` has 4 characters"):
        read_text("a\nlong\n")
    monkeypatch.setattr(cases, "MAX_BYTES", 3)
    with pytest.raises(BadInput, match="the limit is 3"):
        read_file(b"a\n1\n", name="a.csv")


def test_too_many_columns_are_told_before_their_names_are_compared():
    with pytest.raises(BadInput, match="more than 100 columns"):
        read_text(",".join(f"a{place}" for place in range(1_000_000)) + "\n")


def test_sheet_with_an_endless_gap_is_refused():
    book, file = Workbook(), io.BytesIO()
    book.active["A1"] = "word"
    book.active["XFD1000000"] = "far away"
    book.save(file)
    with pytest.raises(BadInput, match="more than 100,000 empty rows"):
        read_file(file.getvalue(), name="a.xlsx")


def test_json_line_may_hold_a_line_separator_in_a_text():
    assert read_text('{"a": "x\u2028y"}').rows == (("x\u2028y",),)


@pytest.mark.parametrize("data", [b"not a zip", sheet(["a"])[:200]])
def test_broken_workbook_is_said_so(data):
    with pytest.raises(BadInput, match="workbook"):
        read_file(data, name="a.xlsx")


def test_unknown_kind_of_file_is_refused():
    with pytest.raises(BadInput, match="none of CSV"):
        read_file(b"x", name="a.pdf")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_row_numbers_count_lines_of_the_file(separator):
    text = f'a{separator}b\n"two\nlines"{separator}x\n1{separator}2{separator}3\n'
    with pytest.raises(BadInput, match="Row 4 has 3 cells"):
        read_text(text)


def test_json_dump_of_cases_comes_back():
    rows = [{"q": 'a,b\n"c"', "expected": "=1+1"}]
    assert read_text("\n".join(map(json.dumps, rows))).values(0) == rows[0]


def test_workbook_that_hides_millions_of_cells_in_a_few_kilobytes_is_refused():
    from zipfile import ZIP_DEFLATED, ZipFile

    packed = io.BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as book:
        book.writestr("anywhere/sheet.xml", b"<row>" + b"<c/>" * 2_000_000 + b"</row>")
    assert len(packed.getvalue()) < 100_000
    with pytest.raises(BadInput, match="too large"):
        read_file(packed.getvalue(), name="bomb.xlsx")
