"""Chats and answers as programs list them: pages of the history with counts, new answers of many chats at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Connection, Uuid, bindparam, text

from db.chats import search_sql


@dataclass(frozen=True)
class ChatLine:
    """A chat in a list. `message_count` has the variants in it."""

    id: UUID
    title: str
    model_name: str
    upstream: str
    engine_type: str | None
    message_count: int
    streaming: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class AnswerRef:
    """An answer and where it belongs; `session_id` and `message_id` are None for one that is no message."""

    generation_id: UUID
    session_id: UUID | None
    message_id: int | None
    created_at: datetime


_LINES = """
SELECT s.id, s.title, s.model_name, s.upstream, s.engine_type,
       (SELECT count(*) FROM chat_messages m WHERE m.session_id = s.id), found.streaming, s.created_at, s.updated_at
FROM ({found}) found JOIN chat_sessions s ON s.id = found.id
ORDER BY found.updated_at DESC, found.id DESC
"""


def list_chat_lines(
    conn: Connection, *, user_id: int, search: str, limit: int, before: tuple[datetime, UUID] | None
) -> list[ChatLine]:
    """The person's chats with messages, newest activity first, in one query."""
    found, values = search_sql(user_id=user_id, search=search, limit=limit, before=before)
    return [ChatLine(*row) for row in conn.execute(text(_LINES.format(found=found)), values)]


_ANSWER = """
SELECT g.id, m.session_id, g.message_id, coalesce(m.created_at, g.created_at)
FROM generations g LEFT JOIN chat_messages m ON m.id = g.message_id
WHERE g.id = :generation_id AND g.user_id = :user_id
"""


def find_answer_ref(conn: Connection, *, user_id: int, generation_id: UUID) -> AnswerRef | None:
    """The person's own answer, or None."""
    row = conn.execute(text(_ANSWER), {"user_id": user_id, "generation_id": generation_id}).one_or_none()
    return AnswerRef(*row) if row else None


_NEW_ANSWERS = text("""
SELECT m.generation_id, m.session_id, m.id, m.created_at
FROM unnest(:chat_ids, :after_ids) AS watched(chat_id, after_id)
JOIN chat_messages m ON m.session_id = watched.chat_id AND m.id > watched.after_id
WHERE m.role = 'assistant' AND m.generation_id IS NOT NULL
ORDER BY m.id
""").bindparams(bindparam("chat_ids", type_=ARRAY(Uuid)), bindparam("after_ids", type_=ARRAY(BigInteger)))


def list_new_answers(conn: Connection, *, after: Mapping[UUID, int]) -> list[AnswerRef]:
    """Answers of the chats in `after` whose message's id is above the one given there, oldest first."""
    values: dict[str, Sequence[Any]] = {"chat_ids": list(after), "after_ids": list(after.values())}
    return [AnswerRef(*row) for row in conn.execute(_NEW_ANSWERS, values)]


_LAST_ANSWER = """
SELECT m.id, g.status FROM chat_messages m LEFT JOIN generations g ON g.id = m.generation_id
WHERE m.session_id = :chat_id AND m.role = 'assistant' AND m.generation_id IS NOT NULL ORDER BY m.id DESC LIMIT 1
"""


def find_last_answer(conn: Connection, *, chat_id: UUID) -> tuple[int, bool] | None:
    """The id of the chat's newest answer, and whether it is still coming."""
    row = conn.execute(text(_LAST_ANSWER), {"chat_id": chat_id}).one_or_none()
    return (row.id, row.status == "streaming") if row else None
