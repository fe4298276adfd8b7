"""How settings do: the mean of a figure for each pair of values of two parameters."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from db.schema.rollups import FIGURE_SUMS
from db.usage_records import Axis, CellMetric, SettingsCell, UsageFilter
from db.usage_rollup import CALL_COLUMNS, SETTINGS_COLUMNS
from db.usage_source import DAY, WEEK, Source, call_conditions, ceil_to, floor_to, rollup_source

MOST_CELLS = 400
_SHORT = timedelta(days=2)


def list_settings_cells(
    conn: Connection, filter: UsageFilter, *, x: Axis, y: Axis, metric: CellMetric
) -> list[SettingsCell]:
    """By x and y, the MOST_CELLS pairs with the most calls."""
    source = _source(filter)
    n, total = ("sum(calls)", "sum(failed)") if metric == "error_rate" else (f"sum({metric}_n)", f"sum({metric}_sum)")
    sql = f"""
    WITH {source.sql}, cells AS (
        SELECT CAST(settings ->> :x AS double precision) AS x, CAST(settings ->> :y AS double precision) AS y,
               CAST({total} AS double precision) / nullif({n}, 0) AS value, CAST({n} AS bigint) AS n,
               CAST(sum(calls) AS bigint) AS calls
        FROM r GROUP BY 1, 2 ORDER BY sum(calls) DESC, 1, 2 LIMIT {MOST_CELLS})
    SELECT * FROM cells ORDER BY x NULLS FIRST, y NULLS FIRST"""
    return [SettingsCell(*row) for row in conn.execute(text(sql), {**source.params, "x": x, "y": y})]


def _source(filter: UsageFilter) -> Source:
    """The roll-up has no sources and no hours; of persons it has weeks, the days around them are read."""
    if filter.needs_rows or filter.sources or filter.end - filter.start <= _SHORT:
        return _calls(filter)
    if filter.user_id is None:
        return rollup_source(filter, coarsest=WEEK, finest=DAY, table="usage_settings")
    weeks = (ceil_to(WEEK, filter.start), (ceil_to if filter.is_open else floor_to)(WEEK, filter.end))
    return _calls(filter) if filter.models or weeks[0] >= weeks[1] else _weeks_and_calls(filter, *weeks)


def _calls(filter: UsageFilter, rows: str = "usage u", also: str = "") -> Source:
    conditions, params = call_conditions(filter)
    sums = ", ".join(
        f"CAST(c.{name}_sum IS NOT NULL AS int) AS {name}_n, coalesce(c.{name}_sum, 0) AS {name}_sum"
        for name in FIGURE_SUMS
    )
    sql = f"""
    c AS (SELECT {CALL_COLUMNS}, {SETTINGS_COLUMNS} FROM {rows} WHERE u.ended_at IS NOT NULL
          AND {" AND ".join(conditions)}),
    r AS (SELECT c.settings, c.calls, c.failed + c.interrupted AS failed, {sums} FROM c {also})"""
    return Source(sql, params, "day")


def _weeks_and_calls(filter: UsageFilter, begins: datetime, ends: datetime) -> Source:
    columns = ", ".join(f"w.{name}_n, w.{name}_sum" for name in FIGURE_SUMS)
    counted = f"""
    UNION ALL SELECT w.settings, w.calls, w.failed, {columns} FROM usage_settings w
    WHERE w.level = 2 AND w.scope = 2 AND w.shape = 0 AND w.scope_id = :user_id AND w.at >= :begins AND w.at < :ends"""
    around = """
    (VALUES (CAST(:start AS timestamptz), CAST(:begins AS timestamptz)), (:ends, :end)) AS around(begins, ends)
    JOIN usage u ON u.created_at >= around.begins AND u.created_at < around.ends"""
    around_them = _calls(filter, around, counted)
    return Source(around_them.sql, {**around_them.params, "begins": begins, "ends": ends}, "day")
