"""Sums and counts of usage: over time, by model, person, organisation, source and day, by hour of the week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from db.schema.rollups import SUMS
from db.usage_figures import get_source, merged_sql
from db.usage_records import By, Choices, HourCell, ModelKey, OutcomePoint, UsageFilter, UsageRow
from db.usage_source import (
    HOUR,
    ORGANISATION,
    PERIOD,
    PERSON,
    Source,
    call_source,
    rollup_source,
    series_level,
    step,
)

MOST_ROWS = 1_000
_RECENT_TRIALS = 1_000
_SUMMED = ", ".join(f"CAST(sum({name}) AS {'double precision' if name == 'cost_usd' else 'bigint'})" for name in SUMS)


@dataclass(frozen=True)
class Counts:
    """The sums of one bucket from `start` on."""

    start: datetime
    calls: int
    complete: int
    stopped: int
    failed: int
    interrupted: int
    fallbacks: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    tokens_estimated: int
    tokens_unknown: int
    cost_usd: float
    cost_unknown: int
    chats: int
    chat_answers: int


def list_counts(conn: Connection, filter: UsageFilter) -> list[Counts]:
    """By bucket, in order; buckets without a call are left out."""
    source = get_source(filter, coarsest=series_level(filter))
    sql = f"WITH {source.sql} SELECT date_trunc(:width, at, 'UTC'), {_SUMMED} FROM r GROUP BY 1 ORDER BY 1"
    return [Counts(*row) for row in conn.execute(text(sql), {**source.params, "width": source.width})]


def list_outcomes(conn: Connection, filter: UsageFilter) -> list[OutcomePoint]:
    """Finish reasons and error classes by bucket, in this order."""
    level = series_level(filter)
    source = get_source(filter, coarsest=level)
    words = "jsonb_each_text(t.{0}) AS word(name, n)"
    sql = f"""
    WITH {source.sql}, t AS (SELECT *, date_trunc(:width, at, 'UTC') AS start FROM r),
    totals AS (SELECT start, CAST(sum(calls) AS bigint) AS calls FROM t GROUP BY 1),
    named AS (SELECT start, 'finish_reason' AS kind, name, n FROM t, {words.format("finish_reasons")}
              UNION ALL SELECT start, 'error_class', name, n FROM t, {words.format("error_classes")})
    SELECT start, kind, name, CAST(sum(CAST(n AS bigint)) AS bigint), calls
    FROM named JOIN totals USING (start) GROUP BY start, kind, name, calls ORDER BY kind DESC, start, name"""
    rows = conn.execute(text(sql), {**source.params, "width": source.width})
    return [OutcomePoint(row[0], row[0] + step(level), *row[1:]) for row in rows]


# ---- tables --------------------------------------------------------------------------------------

_TABLE_SUMS = """
CAST(sum(calls) AS bigint) AS calls, CAST(sum(failed + interrupted) AS bigint) AS failed,
CAST(sum(fallbacks) AS bigint) AS fallbacks, CAST(sum(prompt_tokens) AS bigint) AS prompt_tokens,
CAST(sum(completion_tokens) AS bigint) AS completion_tokens, CAST(sum(cached_tokens) AS bigint) AS cached_tokens,
CAST(sum(tokens_estimated) AS bigint) AS tokens_estimated, CAST(sum(tokens_unknown) AS bigint) AS tokens_unknown,
CASE WHEN sum(calls) > sum(cost_unknown) THEN sum(cost_usd) END AS cost_usd,
CAST(sum(cost_unknown) AS bigint) AS cost_unknown, CAST(sum(chats) AS bigint) AS chats
"""
# by -> what identifies a roll-up row, what joins for a label, the label
_KEYED: dict[By, tuple[str, str, str]] = {
    "model": ("r.upstream || '/' || r.model", "", "sums.id"),
    "source": ("r.source", "", "sums.id"),
    "day": ("CAST(CAST(date_trunc('hour', r.at, 'UTC') AT TIME ZONE :tz AS date) AS text)", "", "sums.id"),
    "person": (
        "CAST(r.scope_id AS text)",
        "LEFT JOIN users p ON CAST(p.id AS text) = sums.id",
        "coalesce(p.display_name, 'deleted person ' || sums.id)",
    ),
    "organisation": (
        "CAST(r.scope_id AS text)",
        "LEFT JOIN organisations o ON CAST(o.id AS text) = sums.id",
        "coalesce(o.name, 'none')",
    ),
}


def list_usage(conn: Connection, filter: UsageFilter, *, by: By, tz: str, percentiles: bool = True) -> list[UsageRow]:
    """What each used, most calls first; days in order and without percentiles. At most MOST_ROWS."""
    source = _table_source(filter, by)
    identity, join, label = _KEYED[by]
    with_figures = percentiles and by != "day"
    order = "id DESC" if by == "day" else "calls DESC, id"
    figures = _table_figures() if with_figures else ""
    columns = "ttft_p50, ttft_p95, speed_p50" if with_figures else "NULL, NULL, NULL"
    joined = "LEFT JOIN ttft USING (id) LEFT JOIN speed USING (id)" if with_figures else ""
    sql = f"""
    WITH {source.sql}, k AS (SELECT {identity} AS id, r.* FROM r),
    sums AS (SELECT id, {_TABLE_SUMS} FROM k GROUP BY id ORDER BY {order} LIMIT {MOST_ROWS}){figures}
    SELECT sums.id, {label}, calls, failed, fallbacks, prompt_tokens, completion_tokens, cached_tokens,
           tokens_estimated, tokens_unknown, cost_usd, cost_unknown, {columns}, chats
    FROM sums {joined} {join} ORDER BY {"sums.id" if by == "day" else "calls DESC, sums.id"}"""
    return [UsageRow(*row) for row in conn.execute(text(sql), {**source.params, "tz": tz})]


def _table_figures() -> str:
    """Expressions `ttft` and `speed` by id, over `k`."""
    ttft = merged_sql("ttft_ms", groups="id", source="k")
    speed = merged_sql("tokens_per_second", groups="id", source="k")
    return f""", {ttft}, {speed},
    ttft AS (SELECT id, usage_percentile(histogram, 0.5) AS ttft_p50, usage_percentile(histogram, 0.95) AS ttft_p95
             FROM ttft_ms_merged),
    speed AS (SELECT id, usage_percentile(histogram, 0.5) AS speed_p50 FROM tokens_per_second_merged)"""


def _table_source(filter: UsageFilter, by: By) -> Source:
    scope = {"person": PERSON, "organisation": ORGANISATION}.get(by)
    one = PERSON if filter.user_id is not None else ORGANISATION if filter.organisation_id is not None else None
    if filter.needs_rows or (scope is not None and one not in (None, scope)):
        return call_source(filter, scope=scope)
    scope = scope if one is None else None  # of one person or organisation: the filter says whose already
    coarsest = HOUR if by == "day" else PERIOD
    return rollup_source(filter, by_model=by == "model", by_source=by == "source", coarsest=coarsest, scope=scope)


# Of `local`, seconds on the wall clock since a Thursday: the hour of the week from Monday on.
_WEEK_HOUR = "(CAST(floor(local / 3600) AS bigint) + 72) % 168"


def list_week_hours(conn: Connection, filter: UsageFilter, *, tz: str) -> list[HourCell]:
    """The hours of the viewer's week, Monday first, those without a call too."""
    source = get_source(filter, coarsest=HOUR)
    sql = f"""
    WITH {source.sql},
    hours AS (SELECT date_part('epoch', at AT TIME ZONE :tz) AS local FROM generate_series(
        date_trunc('hour', CAST(:from AS timestamptz), 'UTC'), CAST(:to AS timestamptz) - interval '1 us',
        interval '1 hour') AS at),
    held AS (SELECT {_WEEK_HOUR} AS week_hour, CAST(min(local) AS bigint) / 60 % 60 AS minute, count(*) AS hours
             FROM hours GROUP BY 1),
    loads AS (SELECT {_WEEK_HOUR} AS week_hour, sum(calls) AS calls, sum(failed) AS failed
              FROM (SELECT date_part('epoch', date_trunc('hour', at, 'UTC') AT TIME ZONE :tz) AS local, calls,
                           failed + interrupted AS failed FROM r) AS local GROUP BY 1)
    SELECT week_hour / 24, week_hour % 24, CAST(minute AS int), CAST(coalesce(calls, 0) AS bigint),
           CAST(coalesce(failed, 0) AS bigint), hours
    FROM held LEFT JOIN loads USING (week_hour) ORDER BY week_hour"""
    bounds = {"tz": tz, "from": filter.start, "to": filter.end}
    return [HourCell(*row) for row in conn.execute(text(sql), {**source.params, **bounds})]


