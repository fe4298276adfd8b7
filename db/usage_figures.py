"""Percentiles and distributions, merged and computed in SQL: of everything, over time, by model, by size.

A percentile interpolates between neighbours (type 7); each neighbour is off by at most 0.9 %, so is the percentile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from sqlalchemy import Connection, text

from db.usage_records import Bin, Distribution, Metric, ModelKey, PercentilePoint, SizeBin, UsageFilter
from db.usage_source import Source, call_source, rollup_source, series_level, step

BySize = Literal["ttft_by_size", "speed_by_size"]
_SIZE = "CAST((entry & 1048575) >> 12 AS int) AS size, "
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


def merged_sql(figure: str, *, groups: str = "", source: str = "r", size: bool = False) -> str:
    """Expressions that end in `{figure}_merged`: one `histogram` for each group, which are columns of `source`.

    Most groups are one row already and are passed on as they are. `size`: by the bin of tokens, too.
    """
    held = [name for name in groups.split(", ") if name]
    names = [*held, "size"] if size else held
    by, columns, held_columns = ", ".join(names), _listed(names), _listed(held)
    within = f"PARTITION BY {by}" if by else ""
    passed_on = "" if size else f"UNION ALL SELECT {held_columns}histogram FROM {figure}_held WHERE alone"
    return f"""
    {figure}_held AS (
        SELECT {held_columns}{figure} AS histogram, {"false" if size else f"count(*) OVER ({within}) = 1"} AS alone
        FROM {source} WHERE {figure} IS NOT NULL),
    {figure}_cells AS (
        SELECT {held_columns}{_SIZE if size else ""}entry & 4095 AS key,
               sum(CAST((entry >> 20) - (before >> 20) AS double precision)) AS n
        FROM {figure}_held, unnest(histogram, array_prepend(0, histogram)) AS entries(entry, before)
        WHERE entry IS NOT NULL AND NOT alone GROUP BY {columns}key),
    {figure}_ranked AS (
        SELECT {columns}key, CAST(sum(n) OVER ({within} ORDER BY key) AS bigint) AS upto FROM {figure}_cells),
    {figure}_merged AS (
        SELECT {columns}array_agg((upto << 20) + key ORDER BY key) AS histogram FROM {figure}_ranked
        {f"GROUP BY {by}" if by else "HAVING count(*) > 0"} {passed_on})"""


def _listed(names: list[str]) -> str:
    return "".join(f"{name}, " for name in names)


_PERCENTILES = (
    "usage_percentile(histogram, 0.5) AS p50, usage_percentile(histogram, 0.95) AS p95, usage_total(histogram) AS known"
)
_BUCKETS = "t AS (SELECT *, date_trunc(:width, at, 'UTC') AS start FROM r)"


def find_percentiles(conn: Connection, filter: UsageFilter, *, metric: Metric) -> Percentiles | None:
    """Of the whole range; None when no call has the figure."""
    source = get_source(filter, coarsest=2)
    sql = f"WITH {source.sql}, {merged_sql(metric)} SELECT NULL, {_PERCENTILES} FROM {metric}_merged"
    row = conn.execute(text(sql), source.params).one_or_none()
    return Percentiles(*row) if row else None


def list_percentiles(conn: Connection, filter: UsageFilter, *, metric: Metric) -> list[Percentiles]:
    """By bucket, in order, of all models together."""
    source = get_source(filter, coarsest=series_level(filter))
    merged = merged_sql(metric, groups="start", source="t")
    sql = f"WITH {source.sql}, {_BUCKETS}, {merged} SELECT start, {_PERCENTILES} FROM {metric}_merged ORDER BY 1"
    return [Percentiles(*row) for row in conn.execute(text(sql), {**source.params, "width": source.width})]


def list_percentile_points(conn: Connection, filter: UsageFilter, *, metric: Metric) -> list[PercentilePoint]:
    """By model and bucket, in this order."""
    level = series_level(filter)
    source = get_source(filter, by_model=True, coarsest=level)
    merged = merged_sql(metric, groups="upstream, model, start", source="t")
    sql = (
        f"WITH {source.sql}, {_BUCKETS}, {merged} "
        f"SELECT start, upstream, model, {_PERCENTILES} FROM {metric}_merged ORDER BY 2, 3, 1"
    )
    rows = conn.execute(text(sql), {**source.params, "width": source.width})
    length = step(level)
    return [PercentilePoint(r[0], r[0] + length, ModelKey(r[1], r[2]), r[3], r[4], r[5]) for r in rows]


def list_distributions(conn: Connection, filter: UsageFilter, *, metric: Metric) -> list[Distribution]:
    """By model, most values first: one row a model, its bins as arrays."""
    source = get_source(filter, by_model=True, coarsest=2)
    bins = (
        "SELECT array_agg(usage_edge(CAST(entry & 1048575 AS double precision)) ORDER BY entry), "
        "array_agg(usage_edge(CAST((entry & 1048575) + 1 AS double precision)) ORDER BY entry), "
        "array_agg(entry >> 20 ORDER BY entry) FROM unnest(histogram) AS entry"
    )
    sql = (
        f"WITH {source.sql}, {merged_sql(metric, groups='upstream, model')} "
        f"SELECT upstream, model, {_PERCENTILES}, bins.* FROM {metric}_merged, LATERAL ({bins}) AS bins "
        "ORDER BY known DESC, 1, 2"
    )
    found = []
    for row in conn.execute(text(sql), source.params):
        upstream, model, p50, p95, n, lows, highs, upto = row
        columns = zip(lows, highs, pairwise([0, *upto]), strict=True)
        cells = tuple(Bin(low, high, after - before, after / n) for low, high, (before, after) in columns)
        found.append(Distribution(ModelKey(upstream, model), p50, p95, n, cells))
    return found


def list_size_bins(conn: Connection, filter: UsageFilter, *, figure: BySize) -> list[SizeBin]:
    """The figure by the number of tokens, smallest first."""
    source = get_source(filter, coarsest=2)
    merged = merged_sql(figure, size=True)
    sql = f"WITH {source.sql}, {merged} SELECT size, {_PERCENTILES} FROM {figure}_merged ORDER BY 1"
    return [SizeBin(*_size_range(row[0]), *row[1:]) for row in conn.execute(text(sql), source.params)]


def _size_range(size: int) -> tuple[int, int]:
    low = 0 if size == 0 else _SMALLEST_SIZE << (size - 1)
    return low, _SMALLEST_SIZE << size if size < 16 else _ALL_SIZES
