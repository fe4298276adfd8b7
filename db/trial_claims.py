"""Trials as they are claimed with their calls, under the locks that hold limits and caps for all workers.

Locks are taken in one order everywhere: experiments (by id), then the upstream, then trials.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, text

from db.schema import experiment_trials as trials


@dataclass(frozen=True)
class WaitingTrial:
    """A call that was not made yet. `generation_id` and `attempt` are of the attempt before, if there was one."""

    id: int
    experiment_id: UUID
    judge: int | None
    arm: int
    case_no: int
    repeat: int
    subject_id: int | None
    against_id: int | None
    swapped: bool | None
    upstream: str
    attempt: int
    generation_id: UUID | None
    cells: Sequence[str]


@dataclass(frozen=True)
class Gate:
    """What an experiment lets through: read under its lock. `role` is what its owner may do now."""

    id: UUID
    state: str
    calls: int
    max_calls: int | None
    cost_usd: float
    reserved_usd: float
    max_cost_usd: float | None
    calls_at_once: int | None
    calls_per_minute: float | None
    role: str


@dataclass(frozen=True)
class Lane:
    """An upstream under its lock: calls of all workers that run, the time, and when the next is due by rate."""

    running: int
    now: datetime
    next_at: datetime


@dataclass(frozen=True)
class Claim:
    """One trial and the call about to be opened for it."""

    trial_id: int
    generation_id: UUID
    reserved_usd: float | None


_LOT = """
SELECT t.id, t.experiment_id, t.judge, t.arm, t.case_no, t.repeat, t.subject_id, t.against_id, t.swapped, t.upstream,
       t.attempt, t.generation_id, c.cells
FROM experiment_trials t JOIN experiment_cases c ON c.experiment_id = t.experiment_id AND c.number = t.case_no
WHERE t.experiment_id = :experiment_id AND t.lot = :lot AND t.state = 'waiting' ORDER BY t.position
"""


def list_lot(conn: Connection, *, experiment_id: UUID, lot: int) -> list[WaitingTrial]:
    """The trials of a lot that still wait, in order."""
    return [WaitingTrial(*row) for row in conn.execute(text(_LOT), {"experiment_id": experiment_id, "lot": lot})]


def find_revision(conn: Connection, *, experiment_id: UUID) -> int | None:
    """Moves whenever workers must read the experiment anew; None when it is gone."""
    query = text("SELECT revision FROM experiments WHERE id = :id")
    return conn.execute(query, {"id": experiment_id}).scalar_one_or_none()


def drop(conn: Connection, *, trial_id: int) -> None:
    """Removes a judgement that has lost its subject."""
    conn.execute(delete(trials).where(trials.c.id == trial_id, trials.c.judge.is_not(None)))


_GATES = """
SELECT e.id, e.state, e.calls, e.max_calls, e.cost_usd, e.reserved_usd, e.max_cost_usd, e.calls_at_once,
       e.calls_per_minute, u.role
FROM experiments e JOIN users u ON u.id = e.user_id WHERE e.id = ANY(:ids) ORDER BY e.id FOR NO KEY UPDATE OF e
"""


def lock_gates(conn: Connection, *, ids: Collection[UUID]) -> dict[UUID, Gate]:
    """The experiments, held until the transaction ends; those that are gone are missing."""
    return {row.id: Gate(*row) for row in conn.execute(text(_GATES), {"ids": list(ids)})}


# No rate lets the next call wait for longer than the slowest does; a later time is of before the clock was set back.
_LANE = """
WITH lane AS (SELECT next_at FROM upstream_paces WHERE upstream = :upstream FOR UPDATE),
slowest AS (SELECT make_interval(secs => 60 / min(calls_per_minute)) AS every FROM experiments WHERE state = 'running')
SELECT (SELECT count(*) FROM experiment_trials WHERE upstream = :upstream AND state = 'running'), clock_timestamp(),
       CASE WHEN next_at > clock_timestamp() + every THEN clock_timestamp() ELSE next_at END FROM lane, slowest
"""


def lock_lane(conn: Connection, *, upstream: str) -> Lane:
    """The upstream's row, held until the transaction ends: workers take turns, so the count is true."""
    # Two statements: the count must be taken after the wait for the lock, or it would be of before.
    if not _lock_pace(conn, upstream):
        conn.execute(text("INSERT INTO upstream_paces (upstream) VALUES (:u) ON CONFLICT DO NOTHING"), {"u": upstream})
        _lock_pace(conn, upstream)
    return Lane(*conn.execute(text(_LANE), {"upstream": upstream}).one())


def _lock_pace(conn: Connection, upstream: str) -> bool:
    found = conn.execute(text("SELECT 1 FROM upstream_paces WHERE upstream = :u FOR UPDATE"), {"u": upstream})
    return found.one_or_none() is not None


def set_next_at(conn: Connection, *, upstream: str, next_at: datetime) -> None:
    conn.execute(text("UPDATE upstream_paces SET next_at = :at WHERE upstream = :u"), {"at": next_at, "u": upstream})


_CLAIM = """
UPDATE experiment_trials t SET state = 'running', generation_id = c.generation_id, reserved_usd = c.reserved_usd,
       attempt = t.attempt + 1, started_at = clock_timestamp()
FROM unnest(CAST(:ids AS bigint[]), CAST(:generations AS uuid[]), CAST(:reserved AS float8[]))
     AS c(id, generation_id, reserved_usd)
WHERE t.id = c.id AND t.state = 'waiting' RETURNING t.id
"""


def claim(conn: Connection, *, claims: Sequence[Claim]) -> set[int]:
    """Sets the trials running, each with its generation; returns those that were still waiting."""
    values = {
        "ids": [one.trial_id for one in claims],
        "generations": [one.generation_id for one in claims],
        "reserved": [one.reserved_usd for one in claims],
    }
    return set(conn.execute(text(_CLAIM), values).scalars())


def count_calls(conn: Connection, *, experiment_id: UUID, calls: int, retries: int, reserved_usd: float) -> None:
    conn.execute(
        text(
            "UPDATE experiments SET calls = calls + :calls, retries = retries + :retries, "
            "reserved_usd = reserved_usd + :reserved WHERE id = :id"
        ),
        {"id": experiment_id, "calls": calls, "retries": retries, "reserved": reserved_usd},
    )


def pause(conn: Connection, *, experiment_id: UUID, because: str) -> None:
    """Pauses a running experiment by itself, with the reason for people."""
    conn.execute(
        text("UPDATE experiments SET state = 'paused', paused_because = :why WHERE id = :id AND state = 'running'"),
        {"id": experiment_id, "why": because},
    )


def pause_all_of(conn: Connection, *, user_id: int, because: str) -> None:
    """Pauses every running experiment of a person."""
    conn.execute(
        text(
            "UPDATE experiments SET state = 'paused', paused_because = :why WHERE user_id = :id AND state = 'running'"
        ),
        {"id": user_id, "why": because},
    )
