"""One function per chart: typed rows in, an Altair chart out. No queries, no widgets.

Times are drawn as the viewer's wall clock: strings without a zone, which the browser takes as its local time, so
that the axis reads as the tables do whatever zone the browser is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import altair as alt
import pandas as pd

from chatplay.ui import chart_style as style
from chatplay.usage.values import (
    Binned,
    Distribution,
    Gap,
    ModelKey,
    OutcomePoint,
    PercentilePoint,
    Tile,
    UsageRow,
)

PICK, BRUSH = "pick", "brush"  # names of selections: one point or cell; a range of time
_PERCENTILE_DASHES = alt.StrokeDash(
    "percentile:N", scale=alt.Scale(domain=["p50", "p95"], range=[[1, 0], [4, 3]]), legend=None
)
_LEAST = 0.01  # what a logarithmic axis can still show
_LOG_AXIS = alt.Axis(tickCount=5, grid=False, format="~s")
_AMOUNT_TITLES = {"tokens": "Tokens", "cost": "US dollars"}
_AMOUNT_AXES = {"tokens": "~s", "cost": "$,.6~f"}  # in "~s" a tenth of a dollar reads 100m
# What is as it should be is calm; what is not stands out. Other words take the colour of their name.
_OUTCOMES = {"stop": "#0072B2", "length": "#E69F00", "content_filter": "#D55E00", "tool_calls": "#56B4E9"}


def model_labels(keys: Iterable[ModelKey]) -> dict[ModelKey, str]:
    """The model's name; where two servers have one of that name, `name @ server`."""
    known = sorted(set(keys))
    names = [key.model for key in known]
    return {key: key.model if names.count(key.model) == 1 else f"{key.model} @ {key.upstream}" for key in known}


def percentiles(
    rows: Sequence[PercentilePoint],
    *,
    title: str,
    tz: ZoneInfo,
    shown: Sequence[str] = ("p50", "p95"),
    known: Sequence[ModelKey] = (),
    target: float | None = None,
) -> Any:
    """p50 whole and p95 dashed, by model over time. Selections: BRUSH on time, PICK a point."""
    labels = model_labels([*known, *(row.model for row in rows)])
    names = [labels[key] for key in sorted({row.model for row in rows})]
    data = pd.DataFrame(
        {
            "time": _wall(row.start, tz),
            "model": labels[row.model],
            "percentile": name,
            "value": value,
            "n": row.n,
        }
        for row in rows
        for name, value in (("p50", row.p50), ("p95", row.p95))
        if name in shown
    )
    legend = alt.selection_point(name="legend", fields=["model"], bind="legend")
    pick = alt.selection_point(name=PICK, fields=["time", "model"], on="click", clear="dblclick")
    base = alt.Chart(data).encode(
        x=alt.X("time:T", title=None, axis=style.time_axis()),
        y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=True)),
        color=style.colour("model", names, among=labels.values()),
        strokeDash=_PERCENTILE_DASHES,
        opacity=alt.condition(legend, alt.value(1.0), alt.value(0.12)),
        tooltip=[
            alt.Tooltip("time:T", title="From", format="%Y-%m-%d %H:%M"),
            alt.Tooltip("model:N", title="Model"),
            alt.Tooltip("percentile:N", title="Percentile"),
            alt.Tooltip("value:Q", title=title, format=",.4~g"),
            alt.Tooltip("n:Q", title="Calls", format=","),
        ],
    )
    lines = base.mark_line(strokeWidth=2).add_params(legend, alt.selection_interval(name=BRUSH, encodings=["x"]))
    points = base.mark_point(size=36, filled=True).add_params(pick)
    return _with_target(lines + points, target)


