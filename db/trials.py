"""Trials as they are run: laid out, claimed with their calls, ended, put back. Every change of state is here.

Locks are taken in one order everywhere: experiments (by id), then the upstream, then trials.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, func, select, text, update

from db.schema import experiment_trials as trials


@dataclass(frozen=True)
class NewTrial:
    """A call to make; with `judge` it judges `subject_id` (and `against_id`)."""

    arm: int
    case_no: int
    repeat: int
    lot: int
    position: int
    upstream: str
    judge: int | None = None
    subject_id: int | None = None
    against_id: int | None = None
    swapped: bool | None = None


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
    """What an experiment lets through: read under its lock."""

    id: UUID
    state: str
    calls: int
    max_calls: int | None
    cost_usd: float
    reserved_usd: float
    max_cost_usd: float | None
    calls_at_once: int | None
    calls_per_minute: float | None


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


@dataclass(frozen=True)
class TrialEnd:
    """What is kept of a trial that has ended; None is unknown."""

    state: str
    score: float | None = None
    passed: bool | None = None
    winner: str | None = None
    rule_scores: Sequence[Mapping[str, Any]] | None = None
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    duration_ms: float | None = None
    answer_hash: int | None = None
    error: str | None = None


# ---- laying out --------------------------------------------------------------------------------

_INSERT = """
INSERT INTO experiment_trials (experiment_id, arm, case_no, repeat, lot, position, upstream,
                               judge, subject_id, against_id, swapped)
SELECT :experiment_id, * FROM unnest(CAST(:arm AS int[]), CAST(:case_no AS int[]), CAST(:repeat AS int[]),
  CAST(:lot AS int[]), CAST(:position AS int[]), CAST(:upstream AS text[]), CAST(:judge AS smallint[]),
  CAST(:subject_id AS bigint[]), CAST(:against_id AS bigint[]), CAST(:swapped AS boolean[]))
ON CONFLICT DO NOTHING
"""


def insert_trials(conn: Connection, *, experiment_id: UUID, rows: Sequence[NewTrial]) -> None:
    """All of them in one statement; a trial that stands already is left alone."""
    columns = {field.name: [getattr(row, field.name) for row in rows] for field in fields(NewTrial)}
    conn.execute(text(_INSERT), {"experiment_id": experiment_id, **columns})


def list_places(conn: Connection, *, experiment_id: UUID) -> list[tuple[int, int, int]]:
    """(arm, case, repeat) of every trial there is."""
    query = select(trials.c.arm, trials.c.case_no, trials.c.repeat)
    rows = conn.execute(query.where(trials.c.experiment_id == experiment_id, trials.c.judge.is_(None)))
    return [(row.arm, row.case_no, row.repeat) for row in rows]


def next_places(conn: Connection, *, experiment_id: UUID) -> tuple[int, int]:
    """The first free lot and position."""
    query = text(
        "SELECT coalesce(max(lot) + 1, 0), coalesce(max(position) + 1, 0) FROM experiment_trials "
        "WHERE experiment_id = :id"
    )
    lot, position = conn.execute(query, {"id": experiment_id}).one()
    return lot, position


def revive_cancelled(conn: Connection, *, experiment_id: UUID) -> int:
    """Lets cancelled trials wait again. Returns how many."""
    here = (trials.c.experiment_id == experiment_id) & (trials.c.state == "cancelled")
    return conn.execute(update(trials).where(here).values(state="waiting", ended_at=None)).rowcount


def reset_cell(conn: Connection, *, experiment_id: UUID, arm: int, case_no: int) -> int | None:
    """Lets the repeats of a cell run again; None, and nothing is done, while one of them waits or runs.

    Judgements of the old answers go.
    """
    here = (
        (trials.c.experiment_id == experiment_id)
        & (trials.c.arm == arm)
        & (trials.c.case_no == case_no)
        & trials.c.judge.is_(None)
    )
    rows = conn.execute(select(trials.c.id, trials.c.state).where(here).with_for_update()).all()
    if any(row.state in ("waiting", "running") for row in rows):
        return None
    ids = [row.id for row in rows]
    conn.execute(
        text("DELETE FROM experiment_trials WHERE subject_id = ANY(:ids) OR against_id = ANY(:ids)"), {"ids": ids}
    )
    empty = {field.name: None for field in fields(TrialEnd)} | {"state": "waiting", "attempt": 0, "ended_at": None}
    return conn.execute(update(trials).where(trials.c.id.in_(ids)).values(**empty)).rowcount


# ---- claiming ----------------------------------------------------------------------------------

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
SELECT id, state, calls, max_calls, cost_usd, reserved_usd, max_cost_usd, calls_at_once, calls_per_minute
FROM experiments WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE
"""


