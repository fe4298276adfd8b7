"""Usage by the hour, day and week, dated prices, budgets.

Revision ID: 0005
Revises: 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = ("level", "scope", "shape", "scope_id", "at", "upstream", "model", "source")
_STAMP = sa.DateTime(timezone=True)
_HISTOGRAM = sa.ARRAY(sa.BigInteger())

# Log buckets as in DDSketch (Masson, Rim, Lee 2019): with gamma = (1 + a) / (1 - a) the value of a key is off by at
# most a = 0.9 % from whatever fell into it. Values from a microsecond to 11 days, all in milliseconds or per second.
_FUNCTIONS = """
CREATE FUNCTION usage_key(value double precision) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CAST(floor(ln(CASE WHEN value < 1e-3 THEN 1e-3 WHEN value > 1e9 THEN 1e9 ELSE value END)
                     / ln(1.009 / 0.991)) AS integer) + 400 $$;

CREATE FUNCTION usage_edge(key double precision) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT power(1.009 / 0.991, key - 400) $$;

CREATE FUNCTION usage_value(key double precision) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT power(1.009 / 0.991, key - 400) * 1.009 $$;

-- The bin of a number of tokens: 0 is below 32, each further one twice as wide, 16 is a million and more.
CREATE FUNCTION usage_size(tokens integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT width_bucket(tokens, ARRAY[32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536,
                                     131072, 262144, 524288, 1048576]) $$;

-- A histogram is an array of `upto << 20 | key`, ascending: upto values have this key or a lower one.
CREATE FUNCTION usage_merge(a bigint[], b bigint[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN a IS NULL THEN b WHEN b IS NULL THEN a ELSE (
       SELECT array_agg((CAST(upto AS bigint) << 20) + key ORDER BY key)
       FROM (SELECT key, sum(n) OVER (ORDER BY key) AS upto
             FROM (SELECT entry & 1048575 AS key, sum(CAST((entry >> 20) - (before >> 20) AS double precision)) AS n
                   FROM (SELECT * FROM unnest(a, array_prepend(0, a))
                         UNION ALL SELECT * FROM unnest(b, array_prepend(0, b))) AS both_of(entry, before)
                   WHERE entry IS NOT NULL GROUP BY 1) AS cells) AS merged) END $$;

CREATE FUNCTION usage_total(histogram bigint[]) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT histogram[array_upper(histogram, 1)] >> 20 $$;

-- The value with `rank` values before it.
CREATE FUNCTION usage_nth(histogram bigint[], rank double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT usage_value(CAST(
       histogram[1 + width_bucket((CAST(rank AS bigint) << 20) + 1048575, histogram)] & 4095 AS double precision)) $$;

-- By linear interpolation between neighbours (Hyndman & Fan 1996, type 7).
CREATE FUNCTION usage_percentile(histogram bigint[], share double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT usage_nth(histogram, floor(rank))
          + (rank - floor(rank)) * (usage_nth(histogram, ceil(rank)) - usage_nth(histogram, floor(rank)))
   FROM (SELECT share * (usage_total(histogram) - 1)) AS placed(rank) $$;

-- {"stop": 3} and {"stop": 1, "length": 2} are {"stop": 4, "length": 2}.
CREATE FUNCTION usage_add(a jsonb, b jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce(jsonb_object_agg(key, n), '{}') FROM (
       SELECT key, sum(CAST(value AS bigint)) AS n
       FROM (SELECT * FROM jsonb_each_text(a) UNION ALL SELECT * FROM jsonb_each_text(b)) AS entries
       GROUP BY key) AS added $$;
"""

_BACKLOG = (
    "INSERT INTO usage_pending (generation_id, created_at) "
    "SELECT generation_id, created_at FROM usage WHERE ended_at IS NOT NULL ORDER BY created_at"
)


def upgrade() -> None:
    op.execute(_FUNCTIONS)
    op.add_column("usage", sa.Column("connect_ms", sa.Double()))
    op.create_index("ix_usage_failed", "usage", ["created_at"], postgresql_where=sa.text("error_class IS NOT NULL"))
    op.create_index(
        "ix_usage_experiment_id",
        "usage",
        ["experiment_id", "created_at"],
        postgresql_where=sa.text("experiment_id IS NOT NULL"),
    )
    op.create_index(
        "ix_usage_sample",
        "usage",
        ["created_at"],
        postgresql_where=sa.text("get_byte(uuid_send(generation_id), 15) % 64 = 0"),
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
    _create_rollups()
    _create_prices_and_budgets()
    op.execute(_BACKLOG)


def _create_rollups() -> None:
    op.create_table(
        "usage_pending",
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _STAMP, nullable=False),
        sa.PrimaryKeyConstraint("generation_id", name=op.f("pk_usage_pending")),
    )
    op.create_index("ix_usage_pending_created_at", "usage_pending", ["created_at"])
    op.create_table(
        "usage_chats",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("begun_at", _STAMP, nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_usage_chats")),
    )
    op.create_table(
        "usage_rollups",
        *_dimensions(),
        _zero("calls", sa.Integer()),
        _zero("complete", sa.Integer()),
        _zero("stopped", sa.Integer()),
        _zero("failed", sa.Integer()),
        _zero("interrupted", sa.Integer()),
        _zero("fallbacks", sa.Integer()),
        _zero("prompt_tokens", sa.BigInteger()),
        _zero("completion_tokens", sa.BigInteger()),
        _zero("cached_tokens", sa.BigInteger()),
        _zero("tokens_estimated", sa.Integer()),
        _zero("tokens_unknown", sa.Integer()),
        _zero("cost_usd", sa.Double()),
        _zero("cost_unknown", sa.Integer()),
        _zero("chats", sa.Integer()),
        _zero("chat_answers", sa.Integer()),
        sa.Column("finish_reasons", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("error_classes", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("ttft_ms", _HISTOGRAM),
        sa.Column("tokens_per_second", _HISTOGRAM),
        sa.Column("duration_ms", _HISTOGRAM),
        sa.Column("itl_p95_ms", _HISTOGRAM),
        sa.Column("ttft_by_size", _HISTOGRAM),
        sa.Column("speed_by_size", _HISTOGRAM),
        sa.PrimaryKeyConstraint(*_KEY, name=op.f("pk_usage_rollups")),
    )
    op.create_index("ix_usage_rollups_everyone", "usage_rollups", ["level", "scope", "shape", "at"])
    figures = ("ttft_ms", "tokens_per_second", "duration_ms", "itl_p95_ms", "completion_tokens", "cost_usd")
    sums = [column for figure in figures for column in (f"{figure}_n", f"{figure}_sum")]
    op.create_table(
        "usage_settings",
        *_dimensions(),
        sa.Column("settings", JSONB(), nullable=False),
        _zero("calls", sa.Integer()),
        _zero("failed", sa.Integer()),
        *(_zero(name, sa.Double() if name.endswith("_sum") else sa.Integer()) for name in sums),
        sa.PrimaryKeyConstraint(*_KEY, "settings", name=op.f("pk_usage_settings")),
    )


def _create_prices_and_budgets() -> None:
    op.create_table(
        "prices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("input_usd", sa.Double(), nullable=False),
        sa.Column("cached_usd", sa.Double()),
        sa.Column("output_usd", sa.Double(), nullable=False),
        sa.Column("valid_from", _STAMP, nullable=False),
        sa.Column("set_by", sa.Text()),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prices")),
        sa.UniqueConstraint("upstream", "model", "valid_from", name="uq_prices_day"),
        sa.CheckConstraint(
            "input_usd >= 0 AND output_usd >= 0 AND coalesce(cached_usd, 0) >= 0", name=op.f("ck_prices_not_negative")
        ),
    )
    op.create_table(
        "budgets",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("monthly_usd", sa.Double(), nullable=False),
        sa.Column("set_by", sa.Text()),
        sa.Column("updated_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("scope", "subject_id", name=op.f("pk_budgets")),
        sa.CheckConstraint("scope IN ('person', 'organisation')", name=op.f("ck_budgets_scope")),
        sa.CheckConstraint("monthly_usd >= 0", name=op.f("ck_budgets_not_negative")),
    )


def _dimensions() -> list[sa.Column[Any]]:
    numbers = [sa.Column(name, sa.SmallInteger(), nullable=False) for name in ("level", "scope", "shape")]
    texts = [sa.Column(name, sa.Text(), nullable=False) for name in ("upstream", "model", "source")]
    scope_id, at = sa.Column("scope_id", sa.BigInteger(), nullable=False), sa.Column("at", _STAMP, nullable=False)
    return [*numbers, scope_id, at, *texts]


def _zero(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, server_default=sa.text("0"), nullable=False)


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")
