"""Cases from pasted text or an uploaded file: CSV, XLSX or JSONL; errors name row and column."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, time
from typing import Any
from zipfile import BadZipFile, ZipFile

from chatplay import templates
from chatplay.errors import BadInput
from chatplay.experiments.values import CaseTable
from chatplay.params import unsendable_character

MAX_ROWS = 10_000
MAX_BYTES = 20_000_000
MAX_COLUMNS = 100
MAX_CELL_CHARS = 100_000
_MOST_BLANK_ROWS = 100_000  # sheets may carry a million, and a file of a few bytes can name them
_UNPACKED_BYTES = 20 * MAX_BYTES
_MOST_SHEET_CELLS = 1_500_000  # openpyxl takes 300 bytes for each cell of a row, and a zip hides millions in a few KB
_CELL, _FORMULA = (re.compile(rb"<(?:\w{1,12}:)?%b[\s/>]" % name) for name in (b"c", b"f"))
_LONGEST_HEAD = 16  # of those two
_NAMED_ROWS = 5
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_Row = tuple[int, Sequence[Any]]  # its number as the person sees it in the file, and its cells


def read_file(data: bytes, *, name: str) -> CaseTable:
    """The cases of an uploaded file; its kind is told by the end of `name`. Raises BadInput (`param` "cases")."""
    if len(data) > MAX_BYTES:
        raise _bad(f"The file has {len(data):,} bytes; the limit is {MAX_BYTES:,}.", "Split it.")
    ending = name.lower().rsplit(".", 1)[-1]
    if ending in ("xlsx", "xlsm"):
        return _table(_sheet_rows(data))
    if ending in ("jsonl", "ndjson", "json"):
        return _json_table(_decode(data))
    if ending in ("csv", "tsv", "txt"):
        return _table(_csv_rows(_decode(data)))
    raise _bad(f"`{name[-60:]}` is none of CSV, XLSX and JSONL.", "Save it as one of them.")


def read_text(text: str) -> CaseTable:
    """Pasted cases: CSV, tab-separated (as copied from a sheet) or JSON lines. Raises BadInput."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise _bad(f"The text is longer than {MAX_BYTES:,} bytes.", "Split it, or upload a file.")
    text = text.removeprefix("\ufeff")
    return _json_table(text) if text.lstrip().startswith(("{", "[")) else _table(_csv_rows(text))


def _decode(data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")  # what Windows calls latin-1: no byte is refused


# ---- rows of a sheet or of comma-separated text ------------------------------------------------


def _csv_rows(text: str) -> Iterator[_Row]:
    lines = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=_delimiter(text), strict=True)
    csv.field_size_limit(MAX_BYTES)
    before = 0
    while True:
        try:
            row = next(lines, None)
        except csv.Error as error:
            raise _bad(f"Row {lines.line_num}: {error}.", "Close the quotation mark, or double those inside.") from None
        if row is None:
            return
        yield before + 1, row
        before = lines.line_num


def _delimiter(text: str) -> str:
    head = text.lstrip().split("\n", 1)[0]
    return max(",;\t", key=head.count)


def _sheet_rows(data: bytes) -> Iterator[_Row]:
    try:
        with ZipFile(io.BytesIO(data)) as packed:
            unpacked = sum(entry.file_size for entry in packed.infolist())
            crowded = unpacked <= _UNPACKED_BYTES and _has_more(packed, _CELL, _MOST_SHEET_CELLS)
            calculates = unpacked <= _UNPACKED_BYTES and not crowded and _has_more(packed, _FORMULA, 0)
    except BadZipFile:
        raise _bad("The file is no XLSX workbook.", "Save it again as XLSX or CSV.") from None
    if unpacked > _UNPACKED_BYTES or crowded:
        raise _bad("The workbook is too large when it is unpacked.", "Save the sheet as CSV.")
    from openpyxl import load_workbook  # slow to import

    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        if calculates:
            _check_results(book.worksheets[0], load_workbook(io.BytesIO(data), read_only=True).worksheets[0])
        yield from enumerate((_trimmed(row) for row in _cells(book.worksheets[0])), start=1)
    except BadInput:
        raise
    except Exception as error:  # openpyxl raises whatever its parsers do
        raise _bad(f"The workbook cannot be read ({type(error).__name__}).", "Save it again as XLSX or CSV.") from None


def _has_more(packed: ZipFile, head: re.Pattern[bytes], most: int) -> bool:
    """Whether the workbook has more than `most` elements of this head; counted as it is unpacked, piece by piece."""
    count = 0
    for name in packed.namelist():
        with packed.open(name) as part:
            before = b""
            while piece := part.read(1 << 20):
                text = before + piece
                count += sum(found.end() > len(before) for found in head.finditer(text))
                before = text[-_LONGEST_HEAD:]
                if count > most:
                    return True
    return False


def _cells(sheet: Any) -> Iterator[Sequence[Any]]:
    return sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS + 1)  # type: ignore[no-any-return]