def lock_gates(conn: Connection, *, ids: Collection[UUID]) -> dict[UUID, Gate]:
    """The experiments, held until the transaction ends; those that are gone are missing."""
    return {row.id: Gate(*row) for row in conn.execute(text(_GATES), {"ids": list(ids)})}


_LANE = """
WITH lane AS (SELECT next_at FROM upstream_paces WHERE upstream = :upstream FOR UPDATE)
SELECT (SELECT count(*) FROM experiment_trials WHERE upstream = :upstream AND state = 'running'),
       clock_timestamp(), next_at FROM lane
"""


def lock_lane(conn: Connection, *, upstream: str) -> Lane:
    """The upstream's row, held until the transaction ends: workers take turns, so the count is true."""
    # Two statements: the count must be taken after the wait for the lock, or it would be of before.
    conn.execute(text("INSERT INTO upstream_paces (upstream) VALUES (:u) ON CONFLICT DO NOTHING"), {"u": upstream})
    conn.execute(text("SELECT 1 FROM upstream_paces WHERE upstream = :u FOR UPDATE"), {"u": upstream})
    return Lane(*conn.execute(text(_LANE), {"upstream": upstream}).one())


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


# ---- ending ------------------------------------------------------------------------------------

_COUNT_END = """
UPDATE experiments e SET cost_usd = e.cost_usd + :cost, unknown_costs = e.unknown_costs + :unknown,
       reserved_usd = greatest(e.reserved_usd - :reserved, 0), updated_at = clock_timestamp()
WHERE e.id = :id RETURNING e.state, e.max_attempts
"""


def count_end(
    conn: Connection, *, experiment_id: UUID, cost_usd: float | None, reserved_usd: float
) -> tuple[str, int] | None:
    """Adds what a call cost and gives back what was reserved for it; (state, most attempts), None when it is gone."""
    values = {"id": experiment_id, "cost": cost_usd or 0.0, "unknown": cost_usd is None, "reserved": reserved_usd}
    row = conn.execute(text(_COUNT_END), values | {"unknown": int(cost_usd is None)}).one_or_none()
    return None if row is None else (row.state, row.max_attempts)


def end_trial(conn: Connection, *, trial_id: int, generation_id: UUID, end: TrialEnd) -> None:
    """Ends a trial; nothing when another attempt has taken its place."""
    values = {f"new_{name}": getattr(end, name) for name in _END}
    conn.execute(_END_TRIAL, values | {"trial": trial_id, "generation": generation_id})


# Built once: putting a statement of so many columns together takes longer than running it.
_END = tuple(field.name for field in fields(TrialEnd))
_END_TRIAL = (
    update(trials)
    .where(
        trials.c.id == bindparam("trial", type_=trials.c.id.type),
        trials.c.generation_id == bindparam("generation", type_=trials.c.generation_id.type),
        trials.c.state == "running",
    )
    .values(
        **{name: bindparam(f"new_{name}", type_=trials.c[name].type) for name in _END},
        reserved_usd=None,
        ended_at=func.clock_timestamp(),
    )
)


def put_back(conn: Connection, *, trial_id: int, generation_id: UUID) -> None:
    """Lets a trial wait for another attempt."""
    here = (trials.c.id == trial_id) & (trials.c.generation_id == generation_id) & (trials.c.state == "running")
    conn.execute(update(trials).where(here).values(state="waiting", reserved_usd=None))


