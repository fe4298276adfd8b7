"""Roll-ups of the usage rows, what still has to go into them, dated prices and budgets.

A roll-up row is what one scope did in one hour, day, week or period (UTC, weeks from Monday; a period is four weeks,
the first from 5 January 1970). Figures are histograms:
arrays of `upto << 20 | key`, ascending; `usage_key` and `usage_value` (in the migration) say which values a key
stands for. In the two `_by_size` the key is `size << 12 | key`, size being the bin of tokens.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from db.schema.base import Now, Stamp, metadata, one_of

BUDGET_SCOPES = ("person", "organisation")
DIMENSIONS = ("level", "scope", "shape", "scope_id", "at", "upstream", "model", "source")
SUMS = (
    "calls",
    "complete",
    "stopped",
    "failed",
    "interrupted",
    "fallbacks",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "tokens_estimated",
    "tokens_unknown",
    "cost_usd",
    "cost_unknown",
    "chats",
    "chat_answers",
)
HISTOGRAMS = ("ttft_ms", "tokens_per_second", "duration_ms", "itl_p95_ms", "ttft_by_size", "speed_by_size")
FIGURE_SUMS = ("ttft_ms", "tokens_per_second", "duration_ms", "itl_p95_ms", "completion_tokens", "cost_usd")
_BIG = ("prompt_tokens", "completion_tokens", "cached_tokens")

# Ended calls that are in no roll-up yet. The transaction that counts a call removes its row: each counts once.
usage_pending = Table(
    "usage_pending",
    metadata,
    Column("generation_id", Uuid, primary_key=True),
    Column("created_at", Stamp, nullable=False),  # the call's
)
Index("ix_usage_pending_created_at", usage_pending.c.created_at)

# The first counted call of each chat: the chat counts there, with all its answers.
usage_chats = Table(
    "usage_chats",
    metadata,
    Column("session_id", Uuid, primary_key=True),
    Column("begun_at", Stamp, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("organisation_id", BigInteger, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("source", Text, nullable=False),
)


def _zero(name: str, kind: type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=text("0"))


def _dimensions() -> tuple[Column[object], ...]:
    return (
        Column("level", SmallInteger, nullable=False),  # 0 hour, 1 day, 2 week, 3 period (not of shape 2)
        Column("scope", SmallInteger, nullable=False),  # 0 everybody, 1 organisation, 2 person
        Column("shape", SmallInteger, nullable=False),  # 0 all models, 1 by model, 2 by model and source
        Column("scope_id", BigInteger, nullable=False),
        Column("at", Stamp, nullable=False),
        Column("upstream", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("source", Text, nullable=False),
    )


usage_rollups = Table(
    "usage_rollups",
    metadata,
    *_dimensions(),
    *(_zero(name, Double if name == "cost_usd" else BigInteger if name in _BIG else Integer) for name in SUMS),
    Column("finish_reasons", JSONB, nullable=False, server_default=text("'{}'")),
    Column("error_classes", JSONB, nullable=False, server_default=text("'{}'")),
    *(Column(name, ARRAY(BigInteger)) for name in HISTOGRAMS),
    PrimaryKeyConstraint(*DIMENSIONS),
)
Index(
    "ix_usage_rollups_everyone",
    usage_rollups.c.level,
    usage_rollups.c.scope,
    usage_rollups.c.shape,
    usage_rollups.c.at,
)

# Sums for the mean of each combination of the numeric parameters. Days and weeks, not by source; of persons weeks only.
usage_settings = Table(
    "usage_settings",
    metadata,
    *_dimensions(),
    Column("settings", JSONB, nullable=False),
    _zero("calls", Integer),
    _zero("failed", Integer),
    *(_zero(f"{name}_{part}", kind) for name in FIGURE_SUMS for part, kind in (("n", Integer), ("sum", Double))),
    PrimaryKeyConstraint(*DIMENSIONS, "settings"),
)

# Never changed: the newest with valid_from in the past is in force.
prices = Table(
    "prices",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("upstream", Text, nullable=False),
    Column("model", Text, nullable=False),  # "": all models of the upstream
    Column("input_usd", Double, nullable=False),  # per million tokens, as all three
    Column("cached_usd", Double),
    Column("output_usd", Double, nullable=False),
    Column("valid_from", Stamp, nullable=False),
    Column("set_by", Text),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    UniqueConstraint("upstream", "model", "valid_from", name="uq_prices_day"),
    CheckConstraint("input_usd >= 0 AND output_usd >= 0 AND coalesce(cached_usd, 0) >= 0", name="not_negative"),
)

budgets = Table(
    "budgets",
    metadata,
    Column("scope", Text, nullable=False),
    Column("subject_id", BigInteger, nullable=False),  # of a person or an organisation
    Column("monthly_usd", Double, nullable=False),
    Column("set_by", Text),
    Column("updated_at", Stamp, nullable=False, server_default=Now),
    PrimaryKeyConstraint("scope", "subject_id"),
    CheckConstraint(one_of("scope", BUDGET_SCOPES), name="scope"),
    CheckConstraint("monthly_usd >= 0", name="not_negative"),
)
