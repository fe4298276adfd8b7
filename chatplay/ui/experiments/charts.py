"""One function per chart of an experiment's results: rows in, an Altair chart out. No queries, no widgets.

Intervals are always drawn, names stand at what they name, and a hollow dot is one that chance may explain.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from chatplay.ui import chart_heat
from chatplay.ui import chart_style as style

ROW_PX = 60


@dataclass(frozen=True)
class Mark:
    """A value with its interval; `name` gives the colour, `note` stands beside it, `text` is what a pointer reads."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    text: str = ""
    n: int = 0
    is_settled: bool = True


@dataclass(frozen=True)
class Place:
    """An arm in a plane; `text` stands at its name, `on_frontier` fills its dot."""

    name: str
    x: float
    y: float
    text: str
    on_frontier: bool


def intervals(marks: Sequence[Mark], *, title: str, reference: float, names: Sequence[str], fmt: str = "~s") -> Any:
    """Dots with intervals below each other around a line at `reference`; the name of each, and its note in a line of
    its own, stand above it: beside each other they would not fit a phone.
    """
    data = _frame(marks)
    order = [mark.name for mark in marks]
    y = alt.Y("name:N", sort=order, title=None, axis=None, scale=alt.Scale(paddingOuter=0.3))
    base = alt.Chart(data).encode(y=y, tooltip=_tooltip(title))
    x = alt.X("value:Q", title=title, axis=_axis(fmt), scale=alt.Scale(zero=True))
    zero = alt.Chart(pd.DataFrame({"at": [reference]})).mark_rule(color=style.NEUTRAL, strokeDash=[3, 3])
    colour = style.colour("name", names, legend=False)
    rules = base.mark_rule(strokeWidth=2, yOffset=18).encode(
        x=alt.X("low:Q", title=title), x2=alt.X2("high:Q"), color=colour
    )
    dots = base.mark_point(size=80, yOffset=18, opacity=1, strokeWidth=2).encode(x=x, color=colour, fill=_fill(names))
    # Clipped: a text that is wider than the plot would take the plot's room.
    texts = (_line(base, "name", -17), _line(base, "note", 0))
    return alt.layer(zero.encode(x=alt.X("at:Q")), rules, dots, *texts)


def _axis(fmt: str) -> alt.Axis:
    """`fmt`: a format of d3, or `ms` for times, `500 ms` and from a second on `1.5 s`; with `+` before it for
    differences, of which none has no sign.
    """
    if fmt.removeprefix("+") == "ms":
        sign = fmt.removesuffix("ms")
        seconds = f"format(datum.value / 1000, '{sign},.3~f') + ' s'"
        label = f"abs(datum.value) >= 1000 ? {seconds} : format(datum.value, '{sign},.3~f') + ' ms'"
    elif fmt.startswith("+"):
        label = f"format(datum.value, '{fmt}')"
    else:
        return alt.Axis(format=fmt, tickCount=5)
    return alt.Axis(labelExpr=f"datum.value === 0 ? '0' : {label}", tickCount=5)


def _at_zero() -> Any:
    return alt.XValue(0)  # type: ignore[no-untyped-call]  # alone among Altair's channels


def _line(base: Any, field: str, offset_px: int) -> Any:
    look: dict[str, Any] = {"align": "left", "baseline": "middle", "fontSize": 12, "clip": True, "color": _ink()}
    return base.mark_text(yOffset=offset_px, **look).encode(x=_at_zero(), text=alt.Text(f"{field}:N"))


def shares(marks: Sequence[Mark], *, title: str) -> Any:
    """Zero-based bars with intervals, what each is of and its figures in a line above it."""
    data = _frame(marks)
    data["line"] = [f"{mark.name}: {mark.note}" for mark in marks]
    y = alt.Y("name:N", sort=None, title=None, axis=None)
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(data).encode(y=y, tooltip=_tooltip(title))
    x = alt.X("value:Q", title=title, scale=scale, axis=alt.Axis(format=".0%", tickCount=5))
    bars = base.mark_bar(color=style.PALETTE[0], height={"band": 0.3}, yOffset=10).encode(x=x)
    rules = base.mark_rule(color=style.NEUTRAL, strokeWidth=2, yOffset=10).encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"))
    return alt.layer(bars, rules, _line(base, "line", -11))


