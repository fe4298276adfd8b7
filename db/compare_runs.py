"""Runs of comparisons: what was asked in their panes, what came of it, and the votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from db.schema import comparison_answers, comparison_panes, comparison_runs, comparison_votes


@dataclass(frozen=True)
class RunRow:
    """One prompt as it was sent."""

    id: UUID
    prompt: str
    is_blind: bool
    created_at: datetime


@dataclass(frozen=True)
class NewAnswer:
    """What a pane is asked with; without `generation_id` it was not asked, because of `problem`."""

    run_id: UUID
    pane_id: UUID
    request_key: UUID
    attempt: int
    model_name: str
    upstream: str
    params: Mapping[str, Any]
    system_prompt_sent: str
    generation_id: UUID | None = None
    fingerprint: str | None = None
    problem: Mapping[str, str] | None = None


@dataclass(frozen=True)
class AnswerRow:
    """The last thing a pane was asked, with what came of it. `sent`: the body the upstream got, without messages."""

    id: int
    run_id: UUID
    pane_id: UUID
    prompt: str
    attempt: int
    generation_id: UUID | None
    model_name: str
    upstream: str
    params: Mapping[str, Any]
    system_prompt_sent: str
    fingerprint: str | None
    problem: Mapping[str, str] | None
    created_at: datetime
    content: str | None
    status: str | None
    metrics: Mapping[str, Any] | None
    sent: Mapping[str, Any] | None


@dataclass(frozen=True)
class VoteRow:
    """A person's vote on a run; `answer_id` and `pane_id` of the best answer."""

    run_id: UUID
    choice: str
    answer_id: int | None
    pane_id: UUID | None
    is_blind: bool
    created_at: datetime


# Which answers a vote was on is told by what came before it and what after. All three writers hold the comparison's
# lock and stamp the later one later, also when the clock is set back in between.
INSTANT = text("interval '1 microsecond'")


def now_after(*stamps: Any) -> Any:
    """The time of the statement (a transaction's may stand before the lock was had), but not before `stamps`."""
    return func.greatest(func.clock_timestamp(), *stamps)


# ---- runs --------------------------------------------------------------------------------------


def insert_run(conn: Connection, *, run_id: UUID, comparison_id: UUID, prompt: str, is_blind: bool) -> None:
    # The time of the statement: runs are told apart by it, and a transaction's may stand before an earlier run's.
    stamp = func.clock_timestamp()
    values = {"id": run_id, "comparison_id": comparison_id, "prompt": prompt, "is_blind": is_blind}
    conn.execute(insert(comparison_runs).values(**values, created_at=stamp))


def uncover_run(conn: Connection, *, run_id: UUID) -> None:
    """Names are hidden no more."""
    conn.execute(update(comparison_runs).where(comparison_runs.c.id == run_id).values(is_blind=False))


def find_last_run(conn: Connection, *, comparison_id: UUID) -> RunRow | None:
    query = select(*(comparison_runs.c[name] for name in RunRow.__dataclass_fields__))
    query = query.where(comparison_runs.c.comparison_id == comparison_id)
    order = (comparison_runs.c.created_at.desc(), comparison_runs.c.id.desc())
    row = conn.execute(query.order_by(*order).limit(1)).one_or_none()
    return RunRow(*row) if row else None


def was_asked(conn: Connection, *, comparison_id: UUID, request_key: UUID) -> bool:
    """Whether this press has reached us before."""
    query = (
        select(comparison_answers.c.id)
        .join(comparison_panes, comparison_panes.c.id == comparison_answers.c.pane_id)
        .where(comparison_panes.c.comparison_id == comparison_id, comparison_answers.c.request_key == request_key)
    )
    return conn.execute(query.limit(1)).one_or_none() is not None


