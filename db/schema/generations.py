"""Running model calls, their event log, their answers, and one usage row per call."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.schema.base import SOURCES, STATUSES, Now, Stamp, metadata, one_of

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
    Column("delta_chars", ARRAY(Integer)),  # the length of each delta, to resume a reader between two of them
    CheckConstraint(one_of("status", STATUSES), name="status"),
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

# What a call answered that is no message of a chat: a pane, a trial. Calls through the completions endpoint keep none.
answers = Table(
    "answers",
    metadata,
    Column("generation_id", ForeignKey("generations.id", ondelete="CASCADE"), primary_key=True),
    Column("content", Text, nullable=False, server_default=""),
    Column("status", Text, nullable=False, server_default="streaming"),
    Column("metrics_json", JSONB, nullable=False, server_default=text("'{}'")),
    CheckConstraint(one_of("status", STATUSES), name="status"),
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
    Column("sent", JSONB),  # the request body as the upstream received it, without messages and key
    Column("fingerprint", Text),  # of the whole request as sent, messages included
    Column("experiment_id", Uuid),
    Column("status", Text, nullable=False),
    Column("finish_reason", Text),
    Column("error_class", Text),
    Column("error_message", Text),
    Column("streamed", Boolean),
    Column("fallback_reason", Text),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("reasoning_tokens", Integer),  # among the completion tokens
    Column("tokens_estimated", Boolean),
    Column("ttft_ms", Double),
    Column("itl_p50_ms", Double),
    Column("itl_p95_ms", Double),
    Column("itl_max_ms", Double),
    Column("gaps_ms", ARRAY(REAL)),
    Column("queue_ms", Double),
    Column("connect_ms", Double),  # from asking until the request was sent
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
    CheckConstraint(one_of("source", SOURCES), name="source"),
    CheckConstraint(one_of("status", STATUSES), name="status"),
)
Index("ix_usage_created_at", usage.c.created_at)
Index("ix_usage_user_created", usage.c.user_id, usage.c.created_at)
Index("ix_usage_failed", usage.c.created_at, postgresql_where=text("error_class IS NOT NULL"))
Index(
    "ix_usage_experiment_id",
    usage.c.experiment_id,
    usage.c.created_at,
    postgresql_where=text("experiment_id IS NOT NULL"),
)
Index(
    "ix_usage_model",
    usage.c.upstream,
    usage.c.model,
    usage.c.created_at,
    postgresql_where=text("status = 'complete'"),
)
# A random 64th of all calls, for the points of scatter charts: read from the index alone.
Index(
    "ix_usage_sample",
    usage.c.created_at,
    postgresql_where=text("get_byte(uuid_send(generation_id), 15) % 64 = 0"),
    postgresql_include=[
        "generation_id",
        "user_id",
        "organisation_id",
        "upstream",
        "model",
        "source",
        "prompt_tokens",
        "completion_tokens",
        "ttft_ms",
        "tokens_per_second",
        "ended_at",
    ],
)
