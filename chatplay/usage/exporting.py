"""Usage rows as CSV or Parquet, in pieces: a page of rows is read, written and forgotten before the next."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chatplay.sheets import safe_cell
from chatplay.store import Store
from chatplay.usage.values import ExportFormat, UsageFilter
from db import usage_calls
from db.usage_calls import EXPORTED, Place

_PAGE = 5_000
Rows = Iterator[Sequence[Sequence[Any]]]


def export(store: Store, filter: UsageFilter, format: ExportFormat) -> Iterator[bytes]:
    """Every call of the filter, oldest first."""
    return _to_csv(_pages(store, filter)) if format == "csv" else _to_parquet(_pages(store, filter))


def _pages(store: Store, filter: UsageFilter) -> Rows:
    """A connection is held for each page, not for as long as somebody's download takes."""
    after, at, id_ = None, EXPORTED.index("created_at"), EXPORTED.index("generation_id")
    while True:
        with store.reading() as conn:
            rows = usage_calls.list_exported(conn, filter, after=after, limit=_PAGE)
        if rows:
            yield rows
        if len(rows) < _PAGE:
            return
        after = Place(rows[-1][at], rows[-1][id_])


def _to_csv(pages: Rows) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(EXPORTED)
    for rows in pages:
        writer.writerows([[_cell(value) for value in row] for row in rows])
        yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return data


def _cell(value: Any) -> Any:
    match value:
        case str():
            return safe_cell(value)
        case datetime():
            return value.isoformat()
        case dict() | list():
            return json.dumps(value)
        case _:
            return value  # None is an empty cell, numbers are written as they are


class _Pipe(io.RawIOBase):
    """A file that is only written; what was written is taken out piece by piece."""

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
        data, self._pieces = b"".join(self._pieces), []
        return data


def _to_parquet(pages: Rows) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole, number, text, stamp = pa.int64(), pa.float64(), pa.string(), pa.timestamp("us", tz="UTC")
    kinds = {name: number for name in EXPORTED if name.endswith(("_ms", "_usd", "tokens_per_second"))}
    kinds |= dict.fromkeys(("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"), whole)
    kinds |= dict.fromkeys(("user_id", "organisation_id", "bytes_received", "attempt"), whole)
    kinds |= dict.fromkeys(("streamed", "tokens_estimated"), pa.bool_())
    kinds |= dict.fromkeys(("created_at", "ended_at"), stamp)
    schema = pa.schema([(name, kinds.get(name, text)) for name in EXPORTED])
    pipe = _Pipe()
    with pq.ParquetWriter(pipe, schema) as writer:
        for rows in pages:
            columns = [[_plain(value) for value in column] for column in zip(*rows, strict=True)]
            writer.write_table(pa.table(dict(zip(EXPORTED, columns, strict=True)), schema=schema))
            yield pipe.take()
    yield pipe.take()


def _plain(value: Any) -> Any:
    match value:
        case UUID():
            return str(value)
        case dict() | list():
            return json.dumps(value)
        case _:
            return value
