"""Cases from pasted text or an uploaded file: CSV, XLSX or JSONL; errors name row and column."""

from __future__ import annotations

from chatplay.experiments.values import CaseTable

MAX_ROWS = 10_000
MAX_BYTES = 20_000_000
MAX_COLUMNS = 100
MAX_CELL_CHARS = 100_000


def read_file(data: bytes, *, name: str) -> CaseTable:
    """The cases of an uploaded file; its kind is told by the end of `name`. Raises BadInput (`param` "cases")."""
    raise NotImplementedError


def read_text(text: str) -> CaseTable:
    """Pasted cases: CSV, tab-separated (as copied from a sheet) or JSON lines. Raises BadInput."""
    raise NotImplementedError
