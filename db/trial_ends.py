"""Trials as they end: done, failed, cancelled, or back to wait; and those whose call somebody else has ended.

Locks are taken as `trial_claims` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, func, select, text, update

from db.schema import experiment_trials as trials


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
    finish_reason: str | None = None
    error: str | None = None


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
