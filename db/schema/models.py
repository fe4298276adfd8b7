"""Model servers: who added them, what was found out about them, what their answers taught."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.schema.base import Now, Stamp, metadata

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

# What the answers of a model taught about its tokens; `chatplay.tokens.estimate` says what the numbers mean.
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
