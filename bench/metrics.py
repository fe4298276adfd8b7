"""How long the metrics page's questions take, beside the same charts made by pulling the rows into pandas.

    python -m db.seed --messages 1000000 --url postgresql://...
    python -m bench.metrics --url postgresql://... [--days 30 180] [--views 20] [--no-pandas] [--person ID] [--in-a-row]

One view is every question the page asks, by the page's own helpers (`chatplay/usage/ahead.py`), as for an
administrator who sees everybody's calls, or for one person; with --in-a-row one after another on one connection. The
first view warms the caches and is not counted. "CPU" is what this program and its database processes used for a
view: on a machine that does other things too it says more than the clock.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import psutil
from sqlalchemy import Engine, event, text

from chatplay.store import Store
from chatplay.usage.ahead import Ahead
from chatplay.usage.service import Usage
from chatplay.usage.values import UsageFilter
from db.engine import make_engine
from db.usage_source import HOUR, floor_to

ZONE = "Europe/Berlin"
_COLUMNS = (
    "created_at, user_id, source, upstream, model, status, finish_reason, error_class, fallback_reason, session_id, "
    "prompt_tokens, completion_tokens, cost_usd, ttft_ms, tokens_per_second, "
    "CAST(params ->> 'temperature' AS double precision) AS temperature, "
    "CAST(params ->> 'top_p' AS double precision) AS top_p"
)


def questions(usage: Usage, filter: UsageFilter) -> dict[str, tuple[Any, ...]]:
    """What the page asks, by name: a question and what it is asked with."""
    by_tokens = {"ttft by prompt": usage.ttft_by_prompt_tokens, "tok/s by context": usage.speed_by_context}
    return {
        "choices": (usage.list_choices, filter),
        "tiles": (usage.tiles, filter, ZONE),
        "ttft over time": (usage.percentiles_over_time, filter, "ttft_ms", ZONE),
        "tok/s over time": (usage.percentiles_over_time, filter, "tokens_per_second", ZONE),
        "distribution": (usage.distribution, filter, "ttft_ms"),
        **{name: (question, filter) for name, question in by_tokens.items()},
        "outcomes": (usage.outcomes_over_time, filter, ZONE),
        "by model": (partial(usage.usage_table, percentiles=False), filter, "model", ZONE),
        "by person": (partial(usage.usage_table, percentiles=False), filter, "person", ZONE),
        "settings map": (usage.settings_map, filter, "temperature", "top_p", "ttft_ms"),
        "hour of week": (usage.hour_of_week, filter, ZONE),
        "newest calls": (usage.list_calls, filter),
    }


class CountingStore(Store):
    """A store that knows how many rows were fetched through it, and by which processes of the database."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.rows = 0
        self._servers: dict[int, psutil.Process] = {}
        event.listen(engine, "connect", self._note_server)
        event.listen(engine, "after_cursor_execute", self._count)

    def _note_server(self, connection: Any, _record: Any) -> None:
        pid = connection.info.backend_pid
        self._servers[pid] = psutil.Process(pid)

    def _count(self, _conn: Any, cursor: Any, *_rest: Any) -> None:
        self.rows += max(cursor.rowcount, 0)

    def cpu_ms(self) -> float:
        """What this program and its database processes have used so far."""
        used = [process.cpu_times() for process in (psutil.Process(), *self._servers.values())]
        return sum(1000 * (one.user + one.system) for one in used)


def measure(store: CountingStore, filter: UsageFilter, views: int, most: int) -> tuple[list[float], dict[str, float]]:
    """Milliseconds of each view but the first, and the median of each question; `most` are asked ahead at once."""
    ahead, asked = Ahead(most), questions(Usage(store=store, now=lambda: datetime.now(UTC)), filter)
    whole, parts = [], {name: [] for name in asked}

    def timed(name: str) -> None:
        began = time.perf_counter()
        question, *rest = asked[name]
        question(*rest)
        parts[name].append((time.perf_counter() - began) * 1000)

    for _ in range(views):
        began = time.perf_counter()
        with ahead.view() as answers:
            for name in list(asked)[1:]:  # as on the page, whose first question is asked at once
                answers.expect(timed, name)
            answers.begin()
            for name in asked:
                answers.get(timed, name)
        whole.append((time.perf_counter() - began) * 1000)
    return whole, {name: float(np.median(taken)) for name, taken in parts.items()}


