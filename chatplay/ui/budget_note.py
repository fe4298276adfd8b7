"""A line in the sidebar once a budget is nearly used up, on every page; before that, nothing."""

from __future__ import annotations

import streamlit as st

from chatplay.auth.person import Person
from chatplay.errors import StoreError
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui.markdown import message_markdown
from chatplay.usage.values import BudgetState

_FRESH_SEC = 60  # a note may be a minute old; what is refused is decided when the call is made


def draw(person: Person) -> None:
    try:
        state = _state_of(person.id)
    except StoreError:  # the page itself says that the database is away
        return
    if state is None or not state.is_low:
        return
    whose = "Your budget" if state.scope == "person" else f"The budget of {state.subject}"
    spent = f"{fmt.cost(state.spent_usd)} of {fmt.cost(state.monthly_usd)}"
    begins = f"It begins anew on {state.resets_at:%d %B} (UTC)."
    if state.is_spent:
        text = f"{whose} for this month is used up ({spent}). Models that cost nothing still answer. {begins}"
    else:
        text = f"{whose} for this month is at {100 * state.share:.0f} % ({spent}). {begins}"
    st.sidebar.warning(message_markdown(text), icon=":material/savings:")


@st.cache_data(ttl=_FRESH_SEC, max_entries=1000, show_spinner=False)
def _state_of(user_id: int) -> BudgetState | None:
    return get_runtime().budgets.find_state(user_id=user_id)
