"""Messages of chats. They form a tree: a regenerated answer or an edited prompt is a sibling under the same parent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, column, insert, select, text

from db.schema import chat_messages


@dataclass(frozen=True)
class MessageRow:
    """A row of chat_messages with its siblings' ids (itself among them), oldest first."""

    id: int
    session_id: UUID
    parent_id: int | None
    role: str
    content: str
    status: str
    metrics: Mapping[str, Any]
    generation_id: UUID | None
    request_key: UUID | None
    created_at: datetime
    sibling_ids: tuple[int, ...]


@dataclass(frozen=True)
class SaidRow:
    """What an earlier message of a thread said, to be sent with a prompt."""

    role: str
    content: str
    status: str


# From the end of a thread up to its beginning, `path` holds numbers only: what is said would be copied at each step.
# Beyond `whole` messages from the end the columns that are not sent are empty: reading them takes most of the time that
# a long thread takes.
WAY_UP = """
    SELECT m.id, m.parent_id, path.depth + 1 AS depth
    FROM chat_messages m JOIN path ON m.id = path.parent_id WHERE path.depth < :limit
"""
ON_THE_WAY = """
SELECT m.id, CASE WHEN p.whole THEN m.session_id END AS session_id, m.parent_id, m.role, m.content, m.status,
       CASE WHEN p.whole THEN m.metrics_json END AS metrics,
       CASE WHEN p.whole THEN m.generation_id END AS generation_id,
       CASE WHEN p.whole THEN m.request_key END AS request_key,
       CASE WHEN p.whole THEN m.created_at END AS created_at,
       siblings.ids AS sibling_ids, p.depth
FROM (SELECT id, depth, depth <= :whole AS whole FROM path) p JOIN chat_messages m ON m.id = p.id CROSS JOIN LATERAL (
    SELECT array_agg(s.id ORDER BY s.id) AS ids FROM (
        SELECT id FROM chat_messages WHERE p.whole AND parent_id = m.parent_id
        UNION ALL
        SELECT id FROM chat_messages
        WHERE p.whole AND m.parent_id IS NULL AND parent_id IS NULL AND session_id = m.session_id
    ) s
) siblings
"""
ON_THE_WAY_COLUMNS = (*MessageRow.__dataclass_fields__, "depth")
_PATH = text(f"""
WITH RECURSIVE path AS (
    SELECT m.id, m.parent_id, 1 AS depth FROM chat_messages m WHERE m.id = :leaf_id AND m.session_id = :chat_id
    UNION ALL
    {WAY_UP}
)
{ON_THE_WAY}
ORDER BY p.depth DESC
""").columns(*map(column, ON_THE_WAY_COLUMNS))
ALL = 1_000_000


def list_path(conn: Connection, *, chat_id: UUID, leaf_id: int, limit: int = ALL) -> list[MessageRow]:
    """The last `limit` messages of the thread that ends at `leaf_id`, oldest first."""
    rows = conn.execute(_PATH, {"chat_id": chat_id, "leaf_id": leaf_id, "limit": limit, "whole": limit})
    return [message_of(row) for row in rows]


def message_of(row: Row[Any]) -> MessageRow:
    """Of `ON_THE_WAY_COLUMNS`, by name."""
    values = {name: getattr(row, name) for name in MessageRow.__dataclass_fields__}
    return MessageRow(**values | {"sibling_ids": tuple(row.sibling_ids)})


def said_of(row: Row[Any]) -> SaidRow:
    """Of the same, however far from the end."""
    return SaidRow(row.role, row.content, row.status)


def find_message(conn: Connection, *, chat_id: UUID, message_id: int) -> MessageRow | None:
    """One message of this chat, or None."""
    found = list_path(conn, chat_id=chat_id, leaf_id=message_id, limit=1)
    return found[0] if found else None


# Both of one chat; `db.turns` looks for them while it writes.
SENT_BEFORE = "SELECT id FROM chat_messages WHERE session_id = :chat_id AND request_key = :request_key"
COMING = """SELECT g.id, g.message_id FROM generations g JOIN chat_messages m ON m.id = g.message_id
WHERE m.session_id = :chat_id AND g.status = 'streaming'"""
_COMING = text(COMING)
_OBSTACLES = text(f"SELECT ({SENT_BEFORE}), EXISTS ({COMING})")


def find_obstacles(conn: Connection, *, chat_id: UUID, request_key: UUID) -> tuple[int | None, bool]:
    """The message an earlier copy of the same request made, and whether an answer is coming in the chat."""
    same_id, is_streaming = conn.execute(_OBSTACLES, {"chat_id": chat_id, "request_key": request_key}).one()
    return same_id, is_streaming


def find_coming(conn: Connection, *, chat_id: UUID) -> tuple[UUID, int] | None:
    """The generation that is coming in the chat and its message, on show or not."""
    row = conn.execute(_COMING, {"chat_id": chat_id}).first()
    return (row.id, row.message_id) if row else None


_NEWEST_BELOW = """
WITH RECURSIVE down AS (
    SELECT CAST(:message_id AS bigint) AS id
    UNION ALL
    SELECT (SELECT max(c.id) FROM chat_messages c WHERE c.parent_id = down.id) FROM down WHERE down.id IS NOT NULL
)
SELECT max(id) FROM down
"""


def newest_leaf_below(conn: Connection, *, message_id: int) -> int:
    """The end of the thread reached from a message by taking the newest child each time."""
    return int(conn.execute(text(_NEWEST_BELOW), {"message_id": message_id}).scalar_one())


_FIRST_ANSWER = text("""
SELECT CASE WHEN m.role = 'assistant' THEN m.id ELSE (
    SELECT min(c.id) FROM chat_messages c WHERE c.parent_id = m.id AND c.role = 'assistant') END
FROM chat_messages m WHERE m.id = :message_id
""")


def find_first_answer(conn: Connection, *, message_id: int) -> int | None:
    """The answer that came with a prompt; an answer itself. None for a prompt nobody answered, or no message."""
    found: int | None = conn.execute(_FIRST_ANSWER, {"message_id": message_id}).scalar_one_or_none()
    return found


def insert_message(
    conn: Connection,
    *,
    chat_id: UUID,
    parent_id: int | None,
    role: str,
    content: str,
    status: str = "complete",
    generation_id: UUID | None = None,
    request_key: UUID | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> int:
    """Adds a message and returns its id."""
    query = insert(chat_messages).values(
        session_id=chat_id,
        parent_id=parent_id,
        role=role,
        content=content,
        status=status,
        generation_id=generation_id,
        request_key=request_key,
        metrics_json=dict(metrics or {}),
    )
    return int(conn.execute(query.returning(chat_messages.c.id)).scalar_one())


def find_answer(conn: Connection, *, message_id: int) -> tuple[str, str, Mapping[str, Any]] | None:
    """Content, status and metrics of one message, or None."""
    query = select(chat_messages.c.content, chat_messages.c.status, chat_messages.c.metrics_json)
    row = conn.execute(query.where(chat_messages.c.id == message_id)).one_or_none()
    return None if row is None else (row.content, row.status, row.metrics_json)
