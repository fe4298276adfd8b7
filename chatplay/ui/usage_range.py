"""The choice of a range of time, a preset or days, as the address has it; Usage draws the same one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from chatplay.ui import state, usage_view
from chatplay.ui.usage_view import CUSTOM, FIRST_DAY, PRESETS, View

Key = Callable[[str], str]
_FIELDS = ("model", "source", "status", "param", "experiment", "range", "who", "from", "to")


def current() -> View:
    """What the address says now."""
    return usage_view.read({name: st.query_params.get_all(name) for name in st.query_params})


def show(view: View) -> None:
    """Puts a view into the address. Only in a callback, or before anything of the page is drawn."""
    others = {name: st.query_params.get_all(name) for name in st.query_params if name not in _FIELDS}
    st.query_params.from_dict(usage_view.write(view) | others)
    page = state.metrics()
    page.drill, page.drill_title, page.after, page.picked = None, "", [], {}


def draw(view: View, *, key: Key, now: datetime, tz: ZoneInfo) -> None:
    """The controls, as `view` has them; `key` makes their widget keys."""
    today = now.astimezone(tz).date()
    state.set_widget_value(key("range"), view.span)
    if not _is_half_chosen(key):
        state.set_widget_value(key("days"), view.days(today) or (today - timedelta(days=6), today))
    st.segmented_control(
        "Range",
        [*PRESETS, CUSTOM],
        format_func=lambda name: "Custom" if name == CUSTOM else name,
        required=True,
        key=key("range"),
        on_change=_range_changed,
        args=(key, now, tz),
        label_visibility="collapsed",
    )
    if view.span == CUSTOM:
        st.date_input(
            "Days, both included",
            key=key("days"),
            on_change=_days_changed,
            args=(key,),
            label_visibility="collapsed",
            format="YYYY-MM-DD",
            min_value=FIRST_DAY,
            max_value=today,
            width=240,
        )


def _is_half_chosen(key: Key) -> bool:
    """The first day of a range was clicked, the second not yet."""
    days = state.widget_value(key("days"))
    return isinstance(days, (tuple, list)) and len(days) == 1


def _range_changed(key: Key, now: datetime, tz: ZoneInfo) -> None:
    view, span = current(), state.widget_value(key("range"))
    if span != CUSTOM:
        show(replace(view, span=span, first=None, last=None))
        return
    start, end = view.bounds(now, tz)
    show(replace(view, span=CUSTOM, first=start.astimezone(tz).date(), last=end.astimezone(tz).date()))


def _days_changed(key: Key) -> None:
    days = state.widget_value(key("days"))
    if isinstance(days, (tuple, list)) and len(days) == 2:
        show(replace(current(), span=CUSTOM, first=days[0], last=days[1]))
