"""Turns of a chat: what one stands on is read in one statement and written in another, each with one round trip.

Nothing is locked between them. The second one writes only where the chat's row still is the one the first one saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Connection, Text, Uuid, bindparam, column, text
from sqlalchemy.dialects.postgresql import JSONB

from db.generations import OPENING_BINDS, NewUsage, opening_sql, opening_values
from db.messages import (
    ALL,
    COMING,
    ON_THE_WAY,
    ON_THE_WAY_COLUMNS,
    SENT_BEFORE,
    WAY_UP,
    MessageRow,
    SaidRow,
    message_of,
    said_of,
)
from db.prices import RATES, Rates, in_force_of, rates_of


@dataclass(frozen=True)
class Ground:
    """What a turn of a chat stands on. `params`: the settings used last, by name.

    `version` tells later whether the chat's row has changed in any way. `same_id`: the message an earlier copy of the
    same request made. The thread the turn follows, oldest first, is what was `said`, then the `last` messages with all
    that is known of them. `parent_id` is its end; `has_place` is False where the message to answer or to reword is not
    in the chat, or where none is named and the last one is an answer that is whole. `rates` are those in force for the
    chat's model, `has_budgets` whether there are budgets at all.
    """

    chat_id: UUID
    user_id: int
    model_name: str
    upstream: str
    params: Mapping[str, Any]
    overflow_policy: str
    version: str
    same_id: int | None
    is_coming: bool
    has_place: bool
    parent_id: int | None
    has_budgets: bool
    rates: Rates | None
    said: tuple[SaidRow, ...]
    last: tuple[MessageRow, ...]


_CHAT = ("model_name", "upstream", "params_json", "overflow_policy")
_STATE = ("version", "same_id", "is_coming", "has_place", "place_id", "has_budgets")
_COLUMNS = (*_CHAT, *_STATE, *RATES, "from_the_end", *ON_THE_WAY_COLUMNS)

# A prompt follows the thread's end; another wording of one, and another answer, follow what that message follows.
# `:has_text`: a prompt is added; else one that stands there is answered: where none is named the last message, or the
# one before it if that is an answer that came to no good end. The chat comes with the end of the thread, in the last
# row, since the thread may be long, or empty.
_GROUND = (
    text(f"""
