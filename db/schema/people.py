"""People, their organisations, their sign-ins (`auth_sessions`) and what guards them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.schema.base import ROLES, Now, Stamp, metadata, one_of

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
    CheckConstraint(one_of("role", ROLES), name="role"),
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
    CheckConstraint(one_of("purpose", ("sign_in", "set_up")), name="purpose"),
)

auth_attempts = Table(
    "auth_attempts",
    metadata,
    Column("key", Text, primary_key=True),  # "account:<lower name>" or "address:<ip>"
    Column("failures", Integer, nullable=False),
    Column("last_failed_at", Stamp, nullable=False, server_default=Now),
    Column("locked_until", Stamp),
)
