"""Trials as a whole experiment has them: laid out, revived, run again, cancelled, counted.

`trial_claims` and `trial_ends` change their states while they run; locks are taken as `trial_claims` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, text, update

from db.schema import experiment_trials as trials
from db.trial_ends import TrialEnd


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


def list_places(conn: Connection, *, experiment_id: UUID, state: str | None = None) -> list[tuple[int, int, int]]:
    """(arm, case, repeat) of every trial there is, or of those in `state`."""
    query = select(trials.c.arm, trials.c.case_no, trials.c.repeat).where(
        trials.c.experiment_id == experiment_id, trials.c.judge.is_(None)
    )
    rows = conn.execute(query if state is None else query.where(trials.c.state == state))
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
    """Lets cancelled trials wait again, as if they had never run. Returns how many."""
    here = (trials.c.experiment_id == experiment_id) & (trials.c.state == "cancelled")
    anew = {"state": "waiting", "attempt": 0, "generation_id": None, "started_at": None, "ended_at": None}
    return conn.execute(update(trials).where(here).values(**anew)).rowcount


_DROP_JUDGEMENTS = """
DELETE FROM experiment_trials WHERE experiment_id = :experiment_id AND judge IS NOT NULL
AND (subject_id = ANY(:ids) OR against_id = ANY(:ids))
"""


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
    conn.execute(text(_DROP_JUDGEMENTS), {"experiment_id": experiment_id, "ids": ids})
    return _reset(conn, ids)


def reset_failed(conn: Connection, *, experiment_id: UUID) -> int:
    """Lets failed trials wait again, as if they had never run. Returns how many."""
    here = (trials.c.experiment_id == experiment_id) & (trials.c.state == "failed") & trials.c.judge.is_(None)
    ids = list(conn.execute(select(trials.c.id).where(here).with_for_update()).scalars())
    return _reset(conn, ids)


def _reset(conn: Connection, ids: Sequence[int]) -> int:
    empty = {field.name: None for field in fields(TrialEnd)} | {"state": "waiting", "attempt": 0, "ended_at": None}
    return conn.execute(update(trials).where(trials.c.id.in_(ids)).values(**empty)).rowcount if ids else 0


# ---- over, cancelled ---------------------------------------------------------------------------


# Each state has an index of its own: this is asked under a lock, of experiments that may have 100,000 trials.
_FINISH = """
UPDATE experiments SET ended_at = clock_timestamp(), updated_at = clock_timestamp(), reserved_usd = 0, state = CASE
  WHEN EXISTS (SELECT FROM experiment_trials WHERE experiment_id = :id AND state = 'cancelled' AND judge IS NULL)
  THEN 'cancelled' ELSE 'done' END
WHERE id = :id
AND NOT EXISTS (SELECT FROM experiment_trials WHERE experiment_id = :id AND state = 'waiting')
AND NOT EXISTS (SELECT FROM experiment_trials WHERE experiment_id = :id AND state = 'running')
"""


def finish_if_over(conn: Connection, *, experiment_id: UUID) -> bool:
    """Ends a running experiment when nothing waits or runs: done, or cancelled where trials of it are."""
    # Locked first: the second statement then sees the trials that an extension has just added.
    state = conn.execute(
        text("SELECT state FROM experiments WHERE id = :id FOR NO KEY UPDATE"), {"id": experiment_id}
    ).scalar_one_or_none()
    if state != "running":
        return False
    return conn.execute(text(_FINISH), {"id": experiment_id}).rowcount > 0


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
         WHERE ended_at > clock_timestamp() - make_interval(secs => :window_sec))),
       max(ended_at)
FROM experiment_trials WHERE experiment_id = :id GROUP BY 1, 2
"""


@dataclass(frozen=True)
class StateCount:
    """How many calls are in a state; `recent` of them ended in the window, the first `recent_sec` ago; the last of
    all at `last_at`.
    """

    judged: bool
    state: str
    count: int
    recent: int
    recent_sec: float | None
    last_at: datetime | None


def count_states(conn: Connection, *, experiment_id: UUID, window_sec: float) -> list[StateCount]:
    rows = conn.execute(text(_PROGRESS), {"id": experiment_id, "window_sec": window_sec})
    return [StateCount(row[0], row[1], row[2], row[3], _float(row[4]), row[5]) for row in rows]


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
