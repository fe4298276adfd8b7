"""Usage rows written by hand, counted by the real roll-up, asked through the real service."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from chatplay.store import Store
from chatplay.usage.budgets import Budgets
from chatplay.usage.price_table import PriceTable
from chatplay.usage.rollup import RollupWorker
from chatplay.usage.service import Usage
from chatplay.usage.values import UsageFilter
from tests.db.chat_rig import add_person

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
_USUAL = {
    "source": "chat",
    "provider": "openai",
    "upstream": "box",
    "model": "tiny",
    "status": "complete",
    "finish_reason": "stop",
    "streamed": True,
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "tokens_estimated": False,
    "ttft_ms": 200.0,
    "tokens_per_second": 50.0,
    "duration_ms": 600.0,
    "itl_p95_ms": 30.0,
    "cost_usd": 0.01,
    "params": {"temperature": 0.7, "top_p": 1.0},
}
FAILED = {
    "status": "failed",
    "finish_reason": None,
    "error_class": "rate_limited",
    "ttft_ms": None,
    "tokens_per_second": None,
    "itl_p95_ms": None,
    "prompt_tokens": None,
    "completion_tokens": None,
    "cost_usd": None,
}


def count_pending(store: Store) -> int:
    """How many ended calls wait to be counted."""
    with store.reading() as conn:
        return conn.execute(text("SELECT count(*) FROM usage_pending")).scalar_one()


@dataclass
class UsageRig:
    store: Store
    ana: int
    ben: int

    def __post_init__(self) -> None:
        self.now = datetime(2040, 1, 1, tzinfo=UTC)  # every range is over
        self.usage = Usage(store=self.store, now=lambda: self.now)
        self.prices = PriceTable(store=self.store)
        self.budgets = Budgets(store=self.store)
        self.worker = RollupWorker(store=self.store, batch=100)

    def add(self, at: datetime = NOON, *, user: int | None = None, count: bool = True, **figures: Any) -> UUID:
        """An ended call, waiting to be counted."""
        values = {
            **_USUAL,
            "generation_id": uuid4(),
            "user_id": user or self.ana,
            "organisation_id": 1,
            "created_at": at,
            "ended_at": at + timedelta(seconds=1),
            **figures,
        }
        values["params"] = json.dumps(values["params"])
        names = ", ".join(values)
        insert = f"INSERT INTO usage ({names}) VALUES ({', '.join(f':{name}' for name in values)})"
        queue = "INSERT INTO usage_pending (generation_id, created_at) VALUES (:generation_id, :created_at)"
        with self.store.transaction() as conn:
            conn.execute(text(insert), values)
            if count and values["ended_at"] is not None:
                conn.execute(text(queue), values)
        return values["generation_id"]

    def count(self) -> int:
        return self.worker.catch_up()

    def pending(self) -> int:
        return count_pending(self.store)

    def everyone(self, start: datetime, end: datetime, **more: Any) -> UsageFilter:
        return UsageFilter(None, start, end, **more)

    def own(self, start: datetime, end: datetime, *, user: int | None = None, **more: Any) -> UsageFilter:
        return UsageFilter(user or self.ana, start, end, **more)


def day(**more: Any) -> dict[str, datetime]:
    """The bounds of the day around NOON."""
    start = NOON.replace(hour=0)
    return {"start": start, "end": start + timedelta(days=1), **more}


def make_rig(store: Store) -> UsageRig:
    return UsageRig(store, add_person(store, "ana"), add_person(store, "ben"))


def rows_of(rig: UsageRig, table: str = "usage_rollups") -> list[str]:
    with rig.store.reading() as conn:
        return sorted(map(str, conn.execute(text(f"SELECT * FROM {table}"))))
