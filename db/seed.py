"""Fills the database with believable, made-up usage from a fixed seed: demo people, models, chats, experiments, faults.

    python -m db.seed --messages 10000000 [--days 180] [--people 200] [--url postgresql://...]

Everything made up belongs to the organisation `Demo` and to upstreams named `demo-...`; `clear` takes it out again.
No chat is made, only the usage rows that chats leave behind. Into a database that holds no usage yet the command
writes in one transaction, counts by `db/seed_rollups.py` and makes the indexes last: the app waits for its end.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Engine, text

from db import accounts, usage_rollup
from db.embedded import EmbeddedPostgres
from db.engine import make_engine, migrate
from db.errors import DatabaseError
from db.schema.generations import usage as usage_table
from db.schema.rollups import usage_rollups
from db.seed_calls import COLUMNS, CallBatch, make_calls
from db.seed_rollups import CHAT_COLUMNS, ROLLUP_COLUMNS, SETTINGS_COLUMNS, WeekOfCalls
from db.seed_shapes import hour_weights

ORGANISATION = "Demo"
SEED = 20261122
_NAMES = "Ana Ben Chloe David Elif Farid Greta Hugo Ines Jonas Kira Luis Mei Nadia Omar Petra Quentin Rosa Sven Tara"
_NO_PASSWORD = "!"  # no hash of any: nobody signs in as one of them
_ROWS_AT_ONCE = 200_000
_LINES_AT_ONCE = 500
_TABLES = ("usage", "usage_rollups", "usage_settings", "usage_chats", "usage_pending")


@dataclass(frozen=True)
class Plan:
    """`messages` calls over the `days` before `until`, by `people`."""

    messages: int
    days: int
    people: int
    until: datetime
    seed: int = SEED
    gaps: bool = True


def demo_plan(now: datetime) -> Plan:
    """30 days of a team of 20."""
    return Plan(messages=12_000, days=30, people=20, until=now)


def seed(engine: Engine, plan: Plan, *, progress: Callable[[str], None] = print) -> int:
    """Writes the calls and counts them into the roll-ups. Returns how many calls were made."""
    with engine.begin() as conn:
        people = _add_people(conn, plan.people)
        organisation_id = accounts.get_or_add_organisation(conn, name=ORGANISATION)
    made, began = 0, time.monotonic()
    for day, share in _days(plan):
        rng = np.random.default_rng([plan.seed, day.toordinal()])
        batch = make_calls(rng, day=day, until=plan.until, size=share, people=people, gaps=plan.gaps)
        with engine.begin() as conn:
            _copy(conn, batch, organisation_id)
        made += len(batch.created_at)
        if day.weekday() == 6 or day.date() == plan.until.date():
            count_all(engine)
            progress(f"{made:>12,} calls, up to {day:%d %B %Y}, {time.monotonic() - began:,.0f} s")
    count_all(engine)
    _vacuum(engine)
    return made


def seed_empty(engine: Engine, plan: Plan, *, progress: Callable[[str], None] = print) -> int:
    """The same into a database without usage, many times faster; killed in the middle, nothing of it happened.

    Raises DatabaseError when there is usage.
    """
    with engine.begin() as conn:
        conn.execute(text("LOCK TABLE usage"))
        if _has_usage(conn):
            raise DatabaseError("The app has made its first calls meanwhile. Begin again: they stay.")
        people = _add_people(conn, plan.people)
        organisation_id = accounts.get_or_add_organisation(conn, name=ORGANISATION)
        conn.execute(text(f"TRUNCATE {', '.join(_TABLES)}"))
        indexes = [index for table in (usage_table, usage_rollups) for index in table.indexes]
        for index in indexes:
            index.drop(conn)
        made, began, week = 0, time.monotonic(), list[CallBatch]()
        for day, share in _days(plan):
            rng = np.random.default_rng([plan.seed, day.toordinal()])
            week.append(make_calls(rng, day=day, until=plan.until, size=share, people=people, gaps=plan.gaps))
            if day.weekday() == 6 or day.date() == plan.until.date():
                made += _write_week(conn, week, organisation_id)
                progress(f"{made:>12,} calls, up to {day:%d %B %Y}, {time.monotonic() - began:,.0f} s")
                week.clear()
        progress("Making the periods and the indexes")
        usage_rollup.make_periods(conn)
        for index in indexes:
            index.create(conn)
    _vacuum(engine)
    return made


def is_empty(engine: Engine) -> bool:
    """Whether there is no usage at all."""
    with engine.connect() as conn:
        return not _has_usage(conn)


def _has_usage(conn: Connection) -> bool:
    return bool(conn.execute(text("SELECT EXISTS (SELECT FROM usage)")).scalar_one())


def count_all(engine: Engine) -> None:
    """Counts all that waits, in batches large enough to be quick."""
    counted = 1
    while counted:
        with engine.begin() as conn:
            conn.execute(text("SET LOCAL work_mem = '256MB'"))
            conn.execute(text("SET LOCAL jit = off"))
            counted = usage_rollup.roll_up(conn, limit=_ROWS_AT_ONCE)


def clear(engine: Engine) -> int:
    """Takes all made-up usage and people out and counts the rest anew. Returns how many calls went."""
    with engine.begin() as conn:
        gone = conn.execute(
            text("DELETE FROM usage USING organisations o WHERE organisation_id = o.id AND o.name = :name"),
            {"name": ORGANISATION},
        ).rowcount
        if gone:
            usage_rollup.start_anew(conn)
        conn.execute(
            text("DELETE FROM users USING organisations o WHERE organisation_id = o.id AND o.name = :name"),
            {"name": ORGANISATION},
        )
        conn.execute(text("DELETE FROM organisations WHERE name = :name"), {"name": ORGANISATION})
    count_all(engine)
    return gone


def _days(plan: Plan) -> Iterator[tuple[datetime, int]]:
    """Every day with its number of calls: busy weeks, quiet weekends, slow growth."""
    last = plan.until.replace(hour=0, minute=0, second=0, microsecond=0)
    days = [last - timedelta(days=back) for back in range(plan.days - 1, -1, -1)]
    weights = np.array([hour_weights(day.weekday()).sum() * (1 + 0.6 * n / plan.days) for n, day in enumerate(days)])
    weights[-1] *= (plan.until - last) / timedelta(days=1)
    ends = np.rint(np.cumsum(weights) / weights.sum() * plan.messages).astype(np.int64)
    yield from zip(days, np.diff(ends, prepend=0).tolist(), strict=True)


def _add_people(conn: Connection, count: int) -> Sequence[int]:
    organisation_id = accounts.get_or_add_organisation(conn, name=ORGANISATION)
    names = _NAMES.split()
    for number in range(count):
        name = names[number % len(names)] + (f" {number // len(names) + 1}" if number >= len(names) else "")
        accounts.add_user(
            conn,
            organisation_id=organisation_id,
            username=f"demo-{name.lower().replace(' ', '-')}",
            display_name=f"{name} (demo)",
            password_hash=_NO_PASSWORD,
            role="analyst",
            must_change_password=False,
        )
    inactive = "UPDATE users SET is_active = false WHERE organisation_id = :id"
    conn.execute(text(inactive), {"id": organisation_id})
    ids = "SELECT id FROM users WHERE organisation_id = :id ORDER BY id LIMIT :count"
    return list(conn.execute(text(ids), {"id": organisation_id, "count": count}).scalars())


def _copy(conn: Connection, batch: CallBatch, organisation_id: int) -> None:
    _copy_lines(conn, "usage", ("organisation_id", *COLUMNS), _call_lines(batch, organisation_id))
    pending = zip(batch.generation_id, batch.created_at, strict=True)
    _copy_lines(conn, "usage_pending", ("generation_id", "created_at"), (f"{id_}\t{at}\n" for id_, at in pending))


def _write_week(conn: Connection, batches: Sequence[CallBatch], organisation_id: int) -> int:
    for batch in batches:
        _copy_lines(conn, "usage", ("organisation_id", *COLUMNS), _call_lines(batch, organisation_id))
    week = WeekOfCalls(batches, organisation_id)
    _copy_lines(conn, "usage_rollups", ROLLUP_COLUMNS, week.rollups())
    _copy_lines(conn, "usage_settings", SETTINGS_COLUMNS, week.settings())
    _copy_lines(conn, "usage_chats", CHAT_COLUMNS, week.chats())
    return sum(len(batch.created_at) for batch in batches)


def _call_lines(batch: CallBatch, organisation_id: int) -> Iterator[str]:
    return (f"{organisation_id}\t{line}\n" for line in batch.lines())


def _copy_lines(conn: Connection, table: str, columns: Sequence[str], lines: Iterator[str]) -> None:
    driver = conn.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        while some := "".join(islice(lines, _LINES_AT_ONCE)):
            copy.write(some)


def _vacuum(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for table in _TABLES:
            conn.execute(text(f"VACUUM (ANALYZE) {table}"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m db.seed", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--url", default=os.environ.get("DATABASE_URL"), help="else the embedded server in --data")
    parser.add_argument("--data", type=Path, default=Path("data"))
    wanted = parser.parse_args()
    embedded = None if wanted.url else EmbeddedPostgres(wanted.data, progress=print)
    engine = make_engine(wanted.url or embedded.start(), pool_size=2)  # type: ignore[union-attr]
    try:
        migrate(engine)
        plan = Plan(wanted.messages, wanted.days, wanted.people, datetime.now(UTC), gaps=False)
        (seed_empty if is_empty(engine) else seed)(engine, plan)
    finally:
        engine.dispose()
        if embedded is not None:
            embedded.stop()


if __name__ == "__main__":
    main()
