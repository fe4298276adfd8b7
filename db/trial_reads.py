"""Reading trials one by one: whole, with their attempts, and everything for exports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

# ---- whole trials ------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrialRow:
    """A trial with the answer of its newest attempt."""

    id: int
    arm: int
    case_no: int
    repeat: int
    state: str
    attempt: int
    generation_id: UUID | None
    score: float | None
    passed: bool | None
    rule_scores: Sequence[Mapping[str, Any]] | None
    error: str | None
    content: str | None
    metrics_json: Mapping[str, Any] | None


_TRIALS = f"""
SELECT {", ".join(f"t.{field.name}" for field in fields(TrialRow)[:-2])}, a.content, a.metrics_json
FROM experiment_trials t LEFT JOIN answers a ON a.generation_id = t.generation_id AND t.state = 'done'
WHERE t.experiment_id = :id AND t.judge IS NULL
"""


def list_cell_trials(conn: Connection, *, experiment_id: UUID, arm: int, case_no: int) -> list[TrialRow]:
    query = text(_TRIALS + " AND t.arm = :arm AND t.case_no = :case_no ORDER BY t.repeat")
    return [TrialRow(*row) for row in conn.execute(query, {"id": experiment_id, "arm": arm, "case_no": case_no})]


_FILTERS = {
    "arms": " AND t.arm = ANY(CAST(:arms AS int[]))",
    "cases": " AND t.case_no = ANY(CAST(:cases AS int[]))",
    "states": " AND t.state = ANY(CAST(:states AS text[]))",
}
# In the order of the index that holds each place once, which is read from where the page begins.
_NEXT = """
 AND (t.case_no, t.arm, t.repeat) > (CAST(:case_no AS int), CAST(:arm AS int), CAST(:repeat AS int))
ORDER BY t.case_no, t.arm, t.repeat LIMIT :limit
"""


def list_trials(
    conn: Connection,
    *,
    experiment_id: UUID,
    arms: Collection[int],
    cases: Collection[int],
    states: Collection[str],
    after: tuple[int, int, int],
    limit: int,
) -> list[TrialRow]:
    """Trials by case, arm and repeat, those behind the place `after` (in this order). An empty filter lets all pass."""
    wanted = {"arms": list(arms), "cases": list(cases), "states": list(states)}
    chosen = "".join(condition for name, condition in _FILTERS.items() if wanted[name])
    place = dict(zip(("case_no", "arm", "repeat"), after, strict=True))
    rows = conn.execute(text(_TRIALS + chosen + _NEXT), {"id": experiment_id, "limit": limit, **place, **wanted})
    return [TrialRow(*row) for row in rows]


def find_trial(conn: Connection, *, experiment_id: UUID, trial_id: int) -> TrialRow | None:
    row = conn.execute(text(_TRIALS + " AND t.id = :trial"), {"id": experiment_id, "trial": trial_id}).one_or_none()
    return TrialRow(*row) if row else None


@dataclass(frozen=True)
class AttemptRow:
    """One call of a trial, from its usage row."""

    generation_id: UUID
    attempt: int
    status: str
    model: str
    model_used: str | None
    created_at: datetime
    ended_at: datetime | None
    ttft_ms: float | None
    duration_ms: float | None
    tokens_per_second: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: float | None
    finish_reason: str | None
    error_message: str | None
    request_id: str | None
    fingerprint: str | None
    sent: Mapping[str, Any] | None


_ATTEMPTS = f"""
WITH RECURSIVE chain AS (
  SELECT generation_id, retry_of FROM usage WHERE generation_id = :id
  UNION SELECT u.generation_id, u.retry_of FROM usage u JOIN chain c ON u.generation_id = c.retry_of)
SELECT {", ".join(f"u.{field.name}" for field in fields(AttemptRow))}
FROM chain JOIN usage u USING (generation_id) ORDER BY u.created_at
"""


def list_attempts(conn: Connection, *, generation_id: UUID) -> list[AttemptRow]:
    """The call and all that it was a retry of, the first one first."""
    return [AttemptRow(*row) for row in conn.execute(text(_ATTEMPTS), {"id": generation_id})]


# ---- exports -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExportRow:
    """All of one trial."""

    id: int
    arm: int
    case_no: int
    repeat: int
    position: int
    state: str
    attempt: int
    score: float | None
    passed: bool | None
    rule_scores: Sequence[Mapping[str, Any]] | None
    ttft_ms: float | None
    tokens_per_second: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: float | None
    duration_ms: float | None
    finish_reason: str | None
    error: str | None
    started_at: datetime | None
    ended_at: datetime | None
    content: str | None
    hand_score: float | None
    hand_notes: str | None
    judge_scores: Mapping[str, float] | None
    cells: Sequence[str]


_OF_ANSWER = {
    "finish_reason": "coalesce(t.finish_reason, a.metrics_json ->> 'finish_reason')",  # trials were once without
    "reasoning_tokens": "CAST(a.metrics_json ->> 'reasoning_tokens' AS int)",
}
_OWN = ", ".join(_OF_ANSWER.get(field.name, f"t.{field.name}") for field in fields(ExportRow)[:-5])
_EXPORT = f"""
SELECT {_OWN}, a.content, h.score, h.notes, j.scores, c.cells
FROM experiment_trials t
JOIN experiment_cases c ON c.experiment_id = t.experiment_id AND c.number = t.case_no
LEFT JOIN answers a ON a.generation_id = t.generation_id AND t.state = 'done'
LEFT JOIN LATERAL (SELECT avg(s.score) AS score, string_agg(nullif(s.note, ''), E'\\n' ORDER BY s.created_at) AS notes
  FROM experiment_hand_scores s
  WHERE s.trial_id = t.id AND s.generation_id = t.generation_id) h ON true
LEFT JOIN LATERAL (SELECT jsonb_object_agg(x.judge, x.score) AS scores FROM experiment_trials x
  WHERE x.subject_id = t.id AND x.judge IS NOT NULL AND x.against_id IS NULL AND x.score IS NOT NULL) j ON true
WHERE t.experiment_id = :id AND t.judge IS NULL AND t.id > :after ORDER BY t.id LIMIT :limit
"""


def list_export_rows(conn: Connection, *, experiment_id: UUID, after: int, limit: int) -> list[ExportRow]:
    """The next `limit` trials after id `after`: pages, so that no connection is held while somebody downloads."""
    rows = conn.execute(text(_EXPORT), {"id": experiment_id, "after": after, "limit": limit})
    return [ExportRow(*row) for row in rows]


# ---- measurements ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """One stored call of a model."""

    prompt_tokens: int | None
    completion_tokens: int | None
    duration_ms: float | None


def list_measured(conn: Connection, *, upstream: str, model: str, limit: int) -> list[Measured]:
    """The newest complete calls of a model, whoever made them: no texts, only figures."""
    query = text(
        "SELECT prompt_tokens, completion_tokens, duration_ms FROM usage WHERE upstream = :upstream "
        "AND model = :model AND status = 'complete' AND created_at > now() - interval '90 days' "
        "ORDER BY created_at DESC LIMIT :limit"
    )
    return [Measured(*row) for row in conn.execute(query, {"upstream": upstream, "model": model, "limit": limit})]
