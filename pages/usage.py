"""What everybody used, what it cost, and what may be spent: for administrators."""

from __future__ import annotations

import streamlit as st

from chatplay.auth.person import Person
from chatplay.errors import StoreError
from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.away import draw_away
from chatplay.ui.format import now_utc
from chatplay.ui.people import viewer_zone
from chatplay.ui.usage import board as usage_board
from chatplay.ui.usage import budgets as usage_budgets
from chatplay.ui.usage import prices as usage_prices
from chatplay.usage.values import UsageFilter


def draw() -> None:
    person = state.person()
    st.title("Usage", anchor=False)
    if not person.is_administrator:
        st.info("Only administrators see what everybody used. Your own calls are on the Metrics page.")
        st.page_link("pages/metrics.py", label="Metrics", icon=":material/monitoring:")
        return
    try:
        draw_all(person)
    except StoreError as error:
        draw_away(error, key="usage_try_again")


def draw_all(person: Person) -> None:
    runtime, tz = get_runtime(), viewer_zone(person)
    start, end = usage_board.choose_range(now_utc(), tz)
    usage_board.draw(runtime.usage, UsageFilter(user_id=None, start=start, end=end), tz)
    usage_budgets.draw(runtime, tz)
    usage_prices.draw(runtime, tz)


draw()
