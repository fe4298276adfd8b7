"""Turns of a chat: what one stands on is read in one statement and written in another, each with one round trip.

Nothing is locked between them. The second one writes only where the chat still is as the first one saw it: whatever
begins a turn or moves the thread changes `updated_at` or the leaf.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Connection, DateTime, Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from db.chats import CHAT_COLUMNS, ChatRow
from db.generations import OPENING_BINDS, NewUsage, opening_sql, opening_values
from db.messages import ALL, COMING, ON_THE_WAY, SENT_BEFORE, WAY_UP, MessageRow, SaidRow, message_of, said_of
from db.prices import PriceRow, in_force_of, price_row


@dataclass(frozen=True)
class Ground:
    """What a turn stands on. `same_id`: the message an earlier copy of the same request made.

    The thread it follows, oldest first, is what was `said`, then the `last` messages with all that is known of them.
    `parent_id` is its end; `has_place` is False where the message to answer or to reword is not in the chat.
    `price` is the one in force for the chat's model, `has_budgets` whether there are budgets at all.
    """

    chat: ChatRow
    same_id: int | None
    is_coming: bool
    has_place: bool
    parent_id: int | None
    price: PriceRow | None
    has_budgets: bool
    said: tuple[SaidRow, ...]
    last: tuple[MessageRow, ...]


_CHAT_WIDTH = len(ChatRow.__dataclass_fields__)
_PRICE_WIDTH = len(PriceRow.__dataclass_fields__)

# A prompt follows the thread's end; another wording of one, and another answer, follow what that message follows.
# The chat comes with the end of the thread, in the last row, since the thread may be long, or empty.
_GROUND = text(f"""
WITH RECURSIVE chat AS (
    SELECT {CHAT_COLUMNS} FROM chat_sessions WHERE id = :chat_id AND user_id = :user_id
), place AS (
    SELECT leaf_message_id AS id FROM chat WHERE :at_message IS NULL
    UNION ALL
    SELECT CASE WHEN m.role = 'assistant' OR :reworded THEN m.parent_id ELSE m.id END
    FROM chat JOIN chat_messages m ON m.session_id = chat.id
    WHERE m.id = :at_message AND (m.role = 'user' OR NOT :reworded)
    LIMIT 1  -- there is but one; that it is said lets the server keep its plan
), path AS (
    SELECT m.id, m.parent_id, 1 AS depth FROM place JOIN chat_messages m ON m.id = place.id
    UNION ALL
    {WAY_UP}
)
SELECT c.*, p.* FROM (
    SELECT chat.*, ({SENT_BEFORE}), EXISTS ({COMING}), EXISTS (SELECT FROM place), (SELECT id FROM place),
           EXISTS (SELECT FROM budgets), price.*, 1 AS depth
    FROM chat LEFT JOIN LATERAL ({in_force_of("chat.upstream", "chat.model_name")}) AS price ON true
) c FULL JOIN ({ON_THE_WAY}) p ON p.depth = c.depth
ORDER BY p.depth DESC
""").bindparams(
    bindparam("chat_id", type_=Uuid),
    bindparam("user_id", type_=BigInteger),
    bindparam("request_key", type_=Uuid),
    bindparam("at_message", type_=BigInteger),
    bindparam("reworded", type_=Boolean),
)


def find_ground(
    conn: Connection,
    *,
    user_id: int,
    chat_id: UUID,
    request_key: UUID,
    at_message: int | None,
    reworded: bool,
    whole: int,
) -> Ground | None:
    """Of a turn of the person's own chat; None where there is no such chat. The last `whole` messages come whole."""
    values = {"user_id": user_id, "chat_id": chat_id, "request_key": request_key}
    values |= {"at_message": at_message, "reworded": reworded, "limit": ALL, "whole": whole, "placed": 1}
    rows = conn.execute(_GROUND, values).all()
    if not rows:
        return None
    chat, rest = rows[-1][:_CHAT_WIDTH], rows[-1][_CHAT_WIDTH:]
    same_id, is_coming, has_place, parent_id, has_budgets, *price = rest[: 5 + _PRICE_WIDTH]
    thread = [row[_CHAT_WIDTH + 5 + _PRICE_WIDTH + 1 :] for row in rows] if parent_id is not None else []
    return Ground(
        chat=ChatRow(*chat),
        same_id=same_id,
        is_coming=is_coming,
        has_place=has_place,
        parent_id=parent_id,
        price=price_row(price),
        has_budgets=has_budgets,
        said=tuple(map(said_of, thread[:-whole])),
        last=tuple(map(message_of, thread[-whole:])),
    )


