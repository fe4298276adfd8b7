"""Usage rows as CSV or Parquet, in pieces: a page of rows is read, written and forgotten before the next."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from chatplay.sheets import BOM, Sink, csv_lines
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
    yield (BOM + csv_lines([EXPORTED])).encode()
    for rows in pages:
        yield csv_lines(rows).encode()


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
    sink = Sink()
    with pq.ParquetWriter(sink, schema) as writer:
        for rows in pages:
            columns = [[_plain(value) for value in column] for column in zip(*rows, strict=True)]
            writer.write_table(pa.table(dict(zip(EXPORTED, columns, strict=True)), schema=schema))
            yield sink.take()
    yield sink.take()


def _plain(value: Any) -> Any:
    match value:
        case UUID():
            return str(value)
        case dict() | list():
            return json.dumps(value)
        case _:
            return value