_ORPHANS = """
SELECT t.id, t.experiment_id, t.generation_id, t.attempt, t.reserved_usd, u.cost_usd
FROM experiment_trials t LEFT JOIN generations g ON g.id = t.generation_id
LEFT JOIN usage u ON u.generation_id = t.generation_id
WHERE t.state = 'running' AND (g.id IS NULL OR g.status <> 'streaming')
"""


@dataclass(frozen=True)
class Orphan:
    """A trial whose call was ended by somebody else than its worker: the reaper, after a crash."""

    id: int
    experiment_id: UUID
    generation_id: UUID
    attempt: int
    reserved_usd: float | None
    cost_usd: float | None


def list_orphans(conn: Connection) -> list[Orphan]:
    return [Orphan(*row) for row in conn.execute(text(_ORPHANS))]


def lock_running(conn: Connection, *, trial_id: int, generation_id: UUID) -> bool:
    """Whether the trial still runs this very call; if so it is held until the transaction ends."""
    here = (trials.c.id == trial_id) & (trials.c.generation_id == generation_id) & (trials.c.state == "running")
    return conn.execute(select(trials.c.id).where(here).with_for_update()).one_or_none() is not None


# ---- over, cancelled ---------------------------------------------------------------------------


def finish_if_over(conn: Connection, *, experiment_id: UUID) -> bool:
    """Marks a running experiment done when nothing waits or runs."""
    # Locked first: the second statement then sees the trials that an extension has just added.
    state = conn.execute(
        text("SELECT state FROM experiments WHERE id = :id FOR NO KEY UPDATE"), {"id": experiment_id}
    ).scalar_one_or_none()
    if state != "running":
        return False
    done = conn.execute(
        text(
            "UPDATE experiments SET state = 'done', ended_at = clock_timestamp(), updated_at = clock_timestamp(), "
            "reserved_usd = 0 WHERE id = :id AND NOT EXISTS (SELECT FROM experiment_trials "
            "WHERE experiment_id = :id AND state IN ('waiting', 'running'))"
        ),
        {"id": experiment_id},
    )
    return done.rowcount > 0


def list_running_experiments(conn: Connection) -> list[UUID]:
    return list(conn.execute(text("SELECT id FROM experiments WHERE state = 'running'")).scalars())


def cancel_waiting(conn: Connection, *, experiment_id: UUID) -> None:
    here = (trials.c.experiment_id == experiment_id) & (trials.c.state == "waiting")
    conn.execute(update(trials).where(here).values(state="cancelled"))


def list_running_calls(conn: Connection, *, experiment_id: UUID) -> list[UUID]:
    """Generations of trials that run now."""
    here = (trials.c.experiment_id == experiment_id) & (trials.c.state == "running")
    return [found for found in conn.execute(select(trials.c.generation_id).where(here)).scalars() if found is not None]


# ---- progress ----------------------------------------------------------------------------------

_PROGRESS = """
SELECT judge IS NOT NULL AS judged, state, count(*),
       count(*) FILTER (WHERE ended_at > clock_timestamp() - make_interval(secs => :window_sec)),
       extract(epoch FROM clock_timestamp() - min(ended_at) FILTER (
         WHERE ended_at > clock_timestamp() - make_interval(secs => :window_sec)))
FROM experiment_trials WHERE experiment_id = :id GROUP BY 1, 2
"""


@dataclass(frozen=True)
class StateCount:
    """How many calls are in a state; `recent` of them ended in the window, the first `recent_sec` ago."""

    judged: bool
    state: str
    count: int
    recent: int
    recent_sec: float | None


def count_states(conn: Connection, *, experiment_id: UUID, window_sec: float) -> list[StateCount]:
    rows = conn.execute(text(_PROGRESS), {"id": experiment_id, "window_sec": window_sec})
    return [StateCount(row[0], row[1], row[2], row[3], None if row[4] is None else float(row[4])) for row in rows]
