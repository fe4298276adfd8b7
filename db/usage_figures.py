"""Percentiles and distributions, merged and computed in SQL: of everything, over time, by model, by size.

A percentile interpolates between neighbours (type 7); each neighbour is off by at most 0.9 %, so is the percentile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, text

from db.usage_records import Bin, Distribution, Metric, ModelKey, PercentilePoint, SizeBin, UsageFilter
from db.usage_source import Source, call_source, rollup_source, series_level, step

BySize = Literal["ttft_by_size", "speed_by_size"]
_KEY = "CAST(entry >> 40 AS int)"
_N = "CAST(entry & 1099511627775 AS int)"
_SMALLEST_SIZE = 32
_ALL_SIZES = 2**31 - 1


@dataclass(frozen=True)
class Percentiles:
    """Of one bucket, or of the whole range (`start` None)."""

    start: datetime | None
    p50: float
    p95: float
    n: int


def get_source(filter: UsageFilter, *, coarsest: int, by_model: bool = False, by_source: bool = False) -> Source:
    """The roll-up where it can answer, else the rows of the calls."""
    if filter.needs_rows:
        return call_source(filter, coarsest=coarsest)
    return rollup_source(filter, by_model=by_model, by_source=by_source, coarsest=coarsest)


def ranked_sql(
    figure: str, *, groups: str = "", key: str = _KEY, source: str = "r", more: str = "", name: str = "ranked"
) -> str:
    """An expression `name`: the cells of a histogram column, how many values lie `upto` each, of how many in `total`.

    `groups`: columns of `source`; `more`: further groups, as expressions with names, of the histogram's `entry`.
    """
    named = [part.split(" AS ")[-1] for part in (*_split(groups), *_split(more))]
    columns = "".join(f"{part}, " for part in (*_split(groups), *_split(more)))
    by = f"PARTITION BY {', '.join(named)}" if named else ""
    return f"""
    {name}_cells AS (SELECT {columns}{key} AS key, CAST(sum({_N}) AS double precision) AS n
              FROM {source}, unnest({source}.{figure}) AS entry GROUP BY {"".join(f"{name}, " for name in named)}key),
    {name} AS (SELECT *, sum(n) OVER (within ORDER BY key) AS upto, sum(n) OVER within AS total
               FROM {name}_cells WINDOW within AS ({by}))"""


def _split(columns: str) -> list[str]:
    return [part.strip() for part in columns.split(",") if part.strip()]


def percentile_sql(share: float) -> str:
    """An aggregate over `ranked`; unknown of nothing."""
    below = f"usage_value(min(key) FILTER (WHERE upto > floor({share} * (total - 1))))"
    above = f"usage_value(min(key) FILTER (WHERE upto > ceil({share} * (total - 1))))"
    place = f"({share} * (max(total) - 1) - floor({share} * (max(total) - 1)))"
    return f"{below} + {place} * ({above} - {below})"


_PERCENTILES = f"{percentile_sql(0.5)} AS p50, {percentile_sql(0.95)} AS p95, CAST(max(total) AS bigint) AS known"
_BUCKETS = "t AS (SELECT *, date_trunc(:width, at, 'UTC') AS start FROM r)"


def find_percentiles(conn: Connection, filter: UsageFilter, *, metric: Metric) -> Percentiles | None:
    """Of the whole range; None when no call has the figure."""
    source = get_source(filter, coarsest=2)
    sql = f"WITH {source.sql}, {ranked_sql(metric)} SELECT NULL, {_PERCENTILES} FROM ranked HAVING count(*) > 0"
    row = conn.execute(text(sql), source.params).one_or_none()
    return Percentiles(*row) if row else None


def list_percentiles(conn: Connection, filter: UsageFilter, *, metric: Metric) -> list[Percentiles]:
    """By bucket, in order, of all models together."""
    source = get_source(filter, coarsest=series_level(filter))
    ranked = ranked_sql(metric, groups="start", source="t")
    sql = f"WITH {source.sql}, {_BUCKETS}, {ranked} SELECT start, {_PERCENTILES} FROM ranked GROUP BY 1 ORDER BY 1"
    return [Percentiles(*row) for row in conn.execute(text(sql), {**source.params, "width": source.width})]


def list_percentile_points(conn: Connection, filter: UsageFilter, *, metric: Metric) -> list[PercentilePoint]:
    """By model and bucket, in this order."""
    level = series_level(filter)
    source = get_source(filter, by_model=True, coarsest=level)
    ranked = ranked_sql(metric, groups="upstream, model, start", source="t")
    sql = (
        f"WITH {source.sql}, {_BUCKETS}, {ranked} "
        f"SELECT start, upstream, model, {_PERCENTILES} FROM ranked GROUP BY 1, 2, 3 ORDER BY 2, 3, 1"
    )
    rows = conn.execute(text(sql), {**source.params, "width": source.width})
    length = step(level)
    return [PercentilePoint(r[0], r[0] + length, ModelKey(r[1], r[2]), r[3], r[4], r[5]) for r in rows]


def list_distributions(conn: Connection, filter: UsageFilter, *, metric: Metric) -> list[Distribution]:
    """By model, most values first: one row a model, its bins as arrays."""
    source = get_source(filter, by_model=True, coarsest=2)
    bins = "array_agg(usage_edge(key) ORDER BY key), array_agg(usage_edge(key + 1) ORDER BY key)"
    sql = (
        f"WITH {source.sql}, {ranked_sql(metric, groups='upstream, model')} "
        f"SELECT upstream, model, {_PERCENTILES}, {bins}, array_agg(n ORDER BY key), array_agg(upto ORDER BY key) "
        "FROM ranked GROUP BY 1, 2 ORDER BY known DESC, 1, 2"
    )
    found = []
    for row in conn.execute(text(sql), source.params):
        upstream, model, p50, p95, n, lows, highs, counts, upto = row
        columns = zip(lows, highs, counts, upto, strict=True)
        cells = tuple(Bin(low, high, int(count), before / n) for low, high, count, before in columns)
        found.append(Distribution(ModelKey(upstream, model), p50, p95, n, cells))
    return found


def list_size_bins(conn: Connection, filter: UsageFilter, *, figure: BySize) -> list[SizeBin]:
    """The figure by the number of tokens, smallest first."""
    source = get_source(filter, coarsest=2)
    size = "CAST(entry >> 52 AS int) AS size"
    ranked = ranked_sql(figure, more=size, key="CAST((entry >> 40) & 4095 AS int)")
    sql = f"WITH {source.sql}, {ranked} SELECT size, {_PERCENTILES} FROM ranked GROUP BY 1 ORDER BY 1"
    return [SizeBin(*_size_range(row[0]), *row[1:]) for row in conn.execute(text(sql), source.params)]


def _size_range(size: int) -> tuple[int, int]:
    low = 0 if size == 0 else _SMALLEST_SIZE << (size - 1)
    return low, _SMALLEST_SIZE << size if size < 16 else _ALL_SIZES