WITH RECURSIVE chat AS (
    SELECT id, {", ".join(_CHAT)}, leaf_message_id, CAST(xmin AS text) AS version FROM chat_sessions
    WHERE id = :chat_id AND user_id = :user_id
), place AS (
    SELECT leaf_message_id AS id FROM chat WHERE :at_message IS NULL AND :has_text
    UNION ALL
    SELECT CASE WHEN m.role = 'assistant' THEN m.parent_id ELSE m.id END
    FROM chat JOIN chat_messages m ON m.id = chat.leaf_message_id
    WHERE :at_message IS NULL AND NOT :has_text AND (m.role <> 'assistant' OR
        m.parent_id IS NOT NULL AND m.status IN ('failed', 'stopped', 'interrupted'))
    UNION ALL
    SELECT CASE WHEN m.role = 'assistant' OR :has_text THEN m.parent_id ELSE m.id END
    FROM chat JOIN chat_messages m ON m.session_id = chat.id
    WHERE m.id = :at_message AND CASE WHEN :has_text THEN m.role = 'user' ELSE m.role <> 'assistant' OR
        m.parent_id IS NOT NULL END
    LIMIT 1  -- there is but one; that it is said lets the server keep its plan
), path AS (
    SELECT m.id, m.parent_id, 1 AS depth FROM place JOIN chat_messages m ON m.id = place.id
    UNION ALL
    {WAY_UP}
)
SELECT c.*, p.* FROM (
    SELECT {", ".join(_CHAT)}, version, ({SENT_BEFORE}) AS same_id, EXISTS ({COMING}) AS is_coming,
           EXISTS (SELECT FROM place) AS has_place, (SELECT id FROM place) AS place_id,
           EXISTS (SELECT FROM budgets) AS has_budgets, price.*, 1 AS from_the_end
    FROM chat LEFT JOIN LATERAL ({in_force_of("chat.upstream", "chat.model_name")}) AS price ON true
) c FULL JOIN ({ON_THE_WAY}) p ON p.depth = c.from_the_end
ORDER BY p.depth DESC
""")
    .bindparams(
        bindparam("chat_id", type_=Uuid),
        bindparam("user_id", type_=BigInteger),
        bindparam("request_key", type_=Uuid),
        bindparam("at_message", type_=BigInteger),
        bindparam("has_text", type_=Boolean),
    )
    .columns(*map(column, _COLUMNS))
)


def find_ground(
    conn: Connection,
    *,
    user_id: int,
    chat_id: UUID,
    request_key: UUID,
    at_message: int | None,
    has_text: bool,
    whole: int,
) -> Ground | None:
    """Of a turn of the person's own chat; None where there is no such chat. The last `whole` messages come whole."""
    values = {"user_id": user_id, "chat_id": chat_id, "request_key": request_key}
    values |= {"at_message": at_message, "has_text": has_text, "limit": ALL, "whole": whole}
    rows = conn.execute(_GROUND, values).all()
    if not rows:
        return None
    end = rows[-1]
    thread = rows if end.place_id is not None else []
    return Ground(
        chat_id=chat_id,
        user_id=user_id,
        model_name=end.model_name,
        upstream=end.upstream,
        params=end.params_json,
        overflow_policy=end.overflow_policy,
        version=end.version,
        same_id=end.same_id,
        is_coming=end.is_coming,
        has_place=end.has_place,
        parent_id=end.place_id,
        has_budgets=end.has_budgets,
        rates=rates_of([getattr(end, name) for name in RATES]),
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


# `:new_...` is of the call that makes the answer. A message's number is above that of the message it follows: an
# answer's is drawn once there is its prompt's. Who waits for the chat's lock sees its row as it is then, everything
# else as it was when the statement began. What begins or moves a thread writes that row, too: where it has stayed the
# same (xmin: the transaction that wrote it last), no turn was begun, either.
_OPEN = (
    text(f"""
WITH unchanged AS (
    SELECT id FROM chat_sessions
    WHERE id = :chat_id AND xmin = CAST(CAST(:version AS text) AS xid) FOR UPDATE
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
        ended_at = NULL,
        title = CASE WHEN title = '' THEN :title ELSE title END
    FROM answer WHERE chat_sessions.id = :chat_id
), person AS (
    UPDATE users SET params = :params FROM answer WHERE users.id = :new_user_id
), {opening_sql("answer.id", "FROM answer")}
SELECT answer.id AS answer_id, (SELECT id FROM prompt) AS prompt_id, answer.created_at, ARRAY(
    SELECT id FROM chat_messages WHERE session_id = :chat_id AND parent_id IS NOT DISTINCT FROM :parent_id ORDER BY id
) AS beside FROM answer
""")
    .bindparams(
        bindparam("chat_id", type_=Uuid),
        bindparam("version", type_=Text),
        bindparam("request_key", type_=Uuid),
        bindparam("parent_id", type_=BigInteger),
        bindparam("content", type_=Text),
        bindparam("title", type_=Text),
        bindparam("params", type_=JSONB),
        *OPENING_BINDS,
    )
    .columns(*map(column, Opened.__dataclass_fields__))
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
        "chat_id": ground.chat_id,
        "version": ground.version,
        "parent_id": ground.parent_id,
        "content": content,
        "title": title,
        "params": dict(params),
        "request_key": request_key,
    }
    row = conn.execute(_OPEN, values | opening_values(call, owner=owner)).one_or_none()
    return None if row is None else Opened(row.answer_id, row.prompt_id, row.created_at, tuple(row.beside))
