"""However many calls a file has, a page or two of them are held at a time."""

import weakref
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyarrow as pa
import pytest

from chatplay.store import Store
from chatplay.usage import exporting
from chatplay.usage.values import UsageFilter
from db import usage_calls
from db.usage_calls import EXPORTED

CALLS = 100_000
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
FILTER = UsageFilter(None, NOON, NOON + timedelta(days=1))
CALL = tuple(
    {"generation_id": UUID(int=1), "created_at": NOON, "params": {"temperature": 0.2}, "attempt": 1}.get(name)
    for name in EXPORTED
)


class Page(list):
    """Rows of the database that can be watched; a list cannot."""

    __hash__ = object.__hash__


class Calls:
    """A table of CALLS calls. `most`: how many pages of it were alive at once when another was asked for."""

    def __init__(self):
        self.given, self.most = 0, 0
        self._alive = weakref.WeakSet()

    def list_exported(self, _conn, _filter, *, after, limit):
        self.most = max(self.most, len(self._alive))
        size = min(limit, CALLS - self.given)
        self.given += size
        page = Page([CALL] * size)
        self._alive.add(page)
        return page


@pytest.fixture
def calls(monkeypatch):
    calls = Calls()
    monkeypatch.setattr(usage_calls, "list_exported", calls.list_exported)
    monkeypatch.setattr(Store, "reading", lambda _self: nullcontext())
    return calls


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_export_holds_a_page_at_a_time_and_gives_it_away_before_the_next(calls, format):
    before, held, pieces = pa.total_allocated_bytes(), 0, 0
    for piece in exporting.export(Store(None), FILTER, format):
        pieces += 1
        held = max(held, len(piece) + pa.total_allocated_bytes() - before)
    assert (calls.given, pieces) == (CALLS, CALLS // exporting._PAGE + 1)
    assert calls.most <= 1
    assert held < 10_000_000