def get_choices(conn: Connection, filter: UsageFilter) -> Choices:
    """What occurs in the range for the person, the organisation or everybody; experiments are the recent ones."""
    bare = filter.bare
    used = "SELECT {0} FROM r GROUP BY {0} ORDER BY sum(calls) DESC, {0}"
    by_model, by_source = rollup_source(bare, by_model=True), rollup_source(bare, by_source=True)
    models = conn.execute(text(f"WITH {by_model.sql} {used.format('upstream, model')}"), by_model.params)
    sources = conn.execute(text(f"WITH {by_source.sql} {used.format('source')}"), by_source.params).scalars()
    recent = f"""
    SELECT experiment_id FROM (
        SELECT experiment_id, created_at FROM usage u
        WHERE experiment_id IS NOT NULL AND created_at >= :start AND created_at < :end
          AND (CAST(:user_id AS bigint) IS NULL OR user_id = :user_id)
          AND (CAST(:organisation_id AS bigint) IS NULL OR organisation_id = :organisation_id)
        ORDER BY created_at DESC LIMIT {_RECENT_TRIALS}) AS trials
    GROUP BY 1 ORDER BY max(created_at) DESC"""
    asked = {name: getattr(filter, name) for name in ("start", "end", "user_id", "organisation_id")}
    experiments = conn.execute(text(recent), asked).scalars()
    return Choices(tuple(ModelKey(*row) for row in models), tuple(sources), tuple(experiments))