def with_pandas(store: CountingStore, filter: UsageFilter) -> tuple[float, int]:
    """Milliseconds to pull the rows and make the same charts of them, and how many rows that were."""
    began = time.perf_counter()
    own = "" if filter.user_id is None else f"AND user_id = {filter.user_id}"
    query = f"SELECT {_COLUMNS} FROM usage WHERE created_at >= :start AND created_at < :end {own}"
    with store.reading() as conn:
        rows = pd.read_sql(text(query), conn, params={"start": filter.start, "end": filter.end})
    day = rows.created_at.dt.floor("D")
    for figure in ("ttft_ms", "tokens_per_second"):
        rows.groupby([day, "upstream", "model"])[figure].quantile([0.5, 0.95])
        rows.groupby(["upstream", "model"])[figure].quantile(np.linspace(0, 1, 101))
    for figure, size in (
        ("ttft_ms", rows.prompt_tokens),
        ("tokens_per_second", rows.prompt_tokens + rows.completion_tokens),
    ):
        rows.groupby(np.floor(np.log2(size.clip(lower=1))))[figure].quantile([0.5, 0.95])
    rows.ttft_ms.quantile([0.5, 0.95])
    rows.groupby([day, "finish_reason"]).size()
    rows.groupby([day, "error_class"]).size()
    for by in (["upstream", "model"], ["user_id"]):
        rows.groupby(by)[["prompt_tokens", "completion_tokens", "cost_usd"]].sum()
    rows.groupby(["temperature", "top_p"]).ttft_ms.agg(["mean", "count"])
    local = rows.created_at.dt.tz_convert(ZONE)
    rows.groupby([local.dt.day_of_week, local.dt.hour]).size()
    rows[rows.status == "complete"].groupby("session_id").size().mean()
    return (time.perf_counter() - began) * 1000, len(rows)


def largest_error(store: CountingStore, filter: UsageFilter) -> float:
    """The largest relative error of p50 and p95 of ttft and tok/s, by model and bucket and of everything.

    Roll-ups answer for whole hours, so that is what they are held against.
    """
    usage, worst = Usage(store=store, now=lambda: datetime.now(UTC)), 0.0
    for metric in ("ttft_ms", "tokens_per_second"):
        for point in usage.percentiles_over_time(filter, metric, ZONE):  # type: ignore[arg-type]
            start, end = max(point.start, floor_to(HOUR, filter.start)), min(point.end, filter.end)
            exact = _exact(store, metric, replace(filter, start=start, end=end), point.model)
            worst = max(worst, abs(point.p50 / exact[0] - 1), abs(point.p95 / exact[1] - 1))
    tiles = usage.tiles(filter, ZONE)
    exact = _exact(store, "ttft_ms", replace(filter, start=floor_to(HOUR, filter.start)), None)
    found = (tiles.ttft_p50_ms.value, tiles.ttft_p95_ms.value)
    return max(worst, *(abs((value or 0.0) / true - 1) for value, true in zip(found, exact, strict=True)))


def _exact(store: CountingStore, metric: str, filter: UsageFilter, model: tuple[str, str] | None) -> list[float]:
    conditions = ["created_at >= :start", "created_at < :end"]
    params: dict[str, Any] = {"start": filter.start, "end": filter.end}
    if filter.user_id is not None:
        conditions.append("user_id = :user_id")
        params["user_id"] = filter.user_id
    if model is not None:
        conditions.append("upstream = :upstream AND model = :model")
        params |= {"upstream": model[0], "model": model[1]}
    query = f"SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY {metric}) FROM usage "
    with store.reading() as conn:
        return list(conn.execute(text(f"{query} WHERE {' AND '.join(conditions)}"), params).scalar_one())


def report(store: CountingStore, days: int, wanted: argparse.Namespace) -> None:
    end = datetime.now(UTC)
    filter = UsageFilter(wanted.person, end - timedelta(days=days), end)
    most = 0 if wanted.in_a_row else 2
    measure(store, filter, 1, most)
    before, store.rows = store.cpu_ms(), 0
    whole, parts = measure(store, filter, wanted.views, most)
    used, rows = (store.cpu_ms() - before) / wanted.views, store.rows // wanted.views
    p50, p95 = np.quantile(whole, [0.5, 0.95])
    print(f"\n{days} days: page p50 {p50:,.0f} ms, p95 {p95:,.0f} ms, CPU {used:,.0f} ms, {rows:,} rows read")
    print("  " + ", ".join(f"{name} {took:.0f}" for name, took in sorted(parts.items(), key=lambda one: -one[1])))
    if not wanted.no_errors:
        print(f"  largest error of a p50 or p95: {100 * largest_error(store, filter):.2f} %")
    if not wanted.no_pandas:
        took, pulled = with_pandas(store, filter)
        print(f"  pandas: {took:,.0f} ms, {pulled:,} rows read ({took / p50:,.0f} times as long)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.metrics", description=__doc__)
    parser.add_argument("--url", default=os.environ.get("DATABASE_URL"), required="DATABASE_URL" not in os.environ)
    parser.add_argument("--days", type=int, nargs="+", default=[30, 180])
    parser.add_argument("--views", type=int, default=20)
    parser.add_argument("--person", type=int, help="one person's own calls instead of everybody's")
    parser.add_argument("--in-a-row", action="store_true", help="one question after another, on one connection")
    parser.add_argument("--no-pandas", action="store_true")
    parser.add_argument("--no-errors", action="store_true", help="leave out the comparison with exact percentiles")
    wanted = parser.parse_args()
    store = CountingStore(make_engine(wanted.url, pool_size=3))
    with store.reading() as conn:
        calls, version = conn.execute(text("SELECT count(*), current_setting('server_version') FROM usage")).one()
    print(f"{calls:,} calls, PostgreSQL {version}, {os.cpu_count()} CPUs, {datetime.now(UTC):%d %B %Y}")
    for days in wanted.days:
        report(store, days, wanted)


if __name__ == "__main__":
    main()
