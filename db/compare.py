"""Comparisons, their panes, and the chats that answers become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from db.call_ends import hold_calls
from db.compare_runs import INSTANT, list_streaming, now_after
from db.schema import (
    chat_sessions,
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
    update_pane(conn, pane_id=pane_id, removed_at=now_after(voted.scalar_subquery() + INSTANT))


def order_panes(conn: Connection, *, pane_ids: Sequence[UUID]) -> None:
    """Gives the panes their places, from left to right."""
    for position, pane_id in enumerate(pane_ids):
        update_pane(conn, pane_id=pane_id, position=position)


# ---- what becomes of an answer -----------------------------------------------------------------


def insert_chat(conn: Connection, *, chat_id: UUID, user_id: int, **columns: Any) -> None:
    """A chat that has begun, so that its model stays."""
    conn.execute(insert(chat_sessions).values(id=chat_id, user_id=user_id, locked_at=NOW, **columns))