def _check_results(results: Any, formulas: Any) -> None:
    """Raises BadInput when formulas were written by a program that did not calculate them: their cells seem empty. Of
    those that were calculated, one that is empty came to an empty text.
    """
    empty = []
    for number, (values, texts) in enumerate(zip(_cells(results), _cells(formulas), strict=False), start=1):
        found = [value for value, text in zip(values, texts, strict=False) if _is_formula(text) and value != text]
        if any(value is not None for value in found):
            return
        if found:
            empty.append(number)
    if empty:
        named = ", ".join(f"{number:,}" for number in empty[:_NAMED_ROWS])
        more = f" and {len(empty) - _NAMED_ROWS:,} more" if len(empty) > _NAMED_ROWS else ""
        raise _bad(
            f"Formulas have no stored results, in {'row' if len(empty) == 1 else 'rows'} {named}{more}.",
            "Open the file in a spreadsheet program and save it there, or save the sheet as CSV.",
        )


def _is_formula(text: Any) -> bool:
    return isinstance(text, str) and text.startswith("=")


def _trimmed(row: Sequence[Any]) -> Sequence[Any]:
    """Without the empty cells that sheets carry at the end of a row."""
    last = next((place for place in range(len(row), 0, -1) if row[place - 1] not in (None, "")), 0)
    return row[:last]


def _table(rows: Iterator[_Row]) -> CaseTable:
    filled = _filled(rows)
    head = next(filled, None)
    if head is None:
        raise _bad("There are no rows.", "The first row names the columns, each further row is a case.")
    columns = _columns([_text(cell) for cell in head[1]])
    found: list[tuple[str, ...]] = []
    for number, row in filled:
        if len(row) > len(columns):
            raise _bad(
                f"Row {number} has {len(row)} cells, the head has {len(columns)} columns.",
                "Put texts that hold a separator into quotation marks.",
            )
        cells = [_text(cell) for cell in row] + [""] * (len(columns) - len(row))
        _take(found, number, columns, cells)
    return _finished(columns, found)


def _filled(rows: Iterator[_Row]) -> Iterator[_Row]:
    blank = 0
    for number, row in rows:
        if not _is_blank(row):
            yield number, row
            continue
        blank += 1
        if blank > _MOST_BLANK_ROWS:
            raise _bad(f"There are more than {_MOST_BLANK_ROWS:,} empty rows.", "Delete them, then save it again.")


def _is_blank(row: Sequence[Any]) -> bool:
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in row)


def _columns(names: Collection[str]) -> tuple[str, ...]:
    if len(names) > MAX_COLUMNS:
        raise _bad(f"There are more than {MAX_COLUMNS} columns.", "Take out those you do not need.")
    found: list[str] = []
    for place, raw in enumerate(names, start=1):
        name = raw.strip()
        if not name:
            raise _bad(f"Column {place} has no name.", "Name every column in the first row.")
        if name in found:
            raise _bad(f"Two columns are called `{name[:60]}` ({found.index(name) + 1} and {place}).", "Rename one.")
        if not templates.is_name(name):
            raise _bad(
                f"Column {place} is called `{name[:60]}`, which no variable can be.",
                "Begin it with a letter; letters, digits, `_`, `-`, `.` and single spaces may follow.",
            )
        found.append(name)
    return tuple(found)


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()  # sheets have no dates without a time
    if isinstance(cell, (datetime, date)):
        return cell.isoformat()
    return cell if isinstance(cell, str) else str(cell)


# ---- JSON lines --------------------------------------------------------------------------------


def _json_table(text: str) -> CaseTable:
    records = [(number, _object(number, value)) for number, value in _json_values(text)]
    columns = _columns(dict.fromkeys(name for _, record in records for name in record))
    found: list[tuple[str, ...]] = []
    for number, record in records:
        _take(found, number, columns, [_json_text(record.get(name)) for name in columns])
    return _finished(columns, found)


def _json_values(text: str) -> Iterator[tuple[int, Any]]:
    if text.lstrip().startswith("["):
        values = _parsed(text, "The list")
        _check_rows(len(values))
        yield from enumerate(values, start=1)
        return
    count = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            count += 1
            _check_rows(count)
            yield number, _parsed(line, f"Row {number}")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise _bad(f"{where} is not JSON{place}.", 'Write one object a line, such as {"text": "..."}.') from None


def _object(number: int, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad(f"Row {number} is not an object.", 'Write one object a line, such as {"text": "..."}.')
    return value


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else _text(value)


# ---- what all kinds share ----------------------------------------------------------------------


def _take(found: list[tuple[str, ...]], number: int, columns: Sequence[str], cells: Sequence[str]) -> None:
    for name, cell in zip(columns, cells, strict=True):
        if len(cell) > MAX_CELL_CHARS:
            raise _bad(
                f"Row {number}, column `{name}` has {len(cell):,} characters; the limit is {MAX_CELL_CHARS:,}.",
                "Shorten it.",
            )
        if bad := unsendable_character(cell):
            raise _bad(f"Row {number}, column `{name}` holds {bad}, which cannot be stored or sent.", "Remove it.")
    found.append(tuple(cells))
    _check_rows(len(found))


def _check_rows(count: int) -> None:
    if count > MAX_ROWS:
        raise _bad(f"There are more than {MAX_ROWS:,} rows.", "Split them over several experiments.")


def _finished(columns: tuple[str, ...], found: list[tuple[str, ...]]) -> CaseTable:
    if not found:
        raise _bad("There is a head but no case below it.", "Each row after the first is a case.")
    return CaseTable(columns, tuple(found))


def _bad(message: str, cure: str) -> BadInput:
    return BadInput(message, param="cases", cure=cure)
