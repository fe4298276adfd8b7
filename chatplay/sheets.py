"""Files to take away, for spreadsheets and programs: CSV that is safe to open, and what a Parquet writer writes to."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import isfinite
from typing import Any

BOM = "\ufeff"  # begins a CSV file: without it spreadsheets read UTF-8 as something else

# What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection), full-width forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(text: str) -> str:
    """`text` as no spreadsheet takes it for a formula: with an apostrophe before what could begin one.

    Numbers, and numbers in a row (`-1, 0, 1`), stay as they are: they name no cell and call nothing.
    """
    return f"'{text}" if text.startswith(_FORMULA) and not all(map(_is_number, text.split(","))) else text


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as RFC 4180 wants them: texts as `safe_cell`, times in ISO 8601, unknown values empty."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return safe_cell(value)
        case datetime():
            return value.isoformat()
        case dict() | list():
            return json.dumps(value)
        case _:
            return str(value)


class Sink(io.RawIOBase):
    """A file that is only written: what was written is taken out piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
