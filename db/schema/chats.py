"""Chat sessions (a session row is a chat session) and their messages."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.schema.base import MESSAGE_ROLES, OVERFLOW_POLICIES, STATUSES, Now, Stamp, metadata, one_of

chat_sessions = Table(
    "chat_sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False, server_default=""),
    Column("title_is_custom", Boolean, nullable=False, server_default=text("false")),
    Column("model_name", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("engine_type", Text),
    Column("constraints_json", JSONB, nullable=False, server_default=text("'{}'")),
    Column("params_json", JSONB, nullable=False, server_default=text("'{}'")),
    Column("overflow_policy", Text, nullable=False, server_default="hold_back"),
    Column("leaf_message_id", BigInteger),  # the last message of the thread on show; None when empty
    Column("locked_at", Stamp),  # set with the first message: from then on the model stays
    Column("ended_at", Stamp),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    Column("updated_at", Stamp, nullable=False, server_default=Now),
    CheckConstraint(one_of("overflow_policy", OVERFLOW_POLICIES), name="overflow_policy"),
)
Index(
    "ix_chat_sessions_user_newest",
    chat_sessions.c.user_id,
    chat_sessions.c.updated_at.desc(),
    chat_sessions.c.id.desc(),
)
# C6: one empty chat per person, whatever the number of tabs that ask for one at the same moment.
Index(
    "uq_chat_sessions_one_empty",
    chat_sessions.c.user_id,
    unique=True,
    postgresql_where=text("locked_at IS NULL AND ended_at IS NULL"),
)

# What parts words: punctuation, signs, emoji. The inside of a bracket expression, the same to PostgreSQL and to `re`.
BREAKS = (
    r"!-/:-@\[-`{-~\u00a0-\u00bf\u00d7\u00f7\u2000-\u2bff\u3000-\u303f"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\U0001f000-\U0001faff"
)
# Parted before PostgreSQL's parser sees them: it keeps `src/main.py` and `self.name` in one piece, which nobody finds
# by the name in it, and passes over `<String>` as a tag. Not all characters of a message: a tsvector may not pass 1 MB.
SEARCHED_CHARS = 100_000
SEARCHED = f"to_tsvector('simple'::regconfig, regexp_replace(left(content, {SEARCHED_CHARS}), '[{BREAKS}]+', ' ', 'g'))"

chat_messages = Table(
    "chat_messages",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("session_id", ForeignKey("chat_sessions.id", ondelete="CASCADE"), nullable=False),
    Column("parent_id", ForeignKey("chat_messages.id", ondelete="CASCADE")),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False, server_default=""),
    Column(
        "status",
        Text,
        nullable=False,
        server_default="complete",
    ),
    Column("metrics_json", JSONB, nullable=False, server_default=text("'{}'")),
    Column("generation_id", Uuid),
    Column("request_key", Uuid),  # idempotency: the same click, sent twice, is one message
    Column("created_at", Stamp, nullable=False, server_default=Now),
    UniqueConstraint("session_id", "request_key", name="uq_chat_messages_request_key"),
    CheckConstraint(one_of("role", MESSAGE_ROLES), name="role"),
    CheckConstraint(one_of("status", STATUSES), name="status"),
    Index("ix_chat_messages_search", text(SEARCHED), postgresql_using="gin"),
)
Index("ix_chat_messages_session_id", chat_messages.c.session_id, chat_messages.c.id)
Index("ix_chat_messages_parent_id", chat_messages.c.parent_id)
Index("ix_chat_messages_roots", chat_messages.c.session_id, postgresql_where=text("parent_id IS NULL"))
