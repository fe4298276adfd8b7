"""What the cards of the metrics page are put together from: heads, choices, the table and CSV under a chart."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from chatplay.ui import chart_style as style
from chatplay.ui import files, state
from chatplay.ui.tables import table_height
from chatplay.usage.definitions import DEFINITIONS
from chatplay.usage.values import METRICS, Metric

METRIC_TITLES: dict[str, str] = {
    "ttft_ms": "TTFT, ms",
    "tokens_per_second": "Speed, tok/s",
    "duration_ms": "Duration, ms",
    "itl_p95_ms": "Time between tokens p95, ms",
    "completion_tokens": "Answer tokens",
    "cost_usd": "Cost, US dollars",
    "error_rate": "Error rate",
}
_SHORT = {
    "ttft_ms": "TTFT",
    "tokens_per_second": "Speed",
    "duration_ms": "Duration",
    "itl_p95_ms": "Time between tokens",
}
NOTHING = "No call in this range has this figure."
PERCENTILES = {"p50": "p50", "p95": "p95", "n": "Calls"}


def head(title: str, definition: str) -> None:
    st.subheader(title, anchor=False, help=definition)


def head_with_metric(title: str, name: str) -> Metric:
    head(title, f"{DEFINITIONS['percentiles']} {' '.join(DEFINITIONS[metric] for metric in METRICS)}")
    metric: Metric = choose(name, "Figure", _SHORT)
    return metric


def head_with_percentiles(title: str, name: str) -> tuple[Metric, tuple[str, ...]]:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        with st.container(width="content"):
            metric = head_with_metric(title, name)
        both = {"p50": ("p50",), "p95": ("p95",), "p50, p95": ("p50", "p95")}
        shown = choose(f"{name}_shown", "Percentiles", {key: key for key in both})
    return metric, both[shown]


def choose(name: str, label: str, options: dict[str, str]) -> Any:
    return st.segmented_control(
        label,
        list(options),
        format_func=options.__getitem__,
        default=next(iter(options)),
        required=True,
        key=state.metrics_key(name),
        label_visibility="collapsed",
    )


def select(name: str, label: str, options: dict[str, str], default: str) -> Any:
    names = list(options)
    return st.selectbox(
        label, names, index=names.index(default), format_func=options.__getitem__, key=state.metrics_key(name)
    )


def draw_nothing(why: str = NOTHING) -> None:
    with st.container(height=style.HEIGHT_PX, border=False, vertical_alignment="center", horizontal_alignment="center"):
        st.caption(why, text_alignment="center")


def draw_table(name: str, rows: pd.DataFrame, tz: ZoneInfo, title: str = "Numbers") -> None:
    """The chart's numbers, in the file whole and unrounded."""
    data = rows.copy()
    for column in data.columns:
        if len(data) and isinstance(data[column].iloc[0], datetime):
            data[column] = pd.to_datetime(data[column], utc=True).dt.tz_convert(tz)
        elif len(data) and isinstance(data[column].iloc[0], tuple):
            data.insert(list(data.columns).index(column) + 1, "Server", [key[0] for key in data[column]])
            data[column] = [key[1] for key in data[column]]
    with st.expander(title):
        st.dataframe(data, hide_index=True, height=table_height(len(data), most=8))
        files.draw_csv(f"metrics-{name}", data)
