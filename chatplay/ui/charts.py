"""One function per chart: typed rows in, an Altair chart out. No queries, no widgets.

Times are drawn as the viewer's wall clock: strings without a zone, which the browser takes as its local time, so
that the axis reads as the tables do whatever zone the browser is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import altair as alt
import pandas as pd

from chatplay.ui import chart_style as style
from chatplay.ui.chart_models import Cast
from chatplay.usage.values import Binned, Distribution, Gap, PercentilePoint, SizeBin, Tile

PICK, BRUSH = "pick", "brush"  # names of selections: one point or cell; a range of time
_PERCENTILE_DASHES = alt.StrokeDash(
    "percentile:N", scale=alt.Scale(domain=["p50", "p95"], range=[[1, 0], [4, 3]]), legend=None
)
_LEAST = 0.01  # what a logarithmic axis can still show
_WIDEN = 1.05
_LOG_AXIS = alt.Axis(tickCount=5, grid=False, format="~s")


def percentiles(
    rows: Sequence[PercentilePoint],
    *,
    title: str,
    tz: ZoneInfo,
    shown: Sequence[str] = ("p50", "p95"),
    cast: Cast,
    target: float | None = None,
) -> Any:
    """p50 whole and p95 dashed, by model over time. Selections: BRUSH on time, PICK a point."""
    looks = cast.looks(row.model for row in rows)
    data = pd.DataFrame(
        {
            "time": wall(row.start, tz),
            "model": looks.labels[row.model],
            "group": looks.group(row.model),
            "percentile": name,
            "value": value,
            "n": row.n,
        }
        for row in looks.named_last((row.model, row) for row in rows)
        for name, value in (("p50", row.p50), ("p95", row.p95))
        if name in shown
    )
    legend = alt.selection_point(name="legend", fields=["group"], bind="legend")
    pick = alt.selection_point(name=PICK, fields=["time", "model"], on="click", clear="dblclick")
    base = alt.Chart(data).encode(
        x=alt.X("time:T", title=None, axis=style.time_axis()),
        y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=True)),
        color=looks.colour(),
        detail=alt.Detail("model:N"),
        strokeDash=_PERCENTILE_DASHES,
        **looks.weight(legend),
        tooltip=[
            alt.Tooltip("time:T", title="From", format="%Y-%m-%d %H:%M"),
            alt.Tooltip("model:N", title="Model"),
            alt.Tooltip("percentile:N", title="Percentile"),
            alt.Tooltip("value:Q", title=title, format=",.4~g"),
            alt.Tooltip("n:Q", title="Calls", format=","),
        ],
    )
    lines = base.mark_line().add_params(legend, alt.selection_interval(name=BRUSH, encodings=["x"]))
    points = base.mark_point(size=36, filled=True).add_params(pick)
    return _with_target(lines + points, target)


def distribution(rows: Sequence[Distribution], *, title: str, cast: Cast) -> Any:
    """The share of calls at or below each value, by model, on a logarithmic axis (said in its title). PICK a step."""
    looks = cast.looks(row.model for row in rows)
    data = pd.DataFrame(
        {
            "value": value,
            "low": low,
            "share": share,
            "model": looks.labels[row.model],
            "group": looks.group(row.model),
            "n": row.n,
        }
        for row in looks.named_last((row.model, row) for row in rows)
        for low, value, share in _steps_up(row)
    )
    legend = alt.selection_point(name="legend", fields=["group"], bind="legend")
    base = alt.Chart(data).encode(
        x=alt.X("value:Q", title=f"{title} (log scale)", scale=alt.Scale(type="log", nice=False), axis=_LOG_AXIS),
        y=alt.Y("share:Q", title="Share of calls at or below", axis=alt.Axis(format=".0%")),
        color=looks.colour(),
        detail=alt.Detail("model:N"),
        tooltip=[
            alt.Tooltip("model:N", title="Model"),
            alt.Tooltip("share:Q", title="Share", format=".1%"),
            alt.Tooltip("value:Q", title=f"At most, {title}", format=",.4~g"),
            alt.Tooltip("n:Q", title="Calls", format=","),
        ],
    )
    lines = base.mark_line(interpolate="step-after").encode(**looks.weight(legend))
    # Not seen, but hovered and clicked: a line has no places of its own.
    pick = alt.selection_point(name=PICK, fields=["model", "low", "value"], on="click", clear="dblclick")
    return lines.add_params(legend) + base.mark_point(size=60, filled=True, opacity=0).add_params(pick)


def _steps_up(row: Distribution) -> list[tuple[float, float, float]]:
    """Low and high edge and share of each step. The line begins at 0 %, else a single call would draw nothing."""
    steps = [(step.low, step.high, step.upto) for step in row.bins if step.high > 0]
    first = steps[0][0] or steps[0][1] / 2
    return [(0.0, first, 0.0), *steps]


def against_tokens(binned: Binned, *, x_title: str, y_title: str, cast: Cast) -> Any:
    """A random sample of calls as points, p50 and p95 of all calls as steps over bins that double. PICK a call."""
    looks = cast.looks(point.model for point in binned.points)
    points = pd.DataFrame(
        {
            "tokens": max(point.tokens, 1),
            "value": max(point.value, _LEAST),
            "model": looks.labels[point.model],
            "group": looks.group(point.model),
            "call": str(point.generation_id),
        }
        for point in looks.named_last((point.model, point) for point in binned.points)
    )
    steps = pd.DataFrame(
        {
            "tokens": edge,
            "value": max(value, _LEAST),
            "percentile": name,
            "n": bin_.n,
            "run": run,
        }
        for bin_, low, high, run in _stretches(binned)
        for name, value in (("p50", bin_.p50), ("p95", bin_.p95))
        for edge in (low, high)
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
            color=looks.colour(),
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
            detail=alt.Detail("run:O"),
            tooltip=[
                alt.Tooltip("percentile:N", title="Percentile"),
                alt.Tooltip("value:Q", title=y_title, format=",.4~g"),
                alt.Tooltip("n:Q", title="Calls", format=","),
            ],
        )
    )
    return scatter + trend


def _stretches(binned: Binned) -> Iterator[tuple[SizeBin, float, float, int]]:
    """Each bin with where its line begins and ends, and the number of the run it belongs to.

    The outermost bins reach only as far as their points, and no line leads over bins without calls.
    """
    run, before = 0, None
    for bin_ in binned.bins:
        is_joined = before == bin_.low
        run += before is not None and not is_joined
        before = bin_.high
        inside = [max(point.tokens, 1) for point in binned.points if bin_.low <= point.tokens < bin_.high]
        low, high = float(bin_.low or bin_.high // 2), float(bin_.high)
        if inside:
            low = min(inside) if bin_ is binned.bins[0] else low
            high = max(inside) if bin_ is binned.bins[-1] else high
        if low == high:  # all at one place: as wide as can be seen
            low, high = low if is_joined else low / _WIDEN, high * _WIDEN
        yield bin_, max(low, 1), high, run


def timeline(gaps: Sequence[Gap], *, ttft_ms: float | None) -> Any:
    """When each delta came and how long it was waited for; stalls stand out by colour and shape."""
    first = [{"seq": 1, "at": ttft_ms, "gap": ttft_ms, "kind": "first token"}] if ttft_ms is not None else []
    data = pd.DataFrame(
        first
        + [{"seq": g.seq, "at": g.at_ms, "gap": g.gap_ms, "kind": "stall" if g.is_stall else "token"} for g in gaps]
    )
    kinds, looks = ["first token", "token", "stall"], [style.PALETTE[0], style.NEUTRAL, style.PALETTE[1]]
    return (
        alt.Chart(data)
        .mark_rule(strokeWidth=2)
        .encode(
            x=alt.X("at:Q", title="Since the request was sent, ms", scale=alt.Scale(zero=True, nice=False)),
            y=alt.Y("gap:Q", title="Waited, ms (square root)", scale=alt.Scale(type="sqrt", zero=True)),
            y2=alt.Y2Datum(0),
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


def wall(moment: datetime, tz: ZoneInfo) -> str:
    """The moment on the viewer's clock, as charts take it."""
    return f"{moment.astimezone(tz):%Y-%m-%dT%H:%M:%S}"


def _with_target(chart: Any, target: float | None) -> Any:
    if target is None:
        return chart
    rule = alt.Chart(pd.DataFrame({"target": [target]})).mark_rule(color=style.TARGET_COLOUR, strokeDash=[2, 3])
    return chart + rule.encode(y=alt.Y("target:Q"), tooltip=alt.Tooltip("target:Q", title="Target", format=",.4~g"))


def frame(rows: Sequence[Any], columns: Mapping[str, str]) -> pd.DataFrame:
    """The table under a chart: attributes of the rows, under the names people read."""
    return pd.DataFrame({title: [getattr(row, name) for row in rows] for name, title in columns.items()})
