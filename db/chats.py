"""Chat sessions: found, listed, searched, changed. `leaf_message_id` names the thread of messages on show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Connection, Uuid, bindparam, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from db.call_ends import hold_calls
from db.generations import list_streaming_ids
from db.schema import chat_sessions, users
from db.schema.chats import BREAKS, SEARCHED, SEARCHED_CHARS

NOW = func.now()  # for update_chat's columns


@dataclass(frozen=True)
class ChatRow:
    """A row of chat_sessions. `params` holds the settings last used, by name."""

    id: UUID
    user_id: int
    title: str
    title_is_custom: bool
    model_name: str
    upstream: str
    engine_type: str | None
    params: Mapping[str, Any]
    overflow_policy: str
    leaf_message_id: int | None
    locked_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ChatSummary:
    """A line of the history."""

    id: UUID
    title: str
    model_name: str
    updated_at: datetime
    streaming: bool


_CHAT_COLUMNS = (
    chat_sessions.c.id,
    chat_sessions.c.user_id,
    chat_sessions.c.title,
    chat_sessions.c.title_is_custom,
    chat_sessions.c.model_name,
    chat_sessions.c.upstream,
    chat_sessions.c.engine_type,
    chat_sessions.c.params_json,
    chat_sessions.c.overflow_policy,
    chat_sessions.c.leaf_message_id,
    chat_sessions.c.locked_at,
    chat_sessions.c.ended_at,
    chat_sessions.c.created_at,
    chat_sessions.c.updated_at,
)


def find_chat(conn: Connection, *, user_id: int, chat_id: UUID, for_update: bool = False) -> ChatRow | None:
    """The person's own chat, or None: missing and not yours look the same."""
    query = _OWN_CHAT_LOCKED if for_update else _OWN_CHAT
    row = conn.execute(query, {"chat": chat_id, "person": user_id}).one_or_none()
    return ChatRow(*tuple(row)) if row else None


# Put together once: that takes as long as to run it.
_OWN_CHAT = select(*_CHAT_COLUMNS).where(
    chat_sessions.c.id == bindparam("chat", type_=Uuid),
    chat_sessions.c.user_id == bindparam("person", type_=BigInteger),
)
_OWN_CHAT_LOCKED = _OWN_CHAT.with_for_update()