@dataclass(frozen=True)
class Opened:
    """A turn that stands in the database. `prompt_id` is None for another answer to a prompt that stood there before.

    `beside`: the messages that followed the same one before, oldest first.
    """

    answer_id: int
    prompt_id: int | None
    created_at: datetime
    beside: tuple[int, ...]


# A message's number is above that of the message it follows: an answer's is drawn once there is its prompt's.
# Who waits for the chat's lock sees its row as it is then, everything else as it was when the statement began: that
# the row has stayed the same says that nothing else has changed, either.
_OPEN = text(f"""
WITH unchanged AS (
    SELECT id FROM chat_sessions
    WHERE id = :chat_id AND updated_at = :seen_at AND leaf_message_id IS NOT DISTINCT FROM :seen_leaf FOR UPDATE
), free AS (
    SELECT FROM unchanged WHERE NOT EXISTS ({SENT_BEFORE}) AND NOT EXISTS ({COMING})
), prompt AS (
    INSERT INTO chat_messages (session_id, parent_id, role, content, status, request_key, metrics_json)
    SELECT :chat_id, :parent_id, 'user', :content, 'complete', :request_key, '{{}}' FROM free WHERE :content IS NOT NULL
    RETURNING id
), answer AS (
    INSERT INTO chat_messages (session_id, parent_id, role, content, status, generation_id, request_key, metrics_json)
    SELECT :chat_id, above.id, 'assistant', '', 'streaming', :new_generation_id, above.request_key, '{{}}' FROM (
        SELECT id, CAST(NULL AS uuid) AS request_key FROM prompt
        UNION ALL
        SELECT :parent_id, :request_key FROM free WHERE :content IS NULL
    ) AS above
    RETURNING id, created_at
), chat AS (
    UPDATE chat_sessions
    SET leaf_message_id = answer.id, params_json = :params, updated_at = now(), locked_at = coalesce(locked_at, now()),
        title = CASE WHEN title = '' THEN :title ELSE title END
    FROM answer WHERE chat_sessions.id = :chat_id
), person AS (
    UPDATE users SET params = :params FROM answer WHERE users.id = :new_user_id
), {opening_sql("answer.id", "FROM answer")}
SELECT answer.id, (SELECT id FROM prompt), answer.created_at, ARRAY(
    SELECT id FROM chat_messages WHERE session_id = :chat_id AND parent_id IS NOT DISTINCT FROM :parent_id ORDER BY id
) FROM answer
""").bindparams(
    bindparam("chat_id", type_=Uuid),
    bindparam("seen_at", type_=DateTime(timezone=True)),
    bindparam("seen_leaf", type_=BigInteger),
    bindparam("request_key", type_=Uuid),
    bindparam("parent_id", type_=BigInteger),
    bindparam("content", type_=Text),
    bindparam("title", type_=Text),
    bindparam("params", type_=JSONB),
    *OPENING_BINDS,
)


def open_turn(
    conn: Connection,
    *,
    ground: Ground,
    content: str | None,
    title: str,
    params: Mapping[str, Any],
    request_key: UUID,
    call: NewUsage,
    owner: UUID,
) -> Opened | None:
    """Adds a prompt, its empty answer and the `call` that makes it; without `content`, an answer to what stands there.

    `params` stay with the chat and with the person, `title` with a chat that has none. Nothing is changed, and None
    returned, where the chat has changed since its ground was read, an answer is coming in it, or `request_key` was
    used in it before.
    """
    values = {
        "chat_id": ground.chat.id,
        "seen_at": ground.chat.updated_at,
        "seen_leaf": ground.chat.leaf_message_id,
        "parent_id": ground.parent_id,
        "content": content,
        "title": title,
        "params": dict(params),
        "request_key": request_key,
    }
    row = conn.execute(_OPEN, values | opening_values(call, owner=owner)).one_or_none()
    return None if row is None else Opened(row[0], row[1], row[2], tuple(row[3]))
