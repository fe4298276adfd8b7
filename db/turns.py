"""What a turn begins with, in one statement: a prompt and its empty answer, shown as the end of their chat's thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Connection, Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from db.messages import COMING, SENT_BEFORE

# The chat's row is locked before, by a statement of its own: this one then sees what the turn before it left.
# A message's number is above that of the message it follows: an answer's is drawn once there is its prompt's.
_OPEN = text(f"""
WITH free AS (
    SELECT WHERE NOT EXISTS ({SENT_BEFORE}) AND NOT EXISTS ({COMING})
), prompt AS (
    INSERT INTO chat_messages (session_id, parent_id, role, content, status, request_key, metrics_json)
    SELECT :chat_id, :parent_id, 'user', :content, 'complete', :request_key, '{{}}' FROM free WHERE :content IS NOT NULL
    RETURNING id
), answer AS (
    INSERT INTO chat_messages (session_id, parent_id, role, content, status, generation_id, request_key, metrics_json)
    SELECT :chat_id, above.id, 'assistant', '', 'streaming', :generation_id, above.request_key, '{{}}' FROM (
        SELECT id, CAST(NULL AS uuid) AS request_key FROM prompt
        UNION ALL
        SELECT :parent_id, :request_key FROM free WHERE :content IS NULL
    ) AS above
    RETURNING id
), chat AS (
    UPDATE chat_sessions
    SET leaf_message_id = answer.id, params_json = :params, updated_at = now(), locked_at = coalesce(locked_at, now()),
        title = CASE WHEN title = '' THEN :title ELSE title END
    FROM answer WHERE chat_sessions.id = :chat_id
), person AS (
    UPDATE users SET params = :params FROM answer WHERE users.id = :user_id
)
SELECT id FROM answer
""").bindparams(
    bindparam("chat_id", type_=Uuid),
    bindparam("request_key", type_=Uuid),
    bindparam("generation_id", type_=Uuid),
    bindparam("parent_id", type_=BigInteger),
    bindparam("content", type_=Text),
    bindparam("title", type_=Text),
    bindparam("params", type_=JSONB),
    bindparam("user_id", type_=BigInteger),
)


def open_turn(
    conn: Connection,
    *,
    chat_id: UUID,
    user_id: int,
    parent_id: int | None,
    content: str | None,
    title: str,
    params: Mapping[str, Any],
    generation_id: UUID,
    request_key: UUID,
) -> int | None:
    """Adds a prompt and its empty answer, and returns the answer's id; without `content`, an answer to `parent_id`.

    `params` stay with the chat and with the person, `title` with a chat that has none. Nothing is changed, and None
    returned, while an answer is coming in the chat or where `request_key` was used in it before. The caller has locked
    the chat and found it to be the person's own.
    """
    values = {
        "chat_id": chat_id,
        "user_id": user_id,
        "parent_id": parent_id,
        "content": content,
        "title": title,
        "params": dict(params),
        "generation_id": generation_id,
        "request_key": request_key,
    }
    answer_id: int | None = conn.execute(_OPEN, values).scalar_one_or_none()
    return answer_id