def effect(marks: Sequence[Mark], *, title: str, x_title: str, low: float, high: float, fmt: str = "~s") -> Any:
    """The means at the values of one setting, from `low` to `high` on the y axis, as in the plots beside it."""
    data = _frame(marks)
    base = alt.Chart(data).encode(
        x=alt.X("name:N", sort=None, title=x_title, axis=alt.Axis(labelAngle=0, labelLimit=110, labelFlush=False)),
        tooltip=_tooltip(title),
    )
    scale = alt.Scale(domain=[low, high], zero=False, nice=True)
    y = alt.Y("value:Q", title=title, scale=scale, axis=_axis(fmt))
    line = base.mark_line(color=style.NEUTRAL, strokeWidth=1).encode(y=y)
    rules = base.mark_rule(color=style.PALETTE[0], strokeWidth=2).encode(
        y=alt.Y("low:Q", scale=scale, title=title), y2=alt.Y2("high:Q")
    )
    dots = base.mark_point(filled=True, size=70, opacity=1, color=style.PALETTE[0]).encode(y=y)
    return alt.layer(line, rules, dots)


def heat(cells: Sequence[tuple[str, str, Mark]], *, x_title: str, y_title: str, title: str) -> Any:
    """A cell for each pair of values, (row, column, mean): the mean in words and as a shade."""
    data = _frame([mark for _, _, mark in cells])
    data["row"], data["column"] = [row for row, _, _ in cells], [column for _, column, _ in cells]
    data["ink"] = chart_heat.inks([mark.value for _, _, mark in cells])
    base = alt.Chart(data).encode(
        x=alt.X("column:N", sort=None, title=x_title, axis=alt.Axis(labelAngle=0, labelLimit=110, labelFlush=False)),
        y=alt.Y("row:N", sort=None, title=y_title, axis=alt.Axis(labelLimit=130)),
        tooltip=_tooltip(title),
    )
    shade = alt.Color("value:Q", scale=alt.Scale(scheme=chart_heat.SCHEME), legend=None)
    rects = base.mark_rect().encode(color=shade)
    texts = base.mark_text(fontSize=12).encode(text=alt.Text("note:N"), color=chart_heat.ink_colour())
    return alt.layer(rects, chart_heat.without(base, "value"), texts)


def frontier(
    places: Sequence[Place], *, x_title: str, y_title: str, names: Sequence[str], formats: tuple[str, str]
) -> Any:
    """Arms between two figures; those that none beats are filled. Names and texts are in the legend: where arms do
    nearly the same their dots lie close to each other.
    """
    x_axis, y_axis = (_axis(fmt) for fmt in formats)
    data = pd.DataFrame(
        {"name": one.name, "x": one.x, "y": one.y, "text": one.text, "settled": one.on_frontier} for one in places
    )
    base = alt.Chart(data).encode(
        x=alt.X("x:Q", title=x_title, scale=alt.Scale(zero=False, nice=True, padding=24), axis=x_axis),
        y=alt.Y("y:Q", title=y_title, scale=alt.Scale(zero=False, nice=True, padding=24), axis=y_axis),
        tooltip=[
            alt.Tooltip("name:N", title="Arm"),
            alt.Tooltip("x:Q", title=x_title, format=",.4~g"),
            alt.Tooltip("y:Q", title=y_title, format=",.4~g"),
            alt.Tooltip("text:N", title="On the frontier"),
        ],
    )
    shown = [one.name for one in places]
    legend = _told(places)  # of both channels, which may not differ in it
    colour = style.colour("name", shown, among=names, legend=False).legend(legend)
    fill = _fill(shown, names, legend=legend)
    return base.mark_point(size=110, strokeWidth=2, opacity=1).encode(color=colour, fill=fill)


def _told(places: Sequence[Place]) -> alt.Legend | None:
    """A legend with what is said of each arm; none where colours would come twice."""
    if len(places) > len(style.PALETTE):
        return None
    texts = json.dumps({one.name: f"{one.name}: {one.text}" if one.text else one.name for one in places})
    # In one column, which fits a phone.
    return alt.Legend(orient="top", columns=1, title=None, labelLimit=600, labelExpr=f"({texts})[datum.label]")


def _ink() -> str:
    """Of texts in the plot, which the theme leaves black in the dark."""
    return "#1E2327" if st.context.theme.type != "dark" else "#E6E9EB"


def _fill(names: Sequence[str], among: Sequence[str] = (), legend: alt.Legend | None = None) -> Any:
    """The colour of the name where chance is ruled out, else none: a hollow dot."""
    looks = style.colours([*among, *names])
    scale = alt.Scale(domain=list(looks), range=list(looks.values()))
    fill = alt.condition("datum.settled", alt.Fill("name:N", scale=scale, legend=legend), alt.value("transparent"))
    return alt.FillValue(**fill)


def _frame(marks: Sequence[Mark]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": mark.name,
            "value": mark.value,
            "low": mark.low,
            "high": mark.high,
            "note": mark.note,
            "text": mark.text,
            "n": mark.n,
            "settled": mark.is_settled,
        }
        for mark in marks
    )


def _tooltip(title: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("name:N", title="Of"),
        alt.Tooltip("text:N", title=title),
        alt.Tooltip("n:Q", title="Trials", format=","),
    ]
