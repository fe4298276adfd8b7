"""Charts of bars: how calls ended over time, and what each used. PICK a bar or a piece of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import altair as alt
import pandas as pd

from chatplay.ui import chart_style as style
from chatplay.ui.charts import PICK, wall
from chatplay.usage.values import OutcomePoint, UsageRow

Measure = Literal["tokens", "cost"]
_KINDS: dict[Measure, tuple[str, ...]] = {"tokens": ("Prompt tokens", "Answer tokens"), "cost": ("Cost",)}
_AMOUNT_TITLES = {"tokens": "Tokens", "cost": "US dollars"}
_AMOUNT_AXES = {"tokens": "~s", "cost": "$,.6~f"}  # in "~s" a tenth of a dollar reads 100m
_TICKS = alt.ExprRef("max(2, ceil(width / 80))")  # as many as leave their amounts apart
_AMOUNTS = {"tokens": ",", "cost": "$,.4~g"}
# What is as it should be is calm; what is not stands out. Other words take the colour of their name.
_OUTCOMES = {"stop": "#0072B2", "length": "#E69F00", "content_filter": "#D55E00", "tool_calls": "#56B4E9"}


def outcomes(rows: Sequence[OutcomePoint], *, tz: ZoneInfo) -> Any:
    """How many calls ended how, stacked over time. PICK a piece of a bar."""
    names = _by_total(rows)
    looks = style.colours(names) | {name: look for name, look in _OUTCOMES.items() if name in names}
    data = pd.DataFrame(
        {
            "time": wall(row.start, tz),
            "until": wall(row.end, tz),
            "name": row.name,
            "n": row.n,
            "of": row.of,
            "low": low,
            "high": low + row.n,
        }
        for row, low in _stacked(rows, names)
    )
    return _columns(
        data,
        y=alt.Y("low:Q", title="Calls", axis=alt.Axis(tickMinStep=1, format="~s")),
        color=alt.Color(
            "name:N",
            scale=alt.Scale(domain=names, range=[looks[name] for name in names]),
            legend=style.top_legend(names),
        ),
        tooltip=[
            alt.Tooltip("time:T", title="From", format="%Y-%m-%d %H:%M"),
            alt.Tooltip("name:N", title="Ended"),
            alt.Tooltip("n:Q", title="Calls", format=","),
            alt.Tooltip("of:Q", title="Of", format=","),
        ],
        pick=["time", "name"],
    )


def amounts(rows: Sequence[UsageRow], *, measure: Measure) -> Any:
    """Tokens (prompt and answer stacked) or cost, a bar for each row, longest first."""
    labels = [row.label for row in rows]
    names = {row.key: row.label if labels.count(row.label) == 1 else f"{row.label} ({row.key})" for row in rows}
    data = pd.DataFrame(
        {"name": names[row.key], "key": row.key, "kind": kind, "value": value, "calls": row.calls}
        for row in rows
        for kind, value in _amounts_of(row, measure)
    )
    return (
        alt.Chart(data)
        .mark_bar()
        .encode(
            x=alt.X(
                "value:Q",
                title=_AMOUNT_TITLES[measure],
                axis=alt.Axis(format=_AMOUNT_AXES[measure], tickCount=_TICKS),
            ),
            y=alt.Y("name:N", title=None, sort=list(names.values()), axis=alt.Axis(labelLimit=160, labelOverlap=False)),
            color=_kinds(measure),
            tooltip=[alt.Tooltip("name:N", title="Of"), *_amount_tooltip(measure, "value")],
        )
        .add_params(alt.selection_point(name=PICK, fields=["key"], on="click", clear="dblclick"))
    )


def amounts_by_day(rows: Sequence[UsageRow], *, measure: Measure) -> Any:
    """The same of rows of days, along the calendar: a day without a call is a gap."""
    data = pd.DataFrame(
        {
            "time": _midnight(row.key, 0),
            "until": _midnight(row.key, 1),
            "key": row.key,
            "kind": kind,
            "low": low,
            "high": low + value,
            "sum": value,
            "calls": row.calls,
        }
        for row in rows
        for kind, value, low in _stacked_amounts(row, measure)
    )
    return _columns(
        data,
        y=alt.Y("low:Q", title=_AMOUNT_TITLES[measure], axis=alt.Axis(format=_AMOUNT_AXES[measure])),
        color=_kinds(measure),
        tooltip=[alt.Tooltip("key:N", title="Day"), *_amount_tooltip(measure, "sum")],
        pick=["key"],
    )


# ---- parts -------------------------------------------------------------------------------------


def _columns(data: pd.DataFrame, *, y: alt.Y, color: alt.Color, tooltip: list[alt.Tooltip], pick: list[str]) -> Any:
    """Along the calendar, a piece from `time` to `until` and from `low` to `high` for each row."""
    return (
        alt.Chart(data)
        .mark_rect()
        .encode(
            x=alt.X("time:T", title=None, axis=style.time_axis()),
            x2=alt.X2("until:T"),
            y=y,
            y2=alt.Y2("high:Q"),
            color=color,
            tooltip=tooltip,
        )
        .add_params(alt.selection_point(name=PICK, fields=pick, on="click", clear="dblclick"))
    )


def _midnight(day: str, days_on: int) -> str:
    """With its hour, since the browser takes a bare day as one of UTC."""
    return f"{date.fromisoformat(day) + timedelta(days=days_on)}T00:00:00"


def _kinds(measure: Measure) -> alt.Color:
    kinds = list(_KINDS[measure])
    scale = alt.Scale(domain=kinds, range=list(style.PALETTE[: len(kinds)]))
    return alt.Color("kind:N", title=None, scale=scale, legend=style.top_legend(kinds) if len(kinds) > 1 else None)


def _amount_tooltip(measure: Measure, field: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("kind:N", title="What"),
        alt.Tooltip(f"{field}:Q", title="Sum", format=_AMOUNTS[measure]),
        alt.Tooltip("calls:Q", title="Calls", format=","),
    ]


def _amounts_of(row: UsageRow, measure: Measure) -> list[tuple[str, float]]:
    values = (row.cost_usd,) if measure == "cost" else (row.prompt_tokens, row.completion_tokens)
    return [(kind, value) for kind, value in zip(_KINDS[measure], values, strict=True) if value is not None]


def _stacked_amounts(row: UsageRow, measure: Measure) -> Iterator[tuple[str, float, float]]:
    low = 0.0
    for kind, value in _amounts_of(row, measure):
        yield kind, value, low
        low += value


def _by_total(rows: Sequence[OutcomePoint]) -> list[str]:
    totals: dict[str, int] = {}
    for row in rows:
        totals[row.name] = totals.get(row.name, 0) + row.n
    return sorted(totals, key=lambda name: -totals[name])


def _stacked(rows: Sequence[OutcomePoint], names: Sequence[str]) -> list[tuple[OutcomePoint, int]]:
    """Each row with what lies under it: rows of one bucket stand on each other in the order of `names`."""
    heights: dict[datetime, int] = {}
    placed = []
    for row in sorted(rows, key=lambda row: names.index(row.name)):
        low = heights.get(row.start, 0)
        placed.append((row, low))
        heights[row.start] = low + row.n
    return placed
