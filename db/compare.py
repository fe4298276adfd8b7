"""Comparisons: their panes, what was asked and answered in them, and the votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from db.call_ends import hold_calls
from db.schema import (
    chat_sessions,
    comparison_answers,
    comparison_panes,
    comparison_runs,
    comparison_votes,
    comparisons,
)

NOW = func.now()


@dataclass(frozen=True)
class ComparisonRow:
    """A row of comparisons. `history` holds messages as `{"role": ..., "content": ...}`."""

    id: UUID
    user_id: int
    title: str
    title_is_custom: bool
    prompt: str
    variables: Mapping[str, str]
    history: Sequence[Mapping[str, str]]
    is_blind: bool
    begun_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ComparisonSummary:
    """A line of the history."""

    id: UUID
    title: str
    updated_at: datetime
    streaming: bool


@dataclass(frozen=True)
class PaneRow:
    """A pane that is on the page; `params` by name, the system prompt among them."""

    id: UUID
    position: int
    model_name: str
    upstream: str
    params: Mapping[str, Any]


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
_INSTANT = text("interval '1 microsecond'")


def _now_after(*stamps: Any) -> Any:
    """The time of the statement (a transaction's may stand before the lock was had), but not before `stamps`."""
    return func.greatest(func.clock_timestamp(), *stamps)


# ---- comparisons -------------------------------------------------------------------------------

_COLUMNS = [comparisons.c[name] for name in ComparisonRow.__dataclass_fields__]


def find_comparison(
    conn: Connection, *, user_id: int, comparison_id: UUID, for_update: bool = False
) -> ComparisonRow | None:
    """The person's own, or None: missing and not yours look the same."""
    query = select(*_COLUMNS).where(comparisons.c.id == comparison_id, comparisons.c.user_id == user_id)
    row = conn.execute(query.with_for_update() if for_update else query).one_or_none()
    return ComparisonRow(*row) if row else None


def find_last(conn: Connection, *, user_id: int) -> ComparisonRow | None:
    """The one touched last, also when nothing was changed in it yet."""
    query = select(*_COLUMNS).where(comparisons.c.user_id == user_id)
    order = (comparisons.c.updated_at.desc(), comparisons.c.id.desc())
    row = conn.execute(query.order_by(*order).limit(1)).one_or_none()
    return ComparisonRow(*row) if row else None


def find_fresh(conn: Connection, *, user_id: int) -> ComparisonRow | None:
    """The one in which nothing was changed yet."""
    query = select(*_COLUMNS).where(comparisons.c.user_id == user_id, comparisons.c.begun_at.is_(None))
    row = conn.execute(query).one_or_none()
    return ComparisonRow(*row) if row else None


def insert_comparison(conn: Connection, *, comparison_id: UUID, user_id: int, **columns: Any) -> bool:
    """False when it would be a second fresh one: another tab was quicker."""
    query = pg_insert(comparisons).values(id=comparison_id, user_id=user_id, **columns).on_conflict_do_nothing()
    return conn.execute(query).rowcount == 1


def update_comparison(conn: Connection, *, comparison_id: UUID, **columns: Any) -> None:
    """Sets columns; the comparison moves to the top and has begun. Callers have found it as the person's own."""
    begun = {"begun_at": func.coalesce(comparisons.c.begun_at, NOW), "updated_at": NOW}
    conn.execute(update(comparisons).where(comparisons.c.id == comparison_id).values(**begun | columns))


_LIST = """
SELECT c.id, c.title, c.updated_at, EXISTS (
    SELECT 1 FROM comparison_runs r JOIN comparison_answers a ON a.run_id = r.id
    JOIN generations g ON g.id = a.generation_id
    WHERE r.comparison_id = c.id AND g.status = 'streaming') AS streaming
FROM comparisons c
WHERE c.user_id = :user_id AND c.begun_at IS NOT NULL AND (:search = '' OR position(lower(:search) IN lower(
    c.title || ' ' || c.prompt)) > 0)
ORDER BY c.updated_at DESC, c.id DESC LIMIT :limit
"""


def list_comparisons(conn: Connection, *, user_id: int, search: str, limit: int) -> list[ComparisonSummary]:
    """Newest activity first; `search` matches title and prompt anywhere."""
    rows = conn.execute(text(_LIST), {"user_id": user_id, "search": search, "limit": limit})
    return [ComparisonSummary(*row) for row in rows]


_GENERATIONS_OF = """
DELETE FROM generations WHERE id IN (
    SELECT a.generation_id FROM comparison_answers a JOIN comparison_runs r ON r.id = a.run_id
    WHERE r.comparison_id = :id)
"""


def delete_comparison(conn: Connection, *, comparison_id: UUID) -> None:
    """With its panes, runs, answers and votes; only the usage rows stay. Callers have locked it."""
    coming = [generation_id for _, generation_id in list_streaming(conn, comparison_id=comparison_id)]
    hold_calls(conn, generation_ids=coming)
    conn.execute(text(_GENERATIONS_OF), {"id": comparison_id})
    conn.execute(delete(comparisons).where(comparisons.c.id == comparison_id))


# ---- panes -------------------------------------------------------------------------------------


def list_panes(conn: Connection, *, comparison_id: UUID) -> list[PaneRow]:
    """Those on the page, from left to right."""
    columns = [comparison_panes.c[name] for name in PaneRow.__dataclass_fields__]
    query = select(*columns).where(
        comparison_panes.c.comparison_id == comparison_id, comparison_panes.c.removed_at.is_(None)
    )
    rows = conn.execute(query.order_by(comparison_panes.c.position, comparison_panes.c.id))
    return [PaneRow(*row) for row in rows]


def insert_pane(conn: Connection, *, comparison_id: UUID, pane: PaneRow) -> None:
    values = {name: getattr(pane, name) for name in PaneRow.__dataclass_fields__}
    conn.execute(insert(comparison_panes).values(comparison_id=comparison_id, **values))


def update_pane(conn: Connection, *, pane_id: UUID, **columns: Any) -> None:
    conn.execute(update(comparison_panes).where(comparison_panes.c.id == pane_id).values(**columns))


def remove_pane(conn: Connection, *, pane_id: UUID, comparison_id: UUID) -> None:
    """Takes the pane off the page; its answers and votes stay. Callers have locked the comparison."""
    voted = select(func.max(comparison_votes.c.created_at)).join(comparison_runs)
    voted = voted.where(comparison_runs.c.comparison_id == comparison_id)
    update_pane(conn, pane_id=pane_id, removed_at=_now_after(voted.scalar_subquery() + _INSTANT))


def order_panes(conn: Connection, *, pane_ids: Sequence[UUID]) -> None:
    """Gives the panes their places, from left to right."""
    for position, pane_id in enumerate(pane_ids):
        update_pane(conn, pane_id=pane_id, position=position)


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
    stamp = _now_after(voted.scalar_subquery() + _INSTANT)
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
    stamp = _now_after(came.scalar_subquery(), went.where(comparison_runs.c.id == run_id).scalar_subquery())
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
WHERE r.comparison_id = :comparison_id
ORDER BY r.created_at DESC, r.id DESC
"""


def list_runs(conn: Connection, *, comparison_id: UUID, user_id: int) -> list[tuple[RunRow, VoteRow | None]]:
    """Newest first, with the person's vote on each."""
    found = conn.execute(text(_RUNS), {"comparison_id": comparison_id, "user_id": user_id})
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


# ---- what becomes of an answer -----------------------------------------------------------------


def insert_chat(conn: Connection, *, chat_id: UUID, user_id: int, **columns: Any) -> None:
    """A chat that has begun, so that its model stays."""
    conn.execute(insert(chat_sessions).values(id=chat_id, user_id=user_id, locked_at=NOW, **columns))