def insert_answer(conn: Connection, *, answer: NewAnswer) -> None:
    """Callers have locked the comparison."""
    values = {name: getattr(answer, name) for name in NewAnswer.__dataclass_fields__}
    voted = select(func.max(comparison_votes.c.created_at)).where(comparison_votes.c.run_id == answer.run_id)
    stamp = now_after(voted.scalar_subquery() + INSTANT)
    conn.execute(insert(comparison_answers).values(**values, created_at=stamp))


_ANSWERS = """
SELECT DISTINCT ON (a.pane_id) a.id, a.run_id, a.pane_id, r.prompt, a.attempt, a.generation_id, a.model_name,
    a.upstream, a.params, a.system_prompt_sent, a.fingerprint, a.problem, a.created_at,
    t.content, t.status, t.metrics_json AS metrics, u.sent
FROM comparison_answers a
JOIN comparison_runs r ON r.id = a.run_id
LEFT JOIN answers t ON t.generation_id = a.generation_id
LEFT JOIN usage u ON u.generation_id = a.generation_id
WHERE r.comparison_id = :comparison_id
ORDER BY a.pane_id, a.id DESC
"""


def list_last_answers(conn: Connection, *, comparison_id: UUID) -> list[AnswerRow]:
    """The newest of each pane, removed panes' among them, in no particular order."""
    rows = conn.execute(text(_ANSWERS), {"comparison_id": comparison_id})
    return [AnswerRow(*row) for row in rows]


_STREAMING = """
SELECT a.pane_id, g.id FROM comparison_answers a JOIN comparison_runs r ON r.id = a.run_id
JOIN generations g ON g.id = a.generation_id
WHERE r.comparison_id = :comparison_id AND g.status = 'streaming'
"""


def list_streaming(conn: Connection, *, comparison_id: UUID) -> list[tuple[UUID, UUID]]:
    """Pane and generation of all that is still coming."""
    rows = conn.execute(text(_STREAMING), {"comparison_id": comparison_id})
    return [(row.pane_id, row.id) for row in rows]


# ---- votes -------------------------------------------------------------------------------------


def set_vote(
    conn: Connection, *, run_id: UUID, user_id: int, choice: str, answer_id: int | None, is_blind: bool
) -> None:
    """The person's one vote on the run; voting again replaces it. Callers have locked the comparison."""
    came = select(func.max(comparison_answers.c.created_at)).where(comparison_answers.c.run_id == run_id)
    went = select(func.max(comparison_panes.c.removed_at)).join(
        comparison_runs, comparison_runs.c.comparison_id == comparison_panes.c.comparison_id
    )
    stamp = now_after(came.scalar_subquery(), went.where(comparison_runs.c.id == run_id).scalar_subquery())
    values = {"choice": choice, "answer_id": answer_id, "is_blind": is_blind, "created_at": stamp}
    query = pg_insert(comparison_votes).values(run_id=run_id, user_id=user_id, **values)
    conn.execute(query.on_conflict_do_update(index_elements=["run_id", "user_id"], set_=values))


def find_vote(conn: Connection, *, run_id: UUID, user_id: int) -> VoteRow | None:
    query = (
        select(
            comparison_votes.c.run_id,
            comparison_votes.c.choice,
            comparison_votes.c.answer_id,
            comparison_answers.c.pane_id,
            comparison_votes.c.is_blind,
            comparison_votes.c.created_at,
        )
        .outerjoin(comparison_answers, comparison_answers.c.id == comparison_votes.c.answer_id)
        .where(comparison_votes.c.run_id == run_id, comparison_votes.c.user_id == user_id)
    )
    row = conn.execute(query).one_or_none()
    return VoteRow(*row) if row else None


_BALLOT = """
SELECT DISTINCT ON (a.pane_id) a.pane_id, a.id
FROM comparison_votes v
JOIN comparison_answers a ON a.run_id = v.run_id AND a.created_at <= v.created_at
JOIN comparison_panes p ON p.id = a.pane_id AND (p.removed_at IS NULL OR p.removed_at > v.created_at)
WHERE v.run_id = :run_id AND v.user_id = :user_id
ORDER BY a.pane_id, a.id DESC
"""


