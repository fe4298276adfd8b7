"""The upper part of the usage page: who used how much of what, in tables that an administrator can take away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from chatplay.ui import chart_style as style
from chatplay.ui import charts_bars, state, usage_range
from chatplay.ui import format as fmt
from chatplay.ui.chart_models import relabel
from chatplay.ui.files import draw_csv
from chatplay.ui.tables import table_height, text_column
from chatplay.ui.usage_tables import draw_exports, usage_frame
from chatplay.usage.definitions import DEFINITIONS
from chatplay.usage.service import Usage
from chatplay.usage.values import By, UsageFilter, UsageRow

_BY: dict[By, str] = {
    "person": "Person",
    "organisation": "Organisation",
    "model": "Model",
    "source": "Source",
    "day": "Day",
}
_TOP = 5
_AXIS_PX, _LEGEND_PX, _BAR_PX = 60, 70, 30


def choose_range(now: datetime, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """The range the administrator chose, aware; it is in the address, as on Metrics."""
    view = usage_range.current()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        usage_range.draw(view, key=state.usage_key, now=now, tz=tz)
    return view.bounds(now, tz)


def draw(usage: Usage, asked: UsageFilter, tz: ZoneInfo) -> None:
    by_person = usage.usage_table(asked, "person", tz.key)
    if not by_person:
        in_range = "Nobody made a model call in this range. A longer range shows more."
        st.info(in_range if usage.has_calls() else "Nobody has made a model call yet.")
        return
    _draw_sums(by_person)
    _draw_tops(usage, asked, by_person, tz)
    _draw_table(usage, asked, tz)


def _draw_sums(rows: Sequence[UsageRow]) -> None:
    calls, failed = sum(row.calls for row in rows), sum(row.failed for row in rows)
    costs = [row.cost_usd for row in rows if row.cost_usd is not None]
    unknown = sum(row.cost_unknown for row in rows)
    with st.container(horizontal=True, gap="small", key="usage_figures"):
        _figure("People", "people", fmt.count(len(rows)), "with a call in this range")
        _figure("Calls", "calls", fmt.count(calls), f"{fmt.rate_with_counts(failed, calls)} failed")
        prompt, completion = sum(row.prompt_tokens for row in rows), sum(row.completion_tokens for row in rows)
        _figure("Prompt tokens", "prompt_tokens", fmt.count(prompt), _without(rows))
        _figure("Answer tokens", "completion_tokens", fmt.count(completion), _without(rows))
        _figure(
            "Cost",
            "cost_usd",
            fmt.cost(sum(costs)) if costs else fmt.UNKNOWN,
            f"{unknown:,} calls without a known cost" if unknown else "of all calls",
        )


def _without(rows: Sequence[UsageRow]) -> str:
    unknown = sum(row.tokens_unknown for row in rows)
    return f"{unknown:,} calls without a count" if unknown else "of all calls"


def _figure(label: str, name: str, value: str, beside: str) -> None:
    st.metric(label, value, delta_description=beside, help=DEFINITIONS[name], border=True, width="stretch")


def _draw_tops(usage: Usage, asked: UsageFilter, people: Sequence[UsageRow], tz: ZoneInfo) -> None:
    """The heaviest users and models, by tokens and by cost."""
    models = relabel(usage.usage_table(asked, "model", tz.key))
    for column, (title, rows) in zip(st.columns(2), (("People", people), ("Models", models)), strict=True):
        with column, st.container(border=True):
            priced = any(row.cost_usd for row in rows)
            st.subheader(f"{title} with the {'highest cost' if priced else 'most tokens'}", anchor=False)
            top = sorted(rows, key=_cost if priced else _tokens, reverse=True)[:_TOP]
            chart = charts_bars.amounts(top, measure="cost" if priced else "tokens")
            around = _AXIS_PX if priced else _AXIS_PX + _LEGEND_PX  # of a cost there is one kind only
            style.draw(chart, key=f"usage_top_{title.lower()}", height=around + _BAR_PX * len(top))


def _cost(row: UsageRow) -> float:
    return row.cost_usd or 0.0


def _tokens(row: UsageRow) -> float:
    return row.prompt_tokens + row.completion_tokens


def _draw_table(usage: Usage, asked: UsageFilter, tz: ZoneInfo) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            by = st.segmented_control(
                "By",
                list(_BY),
                format_func=_BY.__getitem__,
                default="person",
                required=True,
                key=state.usage_key("by"),
                bind="query-params",
                label_visibility="collapsed",
            )
            with st.container(horizontal=True, width="content"):
                draw_exports(asked)
        rows: Sequence[UsageRow] = usage.usage_table(asked, by, tz.key)
        rows = relabel(rows) if by == "model" else rows
        table = usage_frame(rows).rename(columns={"Of": _BY[by]})
        st.dataframe(
            _written(table),
            hide_index=True,
            column_config={**_COLUMNS, _BY[by]: text_column(table[_BY[by]])},
            height=table_height(len(rows)),
            placeholder=fmt.UNKNOWN,
        )
        st.caption("Sums are of what is known. Calls without a token count or a price are counted beside them.")
        draw_csv(f"usage-by-{by}", table)


def _written(table: pd.DataFrame) -> Any:
    """Figures as on all pages, which sort as the numbers they are; the file keeps the numbers with their units."""
    shown = table.rename(columns={unit: title for title, (unit, _) in _WRITERS.items()})
    writers: Any = {title: write for title, (_, write) in _WRITERS.items()}
    return shown.style.format(writers, na_rep=fmt.UNKNOWN)


_HELP = {
    "Calls": "calls",
    "Failed": "error_rate",
    "Fallbacks": "fallback_rate",
    "Prompt tokens": "prompt_tokens",
    "Answer tokens": "completion_tokens",
    "Cost": "cost_usd",
    "Chats": "chats",
    "TTFT p50": "ttft_p50_ms",
    "TTFT p95": "ttft_p95_ms",
    "Speed p50": "tokens_per_second",
}
# Heading on the page: that of the file, and how its cells are written.
_WRITERS: dict[str, tuple[str, Callable[[float], str]]] = {
    "Cost": ("Cost, US dollars", fmt.cost),
    "TTFT p50": ("TTFT p50, ms", fmt.duration),
    "TTFT p95": ("TTFT p95, ms", fmt.duration),
    "Speed p50": ("Speed p50, tok/s", fmt.speed),
}
_COLUMNS: dict[str, Any] = {
    name: st.column_config.NumberColumn(format=None if name in _WRITERS else "localized", help=DEFINITIONS[defined])
    for name, defined in _HELP.items()
}
