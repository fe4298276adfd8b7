"""What the cards of the Results tab share: their frame, how they say what the data lack, their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from chatplay.ui import files, state
from chatplay.ui.experiments import charts
from chatplay.ui.experiments.results import words
from chatplay.ui.experiments.results.data import Board
from chatplay.ui.markdown import plain_markdown
from chatplay.ui.tables import table_height

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import Metric

# As `charts` takes them. With as many digits as arms may lie close together: ticks must not read alike.
AXIS_FORMATS = {"score": ".3~f", "passed": ".1~%", "cost_usd": "$~g", "ttft_ms": "ms", "duration_ms": "ms"}
NO_SCORE = "No answer has a score of this kind yet. Choose other scores above, or score answers on the Review tab."
_AXIS_PX = 92  # axis, its title and the chart's edges


@contextmanager
def card(title: str, name: str) -> Iterator[None]:
    """A card with its title, its definition, and how its figures are computed."""
    with st.container(border=True, key=f"experiments_card_{name}"):
        st.html(_head_html(title, name))
        yield


def _head_html(title: str, name: str) -> str:
    """One element: as a heading with its help and a popover it would be four, and all cards stand together only once
    the browser has made each element of each of them.
    """
    definition, how = escape(words.DEFINITIONS[name]), escape(words.HOW[name])
    return (
        f'<div class="experiments-card-head"><h3>{escape(title)}</h3><p>{definition}</p>'
        f"<details><summary>How is this computed</summary><p>{how}</p></details></div>"
    )


def draw_empty(why: str) -> None:
    st.caption(why)


def draw_caveats(board: Board, found: Iterable[str]) -> None:
    """Each one once on the page, where it comes up first."""
    for one in found:
        if one not in board.said:
            board.said.add(one)
            st.caption(f":material/info: {plain_markdown(one)}")


def draw_behind(
    board: Board, name: str, draw: Callable[[], None], *, title: str = "Numbers", is_open: bool = False
) -> None:
    """What is drawn once somebody opens it: tables nobody looks at would take half of the browser's time for the tab.
    `is_open`: from the start.
    """
    key = state.experiments_key(f"numbers_{name}_{board.experiment.id}")
    with st.expander(title, expanded=is_open, key=key, on_change="rerun") as place:
        if place.open:
            draw()


def draw_numbers(board: Board, name: str, rows: Callable[[], list[dict[str, Any]]]) -> None:
    """The figures of a chart, behind it."""

    def draw() -> None:
        frame = pd.DataFrame(rows())
        st.dataframe(frame, hide_index=True, height=table_height(len(frame), most=10))
        files.draw_csv(f"experiment-{name}", lambda: frame)

    draw_behind(board, name, draw)


def rows_px(rows: int) -> int:
    return _AXIS_PX + charts.ROW_PX * rows


def unit(metric: Metric) -> str:
    """What a chart of the metric is about, in the middle of a sentence."""
    title = "percentage of trials that passed" if metric == "passed" else words.AXIS_TITLES[metric]
    return title[0].lower() + title[1:] if title[:4] != "TTFT" else title
