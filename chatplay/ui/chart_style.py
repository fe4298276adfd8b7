"""One house style for every chart: the same height, fonts and palette, colours that stay with their name everywhere.

Light and dark come from Streamlit's chart theme; here is what must not depend on it.

All charts give their channels as what they are (`alt.X2("high:Q")`), not as texts or dicts: for each of those Altair
looks through its whole schema, which takes 5 ms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import streamlit as st

# Okabe and Ito (2008), told apart by every kind of colour vision; yellow and black are left out, because one
# vanishes on white and the other on dark grey.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00")
NEUTRAL = "#808890"  # for what has no name: all calls together, the ordinary
HEIGHT_PX = 320
TARGET_COLOUR = "#9A5B00"
_LEGEND_ROW_PX, _LABEL_PX, _USUAL_PLOT_PX = 24, 150, 480
# Days and hours as the tables write them: the browser's own would say 06 PM.
TIME_FORMAT = {
    "year": "%Y",
    "quarter": "%b %Y",
    "month": "%d %b",
    "week": "%d %b",
    "date": "%d %b",
    "hours": "%H:%M",
    "minutes": "%H:%M",
    "seconds": "%H:%M:%S",
}


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, the same on every page whatever other names stand beside it.

    A name has its own place in the palette; when two want the same one, the later in the alphabet takes the next
    free place. Beyond the palette's length colours repeat.
    """
    return {name: PALETTE[place % len(PALETTE)] for name, place in _places(names).items()}


def _places(names: Iterable[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for number, name in enumerate(sorted(set(names))):
        place = hashlib.sha256(name.encode()).digest()[0] % len(PALETTE)
        lap = number // len(PALETTE) * len(PALETTE)  # each lap fills the palette once before a colour comes again
        taken = {used - lap for used in places.values() if used >= lap}
        while place in taken:
            place = (place + 1) % len(PALETTE)
        places[name] = lap + place
    return places


def colour(
    field: str,
    names: Sequence[str],
    *,
    among: Iterable[str] = (),
    title: str | None = None,
    legend: bool = True,
) -> alt.Color:
    """The colour channel of a field that holds names (models, arms); `among`: all names the page knows, so that a
    name looks the same in each of its charts.
    """
    by_name = {name: look for name, look in colours([*among, *names]).items() if name in set(names)}
    scale = alt.Scale(domain=list(by_name), range=list(by_name.values()))
    return alt.Color(f"{field}:N", scale=scale, title=title, legend=top_legend(by_name) if legend else None)


def top_legend(names: Iterable[str]) -> alt.Legend:
    """Above the plot, in as many columns as its width has room for, on a phone in two."""
    return alt.Legend(
        orient="top",
        title=None,
        columns=alt.ExprRef(f"max(2, floor(width / {_entry_px(names)}))"),
        labelLimit=_LABEL_PX,
        symbolSize=64,
        symbolOpacity=1,
        rowPadding=2,
    )


def legend_height(names: Iterable[str]) -> int:
    """What a chart needs on top of its height, so that a legend of many rows leaves the plot about as high as without.

    Taken at the width a plot mostly has, for the page cannot know it: were it waited for, everything below would jump.
    """
    known = list(names)
    columns = max(_USUAL_PLOT_PX // _entry_px(known), 2)
    return _LEGEND_ROW_PX * max(-(-len(known) // columns) - 1, 0)


def _entry_px(names: Iterable[str]) -> int:
    """The width of an entry of the legend: its sign, the longest name and some distance."""
    return 30 + min(6 * max(map(len, names), default=0), _LABEL_PX)


def time_axis() -> alt.Axis:
    return alt.Axis(format=TIME_FORMAT)


def draw(chart: Any, *, key: str, selections: Sequence[str] = (), height: int = HEIGHT_PX) -> Any:
    """Puts a chart on the page in its whole width; with `selections`, returns what the reader selected.

    The height is said to the page, too, which keeps that room from the first moment on: what draws charts comes late.
    """
    unchecked: Any = Unchecked(chart.properties(height=height, config=CONFIG))
    return st.altair_chart(unchecked, key=key, width="stretch", height=height, **_selecting(selections))


def _selecting(selections: Sequence[str]) -> dict[str, Any]:
    return {"on_select": "rerun", "selection_mode": list(selections)} if selections else {}


CONFIG = alt.Config(
    axis=alt.AxisConfig(titlePadding=8, labelOverlap=True),
    view=alt.ViewConfig(stroke=None),
)


@dataclass(frozen=True)
class Unchecked:
    """A chart that Streamlit writes down without holding it against the whole schema of Vega-Lite, which takes longer
    than all the rest of drawing it. Tests do that.
    """

    chart: alt.Chart

    def to_dict(self) -> dict[str, Any]:
        return self.chart.to_dict(validate=False)