def distribution(rows: Sequence[Distribution], *, title: str, known: Sequence[ModelKey] = ()) -> Any:
    """The share of calls at or below each value, by model, on a logarithmic axis (said in its title). PICK a step."""
    labels = model_labels([*known, *(row.model for row in rows)])
    names = [labels[key] for key in sorted({row.model for row in rows})]
    data = pd.DataFrame(
        {"value": value, "low": low, "share": share, "model": labels[row.model], "n": row.n}
        for row in rows
        for low, value, share in _steps_up(row)
    )
    legend = alt.selection_point(name="legend", fields=["model"], bind="legend")
    base = alt.Chart(data).encode(
        x=alt.X("value:Q", title=f"{title} (log scale)", scale=alt.Scale(type="log", nice=False), axis=_LOG_AXIS),
        y=alt.Y("share:Q", title="Share of calls at or below", axis=alt.Axis(format=".0%")),
        color=style.colour("model", names, among=labels.values()),
        tooltip=[
            alt.Tooltip("model:N", title="Model"),
            alt.Tooltip("share:Q", title="Share", format=".1%"),
            alt.Tooltip("value:Q", title=f"At most, {title}", format=",.4~g"),
            alt.Tooltip("n:Q", title="Calls", format=","),
        ],
    )
    lines = base.mark_line(interpolate="step-after", strokeWidth=2).encode(
        strokeDash=style.dash("model", names, among=labels.values()),
        opacity=alt.condition(legend, alt.value(1.0), alt.value(0.12)),
    )
    # Not seen, but hovered and clicked: a line has no places of its own.
    pick = alt.selection_point(name=PICK, fields=["model", "low", "value"], on="click", clear="dblclick")
    return lines.add_params(legend) + base.mark_point(size=60, filled=True, opacity=0).add_params(pick)


def _steps_up(row: Distribution) -> list[tuple[float, float, float]]:
    """Low and high edge and share of each step. The line begins at 0 %, else a single call would draw nothing."""
    steps = [(step.low, step.high, step.upto) for step in row.bins if step.high > 0]
    first = steps[0][0] or steps[0][1] / 2
    return [(0.0, first, 0.0), *steps]


def against_tokens(binned: Binned, *, x_title: str, y_title: str, known: Sequence[ModelKey] = ()) -> Any:
    """A random sample of calls as points, p50 and p95 of all calls as steps over bins that double. PICK a call."""
    labels = model_labels([*known, *(point.model for point in binned.points)])
    names = [labels[key] for key in sorted({point.model for point in binned.points})]
    points = pd.DataFrame(
        {
            "tokens": max(point.tokens, 1),
            "value": max(point.value, _LEAST),
            "model": labels[point.model],
            "call": str(point.generation_id),
        }
        for point in binned.points
    )
    steps = pd.DataFrame(
        {
            "tokens": max(edge, 1),
            "value": max(value, _LEAST),
            "percentile": name,
            "n": bin_.n,
            "last": edge == bin_.high,
        }
        for bin_ in binned.bins
        for name, value in (("p50", bin_.p50), ("p95", bin_.p95))
        for edge in (bin_.low or bin_.high // 2, bin_.high)
    )
    x = alt.X("tokens:Q", title=f"{x_title} (log scale)", scale=alt.Scale(type="log", nice=False), axis=_LOG_AXIS)
    y_words = f"{y_title} (p50 line, p95 dashed, log scale)"
    y = alt.Y("value:Q", title=y_words, scale=alt.Scale(type="log"), axis=_LOG_AXIS)
    scatter = (
        alt.Chart(points)
        .mark_circle(size=28, opacity=0.45)
        .encode(
            x=x,
            y=y,
            color=style.colour("model", names, among=labels.values()),
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("tokens:Q", title=x_title, format=","),
                alt.Tooltip("value:Q", title=y_title, format=",.4~g"),
            ],
        )
        .add_params(alt.selection_point(name=PICK, fields=["call"], on="click", clear="dblclick"))
    )
    trend = (
        alt.Chart(steps)
        .mark_line(strokeWidth=2, color=style.NEUTRAL)
        .encode(
            x=x,
            y=y,
            strokeDash=_PERCENTILE_DASHES,
            tooltip=[
                alt.Tooltip("percentile:N", title="Percentile"),
                alt.Tooltip("value:Q", title=y_title, format=",.4~g"),
                alt.Tooltip("n:Q", title="Calls", format=","),
            ],
        )
    )
    return scatter + trend


def outcomes(rows: Sequence[OutcomePoint], *, tz: ZoneInfo) -> Any:
    """How many calls ended how, stacked over time. PICK a piece of a bar."""
    names = _by_total(rows)
    looks = style.colours(names) | {name: look for name, look in _OUTCOMES.items() if name in names}
    data = pd.DataFrame(
        {
            "time": _wall(row.start, tz),
            "until": _wall(row.end, tz),
            "name": row.name,
            "n": row.n,
            "of": row.of,
            "low": low,
            "high": low + row.n,
        }
        for row, low in _stacked(rows, names)
    )
    return (
        alt.Chart(data)
        .mark_rect()
        .encode(
            x=alt.X("time:T", title=None, axis=style.time_axis()),
            x2="until:T",
            y=alt.Y("low:Q", title="Calls", axis=alt.Axis(tickMinStep=1, format="~s")),
            y2="high:Q",
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
        )
        .add_params(alt.selection_point(name=PICK, fields=["time", "name"], on="click", clear="dblclick"))
    )