def get_ballot(conn: Connection, *, run_id: UUID, user_id: int) -> dict[UUID, int]:
    """The answers among which the person's vote was given, by pane: those that were on the page then."""
    rows = conn.execute(text(_BALLOT), {"run_id": run_id, "user_id": user_id})
    return {row.pane_id: row.id for row in rows}


# ---- all runs ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunCounts:
    """How many runs a comparison has had, and votes of its person on them."""

    runs: int
    votes: int


_COUNTS = """
SELECT count(*), count(v.run_id) FROM comparison_runs r
LEFT JOIN comparison_votes v ON v.run_id = r.id AND v.user_id = :user_id
WHERE r.comparison_id = :comparison_id
"""


def count_runs(conn: Connection, *, comparison_id: UUID, user_id: int) -> RunCounts:
    parameters = {"comparison_id": comparison_id, "user_id": user_id}
    return RunCounts(*conn.execute(text(_COUNTS), parameters).one())


_RUNS = """
SELECT r.id, r.prompt, r.is_blind, r.created_at, v.choice, v.answer_id, a.pane_id, v.is_blind, v.created_at
FROM comparison_runs r
LEFT JOIN comparison_votes v ON v.run_id = r.id AND v.user_id = :user_id
LEFT JOIN comparison_answers a ON a.id = v.answer_id
WHERE r.comparison_id = :comparison_id AND (CAST(:run_id AS uuid) IS NULL OR r.id = :run_id)
ORDER BY r.created_at DESC, r.id DESC
"""


def list_runs(
    conn: Connection, *, comparison_id: UUID, user_id: int, run_id: UUID | None = None
) -> list[tuple[RunRow, VoteRow | None]]:
    """All of them, or the one; newest first, with the person's vote on each."""
    found = conn.execute(text(_RUNS), {"comparison_id": comparison_id, "user_id": user_id, "run_id": run_id})
    return [(RunRow(*row[:4]), VoteRow(row[0], *row[4:]) if row[4] else None) for row in found]


_RUN_ANSWERS = """
SELECT DISTINCT ON (a.run_id, a.first_id) a.id, a.run_id, a.pane_id, a.prompt, a.attempt, a.generation_id, a.model_name,
    a.upstream, a.params, a.system_prompt_sent, a.fingerprint, a.problem, a.created_at,
    CASE WHEN :with_texts THEN t.content ELSE left(t.content, 1) END AS content, t.status, t.metrics_json AS metrics,
    NULL AS sent
FROM (
    SELECT a.*, r.prompt, min(a.id) OVER (PARTITION BY a.run_id, a.pane_id) AS first_id  -- as panes were asked
    FROM comparison_runs r
    JOIN comparison_answers a ON a.run_id = r.id
    JOIN comparison_panes p ON p.id = a.pane_id
    LEFT JOIN comparison_votes v ON v.run_id = r.id AND v.user_id = :user_id
    WHERE r.comparison_id = :comparison_id AND (CAST(:run_id AS uuid) IS NULL OR r.id = :run_id)
        AND (v.run_id IS NULL OR (
            a.created_at <= v.created_at AND (p.removed_at IS NULL OR p.removed_at > v.created_at)))
) a
LEFT JOIN answers t ON t.generation_id = a.generation_id
ORDER BY a.run_id, a.first_id, a.id DESC
"""


def list_run_answers(
    conn: Connection, *, comparison_id: UUID, user_id: int, run_id: UUID | None = None, with_texts: bool
) -> list[AnswerRow]:
    """Of all runs, or one: the answers that stood there when it was voted on, else the last of each pane; those of a
    run in the order in which they were asked for. Without texts, only the first character of each is read: enough to
    tell whether there is one.
    """
    asked = {"comparison_id": comparison_id, "user_id": user_id, "run_id": run_id, "with_texts": with_texts}
    return [AnswerRow(*row) for row in conn.execute(text(_RUN_ANSWERS), asked)]
