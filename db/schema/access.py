"""Personal access tokens, and how often somebody has asked lately."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Column, ForeignKey, Identity, LargeBinary, Table, Text

from db.schema.base import Now, Stamp, metadata

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("ending", Text, nullable=False),  # its last characters, to tell one from another
    Column("created_at", Stamp, nullable=False, server_default=Now),
    Column("expires_at", Stamp),
    Column("last_used_at", Stamp),
)

# Counts for seconds only: unlogged, so that counting waits for no disk; a crash of the server forgets it.
request_limits = Table(
    "request_limits",
    metadata,
    Column("key", Text, primary_key=True),  # "person:<id>" or "address:<ip>"
    Column("due_at", Stamp, nullable=False),  # when all that was asked so far would have come at an even pace
    prefixes=["UNLOGGED"],
)