def amounts(rows: Sequence[UsageRow], *, measure: Literal["tokens", "cost"]) -> Any:
    """Tokens (prompt and completion stacked) or cost, a bar for each row, longest first. PICK a bar."""
    kinds = {"tokens": ("Prompt tokens", "Completion tokens"), "cost": ("Cost",)}[measure]
    labels = [row.label for row in rows]
    names = {row.key: row.label if labels.count(row.label) == 1 else f"{row.label} ({row.key})" for row in rows}
    data = pd.DataFrame(
        {"name": names[row.key], "key": row.key, "kind": kind, "value": value, "calls": row.calls}
        for row in rows
        for kind, value in zip(kinds, _amounts_of(row, measure), strict=True)
        if value is not None
    )
    fmt = "$,.4~g" if measure == "cost" else ","
    return (
        alt.Chart(data)
        .mark_bar()
        .encode(
            x=alt.X("value:Q", title=_AMOUNT_TITLES[measure], axis=alt.Axis(format=_AMOUNT_AXES[measure])),
            y=alt.Y("name:N", title=None, sort=list(names.values()), axis=alt.Axis(labelLimit=160)),
            color=alt.Color(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=list(kinds), range=list(style.PALETTE[: len(kinds)])),
                legend=alt.Legend(orient="top") if len(kinds) > 1 else None,
            ),
            tooltip=[
                alt.Tooltip("name:N", title="Of"),
                alt.Tooltip("kind:N", title="What"),
                alt.Tooltip("value:Q", title="Sum", format=fmt),
                alt.Tooltip("calls:Q", title="Calls", format=","),
            ],
        )
        .add_params(alt.selection_point(name=PICK, fields=["key"], on="click", clear="dblclick"))
    )


def timeline(gaps: Sequence[Gap], *, ttft_ms: float | None) -> Any:
    """When each delta came and how long it was waited for; stalls stand out by colour and shape."""
    first = [{"seq": 1, "at": ttft_ms, "gap": ttft_ms, "kind": "first token"}] if ttft_ms is not None else []
    data = pd.DataFrame(
        first + [{"seq": g.seq, "at": g.at_ms, "gap": g.gap_ms, "kind": "stall" if g.is_stall else "gap"} for g in gaps]
    )
    kinds, looks = ["first token", "gap", "stall"], [style.PALETTE[0], style.NEUTRAL, style.PALETTE[1]]
    return (
        alt.Chart(data)
        .mark_rule(strokeWidth=2)
        .encode(
            x=alt.X("at:Q", title="Since the request was sent, ms", scale=alt.Scale(zero=True, nice=False)),
            y=alt.Y("gap:Q", title="Waited, ms (square root)", scale=alt.Scale(type="sqrt", zero=True)),
            y2=alt.datum(0),
            color=alt.Color(
                "kind:N", title=None, scale=alt.Scale(domain=kinds, range=looks), legend=alt.Legend(orient="top")
            ),
            tooltip=[
                alt.Tooltip("seq:Q", title="Delta"),
                alt.Tooltip("at:Q", title="Came at, ms", format=",.1f"),
                alt.Tooltip("gap:Q", title="Waited, ms", format=",.1f"),
                alt.Tooltip("kind:N", title="Kind"),
            ],
        )
    )


def sparkline(tile: Tile) -> list[float]:
    """The trend of a tile, for st.metric; times without a value are passed over."""
    return [point.value for point in tile.trend if point.value is not None]


# ---- parts -------------------------------------------------------------------------------------


def _wall(moment: datetime, tz: ZoneInfo) -> str:
    return f"{moment.astimezone(tz):%Y-%m-%dT%H:%M:%S}"


def _with_target(chart: Any, target: float | None) -> Any:
    if target is None:
        return chart
    rule = alt.Chart(pd.DataFrame({"target": [target]})).mark_rule(color=style.TARGET_COLOUR, strokeDash=[2, 3])
    return chart + rule.encode(y="target:Q", tooltip=alt.Tooltip("target:Q", title="Target", format=",.4~g"))


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


def _amounts_of(row: UsageRow, measure: str) -> tuple[float | None, ...]:
    return (row.cost_usd,) if measure == "cost" else (row.prompt_tokens, row.completion_tokens)


def frame(rows: Sequence[Any], columns: Mapping[str, str]) -> pd.DataFrame:
    """The table under a chart: attributes of the rows, under the names people read."""
    return pd.DataFrame({title: [getattr(row, name) for row in rows] for name, title in columns.items()})
