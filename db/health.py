"""Queries on how the model servers are: the shared view, its history, and which process asks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from db.schema import catalog_state, upstream_checks, upstream_health, upstreams

_KEPT = timedelta(days=1)


@dataclass(frozen=True)
class HealthRow:
    """How one upstream was at `checked_at`, None before its first check. `opened_at` is the breaker's."""

    upstream: str
    base_url: str
    checked_at: datetime | None = None
    healthy: bool = False
    engine_type: str | None = None
    models: Sequence[Mapping[str, Any]] = ()
    latency_ms: float | None = None
    problem_code: str | None = None
    problem: str | None = None
    cure: str | None = None
    failed_checks: int = 0
    failed_calls: int = 0
    opened_at: datetime | None = None
    healthy_at: datetime | None = None


@dataclass(frozen=True)
class State:
    """The row all processes watch. `now` is the database's clock; `leads` when the asking process polls."""

    registry_revision: int
    health_revision: int
    polled_at: datetime | None
    now: datetime
    leads: bool


@dataclass(frozen=True)
class Check:
    """One check of the history."""

    checked_at: datetime
    healthy: bool
    latency_ms: float | None


@dataclass(frozen=True)
class Day:
    """The last 24 hours of one upstream, the checks of the last hour oldest first. `uptime` is 0 to 1."""

    upstream: str
    uptime: float
    checks: int
    recent: tuple[Check, ...]


def watch(conn: Connection, *, process: UUID, lease_sec: float) -> State:
    """Renews the lease or takes one that has run out, and reads the state.

    One that runs for longer than a lease does was given before the clock was set back, and has run out, too.
    """
    until = func.clock_timestamp() + timedelta(seconds=lease_sec)
    free = or_(
        catalog_state.c.poller.is_(None),
        catalog_state.c.poller == process,
        catalog_state.c.poller_until < func.clock_timestamp(),
        catalog_state.c.poller_until > until,
    )
    conn.execute(update(catalog_state).where(free).values(poller=process, poller_until=until))
    row = conn.execute(select(catalog_state, func.clock_timestamp().label("now"))).one()
    return State(row.registry_revision, row.health_revision, row.polled_at, row.now, row.poller == process)


def release_lease(conn: Connection, *, process: UUID) -> None:
    conn.execute(update(catalog_state).where(catalog_state.c.poller == process).values(poller=None, poller_until=None))


def note_polled(conn: Connection) -> None:
    """A cycle has ended; old history goes."""
    conn.execute(update(catalog_state).values(polled_at=func.now()))
    conn.execute(delete(upstream_checks).where(upstream_checks.c.checked_at < func.now() - _KEPT))


def list_health(conn: Connection) -> list[HealthRow]:
    return [HealthRow(**row._mapping) for row in conn.execute(select(upstream_health))]


def find_asked_sec(conn: Connection, *, upstream: str) -> float | None:
    """Seconds since any process asked `upstream`; None where none ever did, and when it is removed or switched off."""
    switched_off = exists().where(func.lower(upstreams.c.name) == upstream.lower(), upstreams.c.enabled.is_(False))
    since = func.extract("epoch", func.clock_timestamp() - upstream_health.c.checked_at)
    found = conn.scalar(select(since).where(upstream_health.c.upstream == upstream, ~switched_off))
    return None if found is None else float(found)


def lock_health(conn: Connection, *, upstream: str, base_url: str) -> tuple[HealthRow, datetime]:
    """The row, made when missing or when it is about another address, locked; and the database's time."""
    fresh = HealthRow(upstream, base_url)
    made = upsert(upstream_health).values(**{**asdict(fresh), "models": []})
    other = made.on_conflict_do_update(
        index_elements=["upstream"],
        set_={column.name: made.excluded[column.name] for column in upstream_health.c},
        where=upstream_health.c.base_url != base_url,
    )
    conn.execute(other)
    query = select(upstream_health, func.clock_timestamp().label("now")).where(upstream_health.c.upstream == upstream)
    values = dict(conn.execute(query.with_for_update()).one()._mapping)
    now = values.pop("now")
    return HealthRow(**values), now


def save_health(conn: Connection, *, row: HealthRow) -> None:
    """Writes a locked row back and lets every process read the view again."""
    values = {**asdict(row), "models": list(row.models)}
    conn.execute(update(upstream_health).where(upstream_health.c.upstream == row.upstream).values(**values))
    conn.execute(update(catalog_state).values(health_revision=catalog_state.c.health_revision + 1))


def add_check(conn: Connection, *, upstream: str, healthy: bool, latency_ms: float | None) -> None:
    conn.execute(insert(upstream_checks).values(upstream=upstream, healthy=healthy, latency_ms=latency_ms))


def list_days(conn: Connection) -> list[Day]:
    """Each upstream's last day."""
    shares = conn.execute(
        select(
            upstream_checks.c.upstream,
            func.count().label("checks"),
            func.count().filter(upstream_checks.c.healthy).label("well"),
        )
        .where(upstream_checks.c.checked_at > func.now() - _KEPT)
        .group_by(upstream_checks.c.upstream)
    ).all()
    recent = _recent_checks(conn)
    return [Day(row.upstream, row.well / row.checks, row.checks, tuple(recent.get(row.upstream, ()))) for row in shares]


def _recent_checks(conn: Connection) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    query = (
        select(upstream_checks)
        .where(upstream_checks.c.checked_at > func.now() - timedelta(hours=1))
        .order_by(upstream_checks.c.upstream, upstream_checks.c.checked_at)
    )
    for row in conn.execute(query):
        found.setdefault(row.upstream, []).append(Check(row.checked_at, row.healthy, row.latency_ms))
    return found
