"""Every table, once. Alembic's version files bring a database to this; a test holds the two together.

Words: a session row is a chat session; a sign-in is an `auth_session`.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Now = func.now()
Stamp = DateTime(timezone=True)

ROLES = ("analyst", "administrator")
MESSAGE_ROLES = ("user", "assistant", "system")
STATUSES = ("streaming", "complete", "stopped", "failed", "interrupted")
SOURCES = ("chat", "compare", "experiment", "api")
OVERFLOW_POLICIES = ("hold_back", "drop_oldest")


def _one_of(column: str, allowed: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in allowed)})"


# ---- people ------------------------------------------------------------------------------------

organisations = Table(
    "organisations",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Stamp, nullable=False, server_default=Now),
)

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("organisation_id", ForeignKey("organisations.id"), nullable=False),
    Column("username", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("must_change_password", Boolean, nullable=False, server_default=text("false")),
    Column("preferences", JSONB, nullable=False, server_default=text("'{}'")),
    Column("params", JSONB, nullable=False, server_default=text("'{}'")),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    Column("updated_at", Stamp, nullable=False, server_default=Now),
    Column("last_sign_in_at", Stamp),
    CheckConstraint(_one_of("role", ROLES), name="role"),
)
Index("uq_users_username_lower", func.lower(users.c.username), unique=True)

auth_sessions = Table(
    "auth_sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    Column("last_seen_at", Stamp, nullable=False, server_default=Now),
    Column("expires_at", Stamp, nullable=False, index=True),
    Column("address", Text),
    Column("user_agent", Text),
)

auth_tickets = Table(
    "auth_tickets",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE")),
    Column("browser_hash", LargeBinary),  # of the browser's own cookie: a ticket works only where it was made
    Column("return_to", Text),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    Column("expires_at", Stamp, nullable=False),
    CheckConstraint(_one_of("purpose", ("sign_in", "set_up")), name="purpose"),
)

auth_attempts = Table(
    "auth_attempts",
    metadata,
    Column("key", Text, primary_key=True),  # "account:<lower name>" or "address:<ip>"
    Column("failures", Integer, nullable=False),
    Column("last_failed_at", Stamp, nullable=False, server_default=Now),
    Column("locked_until", Stamp),
)

# ---- chats -------------------------------------------------------------------------------------

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
    CheckConstraint(_one_of("overflow_policy", OVERFLOW_POLICIES), name="overflow_policy"),
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
    CheckConstraint(_one_of("role", MESSAGE_ROLES), name="role"),
    CheckConstraint(_one_of("status", STATUSES), name="status"),
)
Index("ix_chat_messages_session_id", chat_messages.c.session_id, chat_messages.c.id)
Index("ix_chat_messages_parent_id", chat_messages.c.parent_id)
Index("ix_chat_messages_roots", chat_messages.c.session_id, postgresql_where=text("parent_id IS NULL"))
Index(
    "ix_chat_messages_search",
    # The first 100,000 characters: a tsvector may not pass 1 MB.
    func.to_tsvector(text("'simple'::regconfig"), func.left(chat_messages.c.content, text("100000"))),
    postgresql_using="gin",
)

# ---- generations -------------------------------------------------------------------------------

generations = Table(
    "generations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("message_id", ForeignKey("chat_messages.id", ondelete="CASCADE"), index=True),
    Column("status", Text, nullable=False),
    Column("owner", Uuid, nullable=False),  # the hub that runs it: one per app process
    Column("heartbeat_at", Stamp, nullable=False, server_default=Now),
    Column("stop_requested_at", Stamp),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    Column("ended_at", Stamp),
    CheckConstraint(_one_of("status", STATUSES), name="status"),
)
Index(
    "ix_generations_streaming",
    generations.c.heartbeat_at,
    postgresql_where=text("status = 'streaming'"),
)
Index("ix_generations_user_id", generations.c.user_id)

generation_events = Table(
    "generation_events",
    metadata,
    Column("generation_id", ForeignKey("generations.id", ondelete="CASCADE"), primary_key=True),
    Column("first_seq", Integer, primary_key=True),  # a row holds the deltas first_seq, first_seq + 1, ...
    Column("texts", ARRAY(Text), nullable=False),
    Column("at_ms", ARRAY(REAL), nullable=False),  # since the request was sent
)

# One row per model call, whoever made it. It outlives the chat and holds no prompt text.
usage = Table(
    "usage",
    metadata,
    Column("generation_id", Uuid, primary_key=True),
    Column("user_id", BigInteger),
    Column("organisation_id", BigInteger),
    Column("session_id", Uuid),
    Column("source", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_used", Text),
    Column("engine_type", Text),
    Column("params", JSONB, nullable=False, server_default=text("'{}'")),
    Column("status", Text, nullable=False),
    Column("finish_reason", Text),
    Column("error_class", Text),
    Column("error_message", Text),
    Column("streamed", Boolean),
    Column("fallback_reason", Text),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("tokens_estimated", Boolean),
    Column("ttft_ms", Double),
    Column("itl_p50_ms", Double),
    Column("itl_p95_ms", Double),
    Column("itl_max_ms", Double),
    Column("gaps_ms", ARRAY(REAL)),
    Column("queue_ms", Double),
    Column("duration_ms", Double),
    Column("tokens_per_second", Double),
    Column("end_to_end_tokens_per_second", Double),
    Column("bytes_received", BigInteger),
    Column("cost_usd", Double),
    Column("request_id", Text),
    Column("system_fingerprint", Text),
    Column("retry_of", Uuid),
    Column("attempt", SmallInteger, nullable=False, server_default=text("1")),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    Column("ended_at", Stamp),
    CheckConstraint(_one_of("source", SOURCES), name="source"),
    CheckConstraint(_one_of("status", STATUSES), name="status"),
)
Index("ix_usage_created_at", usage.c.created_at)
Index("ix_usage_user_created", usage.c.user_id, usage.c.created_at)

# ---- model servers -----------------------------------------------------------------------------

# Added by administrators; those of models.toml and of the environment have no row here.
upstreams = Table(
    "upstreams",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("api_key_env", Text),
    Column("api_key_encrypted", LargeBinary),  # names the base_url it is for: useless with another
    Column("engine_type", Text),
    Column("allowed_models", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("default_model", Text),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'")),
    Column("per_model", JSONB, nullable=False, server_default=text("'{}'")),
    Column("updated_by", Text),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    Column("updated_at", Stamp, nullable=False, server_default=Now),
)
Index("uq_upstreams_name_lower", func.lower(upstreams.c.name), unique=True)

# What was last found out about each upstream, wherever it comes from; a row for another base_url does not count.
upstream_health = Table(
    "upstream_health",
    metadata,
    Column("upstream", Text, primary_key=True),
    Column("base_url", Text, nullable=False),
    Column("checked_at", Stamp),
    Column("healthy", Boolean, nullable=False, server_default=text("false")),
    Column("engine_type", Text),
    Column("models", JSONB, nullable=False, server_default=text("'[]'")),
    Column("latency_ms", Double),
    Column("problem_code", Text),
    Column("problem", Text),
    Column("cure", Text),
    Column("failed_checks", Integer, nullable=False, server_default=text("0")),
    Column("failed_calls", Integer, nullable=False, server_default=text("0")),
    Column("opened_at", Stamp),  # the breaker's; None while it is closed
    Column("healthy_at", Stamp),
)

upstream_checks = Table(
    "upstream_checks",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("upstream", Text, nullable=False),
    Column("checked_at", Stamp, nullable=False, server_default=Now),
    Column("healthy", Boolean, nullable=False),
    Column("latency_ms", Double),
)
Index("ix_upstream_checks_upstream", upstream_checks.c.upstream, upstream_checks.c.checked_at)
Index("ix_upstream_checks_checked_at", upstream_checks.c.checked_at)

# A server said that it takes no such parameter for this model: it is not sent there again.
refused_params = Table(
    "refused_params",
    metadata,
    Column("base_url", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("param", Text, primary_key=True),
    Column("learned_at", Stamp, nullable=False, server_default=Now),
)

# What the answers of a model taught about its tokens; `chatplay.estimate` says what the numbers mean.
token_calibrations = Table(
    "token_calibrations",
    metadata,
    Column("upstream", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("answers", BigInteger, nullable=False),
    Column("error_share", Double, nullable=False),
    Column("gram", ARRAY(Double), nullable=False),
    Column("moment", ARRAY(Double), nullable=False),
    Column("updated_at", Stamp, nullable=False, server_default=Now),
)

# One row: what all processes watch to see news, and which of them polls.
catalog_state = Table(
    "catalog_state",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, server_default=text("1")),
    Column("registry_revision", BigInteger, nullable=False, server_default=text("0")),
    Column("health_revision", BigInteger, nullable=False, server_default=text("0")),
    Column("poller", Uuid),
    Column("poller_until", Stamp),
    Column("polled_at", Stamp),
    CheckConstraint("id = 1", name="one_row"),
)
