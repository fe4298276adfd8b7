"""Charts of cells: what pairs of settings do, and when in the week calls are made. PICK a cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import pandas as pd

from chatplay.params import number_text
from chatplay.ui import chart_heat
from chatplay.ui.charts import PICK
from chatplay.usage.values import HourCell, SettingsCell

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = [f"{hour:02d}" for hour in range(24)]
_NOT_SENT = "not sent"


def settings_map(cells: Sequence[SettingsCell], *, x_title: str, y_title: str, title: str) -> Any:
    """A cell for each pair of settings: its colour the mean, in it the number of calls. PICK a cell."""
    xs, ys = _steps(cell.x for cell in cells), _steps(cell.y for cell in cells)
    inks = chart_heat.inks([cell.value for cell in cells])
    data = pd.DataFrame(
        {
            "x": _setting(cell.x),
            "y": _setting(cell.y),
            "value": cell.value,
            "n": cell.n,
            "ink": ink,
        }
        for cell, ink in zip(cells, inks, strict=True)
    )
    base = alt.Chart(data).encode(
        x=alt.X("x:N", title=x_title, sort=xs, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("y:N", title=y_title, sort=list(reversed(ys))),
        tooltip=[
            alt.Tooltip("x:N", title=x_title),
            alt.Tooltip("y:N", title=y_title),
            alt.Tooltip("value:Q", title=title, format=",.4~g"),
            alt.Tooltip("n:Q", title="Calls", format=","),
        ],
    )
    return _heat(base, value="value", text="n", title=title)


def hours(cells: Sequence[HourCell]) -> Any:
    """Calls an hour, by hour of the week, in the viewer's zone. PICK a cell."""
    data = pd.DataFrame(
        {
            "day": WEEKDAYS[cell.weekday],
            "hour": f"{cell.hour:02d}",
            "rate": cell.calls / cell.hours if cell.hours else None,
            "calls": cell.calls,
            "hours": cell.hours,
        }
        for cell in cells
    )
    base = alt.Chart(data).encode(
        x=alt.X("hour:N", title="Hour of the day", sort=_HOURS, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("day:N", title=None, sort=list(WEEKDAYS)),
        tooltip=[
            alt.Tooltip("day:N", title="Day"),
            alt.Tooltip("hour:N", title="Hour"),
            alt.Tooltip("rate:Q", title="Calls an hour", format=",.3~g"),
            alt.Tooltip("calls:Q", title="Calls", format=","),
            alt.Tooltip("hours:Q", title="Such hours in the range", format=","),
        ],
    )
    return _heat(base, value="rate", text=None, title="Calls an hour", fields=["day", "hour"])


def setting_of(label: str) -> float | None:
    """The inverse of how `settings_map` writes a setting on its axes."""
    return None if label == _NOT_SENT else float(label)


def _heat(base: alt.Chart, *, value: str, text: str | None, title: str, fields: Sequence[str] = ("x", "y")) -> Any:
    shade = alt.Color(
        f"{value}:Q",
        title=title,
        scale=alt.Scale(scheme=chart_heat.SCHEME),
        legend=alt.Legend(orient="right", format=",.3~r"),  # 0.2 calls an hour are no "200m"
    )
    cells = base.mark_rect().encode(color=shade)
    cells = cells.add_params(alt.selection_point(name=PICK, fields=list(fields), on="click", clear="dblclick"))
    if text is None:
        return cells
    texts = base.mark_text(fontSize=11).encode(text=alt.Text(f"{text}:Q", format=".3~s"), color=chart_heat.ink_colour())
    return alt.layer(cells, chart_heat.without(base, value), texts)


def _setting(value: float | None) -> str:
    return _NOT_SENT if value is None else number_text(value)


def _steps(values: Iterable[float | None]) -> list[str]:
    known = sorted({value for value in values if value is not None})
    return [number_text(value) for value in known] + [_NOT_SENT]