def find_last_open_chat(conn: Connection, *, user_id: int) -> ChatRow | None:
    """The chat touched last that has messages and was not ended."""
    query = (
        select(*_CHAT_COLUMNS)
        .where(
            chat_sessions.c.user_id == user_id,
            chat_sessions.c.ended_at.is_(None),
            chat_sessions.c.locked_at.is_not(None),
        )
        .order_by(chat_sessions.c.updated_at.desc(), chat_sessions.c.id.desc())
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    return ChatRow(*tuple(row)) if row else None


def find_empty_chat(conn: Connection, *, user_id: int) -> ChatRow | None:
    """The one chat of this person without a message."""
    query = select(*_CHAT_COLUMNS).where(
        chat_sessions.c.user_id == user_id, chat_sessions.c.locked_at.is_(None), chat_sessions.c.ended_at.is_(None)
    )
    row = conn.execute(query).one_or_none()
    return ChatRow(*tuple(row)) if row else None


def insert_empty_chat(
    conn: Connection,
    *,
    chat_id: UUID,
    user_id: int,
    model_name: str,
    upstream: str,
    engine_type: str,
    constraints: Mapping[str, Any],
    params: Mapping[str, Any],
) -> None:
    """Adds the person's empty chat; does nothing when another tab was quicker."""
    conn.execute(
        pg_insert(chat_sessions)
        .values(
            id=chat_id,
            user_id=user_id,
            model_name=model_name,
            upstream=upstream,
            engine_type=engine_type,
            constraints_json=constraints,
            params_json=params,
        )
        .on_conflict_do_nothing()
    )


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LONGEST_SEARCH_CHARS = 200  # PostgreSQL takes no words without end; one cut short finds more, nothing less
_BREAK = re.compile(f"[{BREAKS}]+")
_SEARCH = """
SELECT s.id, s.title, s.model_name, s.updated_at, s.id IN (
    SELECT m.session_id FROM generations g JOIN chat_messages m ON m.id = g.message_id
    WHERE g.user_id = :user_id AND g.status = 'streaming') AS streaming
FROM chat_sessions s
WHERE s.user_id = :user_id AND s.locked_at IS NOT NULL
  AND (CAST(:before_at AS timestamptz) IS NULL OR (s.updated_at, s.id) < (:before_at, CAST(:before_id AS uuid)))
  {matching}
ORDER BY s.updated_at DESC, s.id DESC
LIMIT :limit
"""
_MATCHING = "AND (s.title ILIKE :pattern OR {messages})"
_BY_INDEX = f"""
  s.id IN (
    SELECT m.session_id FROM chat_messages m JOIN chat_sessions mine ON mine.id = m.session_id
    WHERE mine.user_id = :user_id AND {SEARCHED} @@ to_tsquery('simple', :words) AND m.content ~* ALL(:joined))
"""
# Words that begin with a few letters are in nearly every message of everybody. Who reads the person's own, newest chat
# first, soon has enough of them. The limit keeps PostgreSQL from looking through all chats before the first.
_BY_READING = f"""
  (SELECT true FROM chat_messages m
   WHERE m.session_id = s.id AND left(m.content, {SEARCHED_CHARS}) ~* ALL(:joined) LIMIT 1)
"""
_FEW_LETTERS = 3


def list_chats(
    conn: Connection, *, user_id: int, search: str, limit: int, before_at: datetime | None, before_id: UUID | None
) -> list[ChatSummary]:
    """Newest activity first; `search` matches titles anywhere and messages by word beginnings.

    What punctuation joins, as in `main.py`, has to stand together in the message; by which punctuation is all the same.
    """
    before = (before_at, before_id) if before_at is not None and before_id is not None else None
    query, values = search_sql(user_id=user_id, search=search, limit=limit, before=before)
    return [ChatSummary(*row) for row in conn.execute(text(query), values)]


def search_sql(
    *, user_id: int, search: str, limit: int, before: tuple[datetime, UUID] | None
) -> tuple[str, dict[str, Any]]:
    """The query behind `list_chats` and its values, for queries that tell more of what it finds."""
    before_at, before_id = before or (None, None)
    values: dict[str, Any] = {"user_id": user_id, "limit": limit, "before_at": before_at, "before_id": before_id}
    search = _UNSTORABLE.sub("", search).strip()[:_LONGEST_SEARCH_CHARS]
    if search:
        pieces = _pieces(search)
        by_reading = bool(pieces) and all(len(word) <= _FEW_LETTERS for words in pieces for word in words)
        joined = [_joined_pattern(words) for words in pieces if by_reading or len(words) > 1]
        values |= {"pattern": f"%{_escape_like(search)}%", "joined": joined}
        if not by_reading:
            values["words"] = _prefix_query(pieces)
        return _SEARCH.format(matching=_MATCHING.format(messages=_BY_READING if by_reading else _BY_INDEX)), values
    return _SEARCH.format(matching=""), values


def _escape_like(pattern: str) -> str:
    return pattern.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def _pieces(search: str) -> list[list[str]]:
    """The words of all that stands between blanks: `see main.py` is `[["see"], ["main", "py"]]`."""
    pieces = ([word for word in _BREAK.split(piece) if word] for piece in search.split())
    return [words for words in pieces if words]


def _prefix_query(pieces: Sequence[Sequence[str]]) -> str:
    whole = [f"'{word}'" for words in pieces for word in words[:-1]]
    return " & ".join(whole + [f"'{words[-1]}':*" for words in pieces])


def _joined_pattern(words: Sequence[str]) -> str:
    # Not the phrases of a tsquery: those know no place beyond a word's 255th, and have the message parsed again.
    return rf"(^|[\s{BREAKS}])" + f"[{BREAKS}]+".join(words)


def update_chat(conn: Connection, *, chat_id: UUID, **columns: Any) -> None:
    """Sets columns of one chat. Callers have found it as the person's own before."""
    conn.execute(update(chat_sessions).where(chat_sessions.c.id == chat_id).values(**columns))


def delete_chat(conn: Connection, *, user_id: int, chat_id: UUID) -> bool:
    """Removes the person's chat with its messages; False when there was none."""
    query = delete(chat_sessions).where(chat_sessions.c.id == chat_id, chat_sessions.c.user_id == user_id)
    return conn.execute(query).rowcount == 1


def count_chats(conn: Connection, *, user_id: int) -> int:
    """How many chats of the person have messages: those that `delete_chats` would remove."""
    begun = (chat_sessions.c.user_id == user_id) & chat_sessions.c.locked_at.is_not(None)
    return conn.execute(select(func.count()).select_from(chat_sessions).where(begun)).scalar_one()


def delete_chats(conn: Connection, *, user_id: int) -> int:
    """Removes all chats of the person that have messages, and tells how many."""
    begun = (chat_sessions.c.user_id == user_id) & chat_sessions.c.locked_at.is_not(None)
    query = select(chat_sessions.c.id).where(begun).order_by(chat_sessions.c.id).with_for_update()
    ids = list(conn.execute(query).scalars())
    hold_calls(conn, generation_ids=list_streaming_ids(conn, user_id=user_id, chat_id=None))
    return conn.execute(delete(chat_sessions).where(chat_sessions.c.id.in_(ids))).rowcount


def get_person_params(conn: Connection, *, user_id: int) -> Mapping[str, Any]:
    """The settings the person used last, for new chats."""
    params: Mapping[str, Any] = conn.execute(select(users.c.params).where(users.c.id == user_id)).scalar_one()
    return params


def remember_params(conn: Connection, *, user_id: int, chat_id: UUID, params: Mapping[str, Any]) -> None:
    """Keeps settings with the person and with the chat."""
    person = update(users).where(users.c.id == user_id).values(params=dict(params))
    chat = update(chat_sessions).where(chat_sessions.c.id == chat_id).values(params_json=dict(params))
    conn.execute(chat.add_cte(person.cte("person")))
