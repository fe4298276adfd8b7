"""Tables of usage and the files beside them, on Metrics and on Usage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pandas as pd
import streamlit as st

from chatplay.ui import charts
from chatplay.usage.filter_text import write_filter
from chatplay.usage.values import ExportFormat, UsageFilter, UsageRow

_AMOUNTS = {
    "label": "Of",
    "calls": "Calls",
    "failed": "Failed",
    "fallbacks": "Fallbacks",
    "prompt_tokens": "Prompt tokens",
    "completion_tokens": "Answer tokens",
    "tokens_unknown": "Calls without tokens",
    "cost_usd": "Cost, US dollars",
    "cost_unknown": "Calls without cost",
    "chats": "Chats",
}
_SPEEDS = {"ttft_p50_ms": "TTFT p50, ms", "ttft_p95_ms": "TTFT p95, ms", "tokens_per_second_p50": "Speed p50, tok/s"}


def amounts_frame(rows: Sequence[UsageRow]) -> pd.DataFrame:
    """Rows of usage under the names people read; sums are of what is known, and what is not is beside them."""
    return charts.frame(rows, _AMOUNTS)


def usage_frame(rows: Sequence[UsageRow]) -> pd.DataFrame:
    """The same with how fast the calls were."""
    return charts.frame(rows, _AMOUNTS | _SPEEDS)


def draw_exports(filter_: UsageFilter) -> None:
    """Links to the route that streams the file: a download button would hold all of it in memory."""
    for kind in get_args(ExportFormat):
        st.link_button(
            {"csv": "Calls as CSV", "parquet": "Calls as Parquet"}[kind],
            f"/v1/usage/calls?format={kind}&filter={write_filter(filter_)}",
            icon=":material/download:",
            help="Every call of the range, one row each: figures only, no prompt text.",
        )
