"""The calls behind the charts, page by page; choosing one opens its flight recorder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from chatplay.errors import BadInput
from chatplay.ui import format as fmt
from chatplay.ui import state, usage_tables
from chatplay.ui.chart_models import model_labels
from chatplay.ui.tables import choose_row, table_height
from chatplay.usage.ahead import Answers
from chatplay.usage.service import Usage
from chatplay.usage.values import CallRow, ModelKey, Order, UsageFilter

_PAGE = 50
_ORDERS: dict[Order, str] = {
    "newest": "Newest first",
    "slowest_first_token": "Slowest first token",
    "longest": "Longest",
    "slowest_decode": "Lowest speed",
    "most_expensive": "Most expensive",
}


def expect(answers: Answers, usage: Usage, everything: UsageFilter) -> None:
    """That `draw` will ask for this page of calls, unless a chart is picked in first."""
    order: Order = state.widget_value(state.metrics_key("order")) or next(iter(_ORDERS))
    answers.expect(usage.list_calls, **_asked(everything, order))


def draw(
    answers: Answers,
    usage: Usage,
    everything: UsageFilter,
    *,
    tz: ZoneInfo,
    known: Sequence[ModelKey],
    shows_people: bool,
) -> None:
    """The section at the foot of the page: what was picked in a chart, else all calls of the view."""
    page = state.metrics()
    with st.container(border=True, key="metrics_calls"):
        st.subheader("Calls", anchor=False)
        if page.drill is not None:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"Picked: **{page.drill_title}**")
                st.button("Show all calls", type="tertiary", on_click=_forget_drill)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            order = st.selectbox(
                "Order",
                list(_ORDERS),
                format_func=_ORDERS.__getitem__,
                key=state.metrics_key("order"),
                on_change=_first_page,
                width=220,
            )
            usage_tables.draw_exports(page.drill or everything)
        try:
            found = answers.get(usage.list_calls, **_asked(everything, order))
        except BadInput:  # the list changed under the page's feet
            page.after = []
            st.rerun()
        if not found.rows:
            st.caption("No calls here. A longer range or fewer filters show more.")
            return
        _draw_rows(found.rows, tz=tz, known=known, shows_people=shows_people)
        with st.container(horizontal=True):
            st.button("Back", disabled=not page.after, on_click=_back, key=state.metrics_key("calls_back"))
            st.button(
                "Next",
                disabled=found.after is None,
                on_click=_next,
                args=(found.after,),
                key=state.metrics_key("calls_next"),
            )


def _asked(everything: UsageFilter, order: Order) -> dict[str, Any]:
    page = state.metrics()
    after = page.after[-1] if page.after else None
    return {"filter": page.drill or everything, "order": order, "after": after, "limit": _PAGE}


def _draw_rows(rows: Sequence[CallRow], *, tz: ZoneInfo, known: Sequence[ModelKey], shows_people: bool) -> None:
    labels = model_labels([*known, *(ModelKey(row.upstream, row.model) for row in rows)])
    table = pd.DataFrame(
        {
            f"Began, {tz.key}": [fmt.in_column(row.created_at, tz=tz) for row in rows],
            "Person": [row.person or fmt.UNKNOWN for row in rows],
            "Model": [labels[ModelKey(row.upstream, row.model)] for row in rows],
            "Source": [row.source for row in rows],
            "Ended": [row.error_class or row.finish_reason or row.status for row in rows],
            "TTFT": [fmt.duration(row.ttft_ms) for row in rows],
            "Speed": [fmt.speed(row.tokens_per_second) for row in rows],
            "Prompt tokens": [fmt.count(row.prompt_tokens, estimated=row.tokens_estimated) for row in rows],
            "Answer tokens": [fmt.count(row.completion_tokens, estimated=row.tokens_estimated) for row in rows],
            "Duration": [fmt.duration(row.duration_ms) for row in rows],
            "Cost": [fmt.cost(row.cost_usd) for row in rows],
            "Streamed": [_streamed(row) for row in rows],
        }
    )
    right = {name: st.column_config.TextColumn(alignment="right", width=_WIDTHS.get(name)) for name in _NUMBERS}
    chosen = choose_row(
        table if shows_people else table.drop(columns="Person"),
        rows,
        key=state.metrics_key("calls"),
        ids=[row.generation_id for row in rows],
        column_config=right,
        height=table_height(len(rows)),
    )
    if chosen is not None:
        _open(str(chosen.generation_id))
    else:
        state.metrics().picked.pop("calls", None)


_NUMBERS = ("TTFT", "Speed", "Prompt tokens", "Answer tokens", "Duration", "Cost")
# A column is as wide as most of its values: the one `$0.0004190` among many `$0` would lose its first digits.
_WIDTHS = {"Cost": 100}


def _streamed(row: CallRow) -> str:
    if row.fallback:
        return "fallback"
    return {True: "yes", False: "no", None: fmt.UNKNOWN}[row.streamed]


def _open(generation_id: str) -> None:
    """Once for each choice: the dialog may be closed while its row stays chosen."""
    page = state.metrics()
    if page.picked.get("calls") != generation_id:
        page.picked["calls"] = generation_id
        st.query_params["call"] = generation_id


def _first_page() -> None:
    state.metrics().after = []


def _next(after: str) -> None:
    state.metrics().after.append(after)


def _back() -> None:
    state.metrics().after.pop()


def _forget_drill() -> None:
    page = state.metrics()
    page.drill, page.drill_title, page.after = None, "", []
