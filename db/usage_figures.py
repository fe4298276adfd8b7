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
from db.usage_source import PERIOD, Source, call_source, rollup_source, series_level, step

BySize = Literal["ttft_by_size", "speed_by_size"]
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


def merged_sql(figure: str, *, groups: str = "", source: str = "r") -> str:
    """Expressions that end in `{figure}_merged`: one `histogram` for each group, which are columns of `source`.

    Most groups are one row already and are passed on as they are, though unpacked, which would else be done at each
    look into them. The others go by number: texts sort slowly.
    """
    columns = f"{groups}, " if groups else ""
    by, spot = (f"PARTITION BY {groups}", f"dense_rank() OVER (ORDER BY {groups})") if groups else ("", "1")
    return f"""
    {figure}_held AS (
        SELECT {columns}{figure} AS histogram, count(*) OVER ({by}) = 1 AS alone, CAST({spot} AS int) AS spot
        FROM {source} WHERE {figure} IS NOT NULL),
    {_added_sql(figure, "(CAST(spot AS bigint) << 12) + (entry & 4095)", f"{figure}_held", "NOT alone")},
    {figure}_merged AS MATERIALIZED (
        SELECT {columns}added.histogram FROM {figure}_added AS added
        JOIN (SELECT DISTINCT {columns}spot FROM {figure}_held) AS spots USING (spot)
        UNION ALL SELECT {columns}histogram || CAST('{{}}' AS bigint[]) FROM {figure}_held WHERE alone)"""


def sized_sql(figure: BySize) -> str:
    """Expressions that end in `{figure}_added`: one `histogram` for each bin of tokens, `spot`, of all rows of `r`."""
    held = f"{figure}_held AS (SELECT {figure} AS histogram FROM r WHERE {figure} IS NOT NULL)"
    return f"{held}, {_added_sql(figure, 'entry & 1048575', f'{figure}_held', 'true')}"


def _added_sql(figure: str, cell: str, source: str, condition: str) -> str:
    """`cell` is `spot << 12 | key` in one number: sorting by two takes twice as long.

    Arrays are unpacked in a select list: in FROM each would be stored first, for half as much time again.
    """
    return f"""{figure}_added AS (
        SELECT spot, array_agg((upto << 20) + (cell & 4095) ORDER BY cell) AS histogram
        FROM (SELECT CAST(cell >> 12 AS int) AS spot, cell, CAST(sum(n) OVER (
                         PARTITION BY cell >> 12 ORDER BY cell ROWS UNBOUNDED PRECEDING) AS bigint) AS upto
              FROM (SELECT {cell} AS cell, sum(CAST((entry >> 20) - (before >> 20) AS double precision)) AS n
                    FROM (SELECT *, unnest(histogram) AS entry, unnest(array_prepend(0, histogram)) AS before
                          FROM {source} WHERE {condition}) AS entries
                    WHERE entry IS NOT NULL GROUP BY 1) AS cells) AS ranked
        GROUP BY spot)"""


_PERCENTILES = (
    "usage_percentile(histogram, 0.5) AS p50, usage_percentile(histogram, 0.95) AS p95, usage_total(histogram) AS known"
)
_BUCKETS = "t AS (SELECT *, date_trunc(:width, at, 'UTC') AS start FROM r)"


def find_percentiles(conn: Connection, filter: UsageFilter, *, metric: Metric) -> Percentiles | None:
    """Of the whole range; None when no call has the figure."""
    source = get_source(filter, coarsest=PERIOD)
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
    rows = conn.execute(text(sql), {**source.params, "width": source.width}).all()
    length = step(level)
    return [PercentilePoint(r[0], r[0] + length, ModelKey(r[1], r[2]), r[3], r[4], r[5]) for r in rows]


def list_distributions(conn: Connection, filter: UsageFilter, *, metric: Metric) -> list[Distribution]:
    """By model, most values first: one row a model, its bins as arrays."""
    source = get_source(filter, by_model=True, coarsest=PERIOD)
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
    source = get_source(filter, coarsest=PERIOD)
    sql = f"WITH {source.sql}, {sized_sql(figure)} SELECT spot, {_PERCENTILES} FROM {figure}_added ORDER BY 1"
    return [SizeBin(*_size_range(row[0]), *row[1:]) for row in conn.execute(text(sql), source.params)]


def _size_range(size: int) -> tuple[int, int]:
    low = 0 if size == 0 else _SMALLEST_SIZE << (size - 1)
    return low, _SMALLEST_SIZE << size if size < 16 else _ALL_SIZES
