"""Trials as they end: done, failed, cancelled, or back to wait; and those whose call somebody else has ended.

Locks are taken as `trial_claims` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, func, select, text, update

from db.generations import run_each
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


@dataclass(frozen=True)
class TrialCall:
    """The call that a trial runs. Once another attempt has taken its place, nothing is changed by its name."""

    trial_id: int
    generation_id: UUID


_COUNT_ENDS = """
UPDATE experiments e SET cost_usd = e.cost_usd + :cost, unknown_costs = e.unknown_costs + :unknown,
       reserved_usd = greatest(e.reserved_usd - :reserved, 0), updated_at = clock_timestamp()
WHERE e.id = :id RETURNING e.state, e.max_attempts
"""


def count_ends(
    conn: Connection, *, experiment_id: UUID, costs_usd: Sequence[float | None], reserved_usd: float
) -> tuple[str, int] | None:
    """Adds what calls cost and gives back what was reserved for them all; (state, most attempts) of the experiment,
    None when it is gone.
    """
    known = [cost for cost in costs_usd if cost is not None]
    values = {"id": experiment_id, "cost": sum(known), "unknown": len(costs_usd) - len(known)}
    row = conn.execute(text(_COUNT_ENDS), values | {"reserved": reserved_usd}).one_or_none()
    return None if row is None else (row.state, row.max_attempts)


def end_trials(conn: Connection, *, ends: Sequence[tuple[TrialCall, TrialEnd]]) -> None:
    run_each(
        conn, _END_TRIAL, [_place(call) | {f"new_{name}": getattr(end, name) for name in _END} for call, end in ends]
    )


def put_back(conn: Connection, *, calls: Sequence[TrialCall]) -> None:
    """Lets trials wait for another attempt."""
    run_each(conn, _PUT_BACK, [_place(call) for call in calls])


def _place(call: TrialCall) -> dict[str, Any]:
    return {"trial": call.trial_id, "generation": call.generation_id}


# Built once: putting a statement of so many columns together takes longer than running it.
_END = tuple(field.name for field in fields(TrialEnd))
_RUNNING = update(trials).where(
    trials.c.id == bindparam("trial", type_=trials.c.id.type),
    trials.c.generation_id == bindparam("generation", type_=trials.c.generation_id.type),
    trials.c.state == "running",
)
_PUT_BACK = _RUNNING.values(state="waiting", reserved_usd=None)
_END_TRIAL = _RUNNING.values(
    **{name: bindparam(f"new_{name}", type_=trials.c[name].type) for name in _END},
    reserved_usd=None,
    ended_at=func.clock_timestamp(),
)


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
