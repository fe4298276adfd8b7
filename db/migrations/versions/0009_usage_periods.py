"""Roll-ups of four weeks, made of the weeks that are there; percentiles without a query of their own.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KEY = "scope, shape, scope_id, upstream, model, source"
_SUMS = (
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
_WORDS = ("finish_reasons", "error_classes")
_HISTOGRAMS = ("ttft_ms", "tokens_per_second", "duration_ms", "itl_p95_ms", "ttft_by_size", "speed_by_size")
_AGGREGATED = ", ".join(
    [f"sum({name})" for name in _SUMS]
    + [f"usage_added({name})" for name in _WORDS]
    + [f"usage_merged({name})" for name in _HISTOGRAMS]
)

# The same as before (type 7) in one expression: only such a function is put into the query that calls it.
_PERCENTILE = """
CREATE OR REPLACE FUNCTION usage_percentile(histogram bigint[], share double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT usage_nth(histogram, floor(share * (usage_total(histogram) - 1)))
          + (share * (usage_total(histogram) - 1) - floor(share * (usage_total(histogram) - 1)))
          * (usage_nth(histogram, ceil(share * (usage_total(histogram) - 1)))
             - usage_nth(histogram, floor(share * (usage_total(histogram) - 1)))) $$
"""


def upgrade() -> None:
    op.execute(_PERCENTILE)
    op.execute("SELECT pg_advisory_xact_lock(7163082360096779372)")  # that of counting: nobody counts meanwhile
    op.execute("CREATE AGGREGATE usage_added(jsonb) (SFUNC = usage_add, STYPE = jsonb, INITCOND = '{}')")
    op.execute("CREATE AGGREGATE usage_merged(bigint[]) (SFUNC = usage_merge, STYPE = bigint[])")
    op.execute(
        f"INSERT INTO usage_rollups (level, at, {_KEY}, {', '.join((*_SUMS, *_WORDS, *_HISTOGRAMS))}) "
        f"SELECT 3, date_bin('28 days', at, '1970-01-05 00:00:00Z') AS period, {_KEY}, {_AGGREGATED} "
        f"FROM usage_rollups WHERE level = 2 AND shape < 2 GROUP BY period, {_KEY}"
    )


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")
