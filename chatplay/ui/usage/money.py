"""The lower part of the usage page: what models cost from when on, and how much may be spent a month."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from chatplay.auth import gate
from chatplay.errors import ChatplayError
from chatplay.prices import Price
from chatplay.runtime import Runtime
from chatplay.ui import format as fmt
from chatplay.ui import state
from chatplay.ui.markdown import message_markdown
from chatplay.usage.values import BudgetScope, BudgetState, PriceEntry

_RIGHT = st.column_config.TextColumn(alignment="right")
_ALL_MODELS = ""
_PRICE_FIELDS = (
    ("Input", "Cached input", "Output"),
    ("Per million tokens", "Empty: as input", "Per million tokens"),
)


def draw_prices(runtime: Runtime, tz: ZoneInfo) -> None:
    st.subheader(
        "Prices",
        anchor=False,
        help="US dollars per million tokens. A call costs what was in force when it began; a later price changes no "
        "earlier call. Without a price here, that of models.toml or of the server's entry counts; without any, the "
        "cost is unknown.",
    )
    entries = runtime.prices.list_prices()
    if st.button("Set a price", icon=":material/add:", key=state.usage_key("price")):
        _set_price(runtime, tz)
    if not entries:
        st.caption("No price is set here. Costs come from models.toml where it names prices, else they are unknown.")
        return
    table = pd.DataFrame(
        {
            "Server": [entry.upstream for entry in entries],
            "Model": [entry.model or "all others" for entry in entries],
            "Input": [fmt.cost(entry.price.input_usd) for entry in entries],
            "Cached input": [_cached(entry.price) for entry in entries],
            "Output": [fmt.cost(entry.price.output_usd) for entry in entries],
            "From": [fmt.exact(entry.valid_from, tz=tz) for entry in entries],
            "In force": [entry.in_force for entry in entries],
            "Set by": [entry.set_by or fmt.UNKNOWN for entry in entries],
        }
    )
    event = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=state.usage_key("prices"),
        column_config=dict.fromkeys(("Input", "Cached input", "Output"), _RIGHT),
    )
    if event.selection.rows and event.selection.rows[0] < len(entries):
        _draw_price_actions(runtime, entries[event.selection.rows[0]])


def _cached(price: Price) -> str:
    return "as input" if price.cached_usd is None else fmt.cost(price.cached_usd)


def _draw_price_actions(runtime: Runtime, entry: PriceEntry) -> None:
    is_ahead = entry.valid_from > runtime.catalog.now()
    if not is_ahead:
        st.caption("A price that is or was in force stays, because calls were charged with it. Set a newer one.")
        return
    if st.button("Take it back", icon=":material/undo:", key=state.usage_key("take_back")):
        try:
            gate.recheck()
            runtime.prices.remove_price(entry.id)
        except ChatplayError as error:
            st.error(message_markdown(str(error)))
            return
        st.rerun()


@st.dialog("Set a price")
def _set_price(runtime: Runtime, tz: ZoneInfo) -> None:
    person = gate.recheck()
    models = runtime.catalog.list_running(person.role)
    upstreams = sorted({model.upstream for model in models})
    with st.form("usage_price", border=False):
        upstream = st.selectbox(
            "Server", upstreams, index=None, accept_new_options=True, placeholder="Choose or type one"
        )
        model = st.selectbox(
            "Model",
            [_ALL_MODELS, *sorted({model.name for model in models})],
            format_func=lambda name: name or "All others of this server",
            accept_new_options=True,
        )
        prices = st.columns(3)
        paid_input = prices[0].number_input(
            "Input", min_value=0.0, value=None, format="%.4f", help="Per million tokens"
        )
        cached = prices[1].number_input(
            "Cached input", min_value=0.0, value=None, format="%.4f", help="Empty: as input"
        )
        output = prices[2].number_input("Output", min_value=0.0, value=None, format="%.4f", help="Per million tokens")
        day = st.date_input("From", value=None, help="Empty: from now on. A day begins at midnight in your time zone.")
        if not st.form_submit_button("Set", type="primary"):
            return
    if not upstream or paid_input is None or output is None:
        st.error("Name the server, and what input and output cost.")
        return
    begin = datetime.combine(day, time(), tzinfo=tz) if day else None
    try:
        runtime.prices.set_price(
            upstream=upstream,
            model=model or _ALL_MODELS,
            price=Price(paid_input, output, cached),
            valid_from=begin,
            set_by=person.username,
        )
    except ChatplayError as error:
        st.error(message_markdown(str(error)))
        return
    st.rerun()


def draw_budgets(runtime: Runtime, tz: ZoneInfo) -> None:
    st.subheader(
        "Budgets",
        anchor=False,
        help="US dollars per month (UTC), of a person or an organisation. At 80 % people see a warning, at 100 % paid "
        "calls are refused. Models known to cost nothing stay open.",
    )
    budgets = runtime.budgets.list_budgets()
    if st.button("Set a budget", icon=":material/add:", key=state.usage_key("budget")):
        _set_budget(runtime)
    if not budgets:
        st.caption("No budget is set: nobody is held back by cost.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "Of": [budget.subject for budget in budgets],
                "Kind": [budget.scope for budget in budgets],
                "Budget": [fmt.cost(budget.monthly_usd) for budget in budgets],
                "Spent": [fmt.cost(budget.spent_usd) for budget in budgets],
                "Used": [min(budget.share, 1.0) for budget in budgets],
                "State": [_state(budget) for budget in budgets],
                "Calls without cost": [budget.unknown_calls for budget in budgets],
                "Begins anew": [fmt.exact(budget.resets_at, tz=tz) for budget in budgets],
            }
        ),
        hide_index=True,
        column_config={
            "Budget": _RIGHT,
            "Spent": _RIGHT,
            "Used": st.column_config.ProgressColumn(format="percent"),
        },
    )


def _state(budget: BudgetState) -> str:
    if budget.is_spent:
        return "spent: paid calls are refused"
    return "warning" if budget.is_low else "within"


@st.dialog("Set a budget")
def _set_budget(runtime: Runtime) -> None:
    actor = gate.recheck()
    people = runtime.accounts.list_people(actor=actor)
    subjects: list[tuple[BudgetScope, int, str]] = [("person", one.id, one.display_name) for one in people]
    organisations = sorted({(one.organisation_id, one.organisation) for one in people})
    subjects += [("organisation", id_, name) for id_, name in organisations]
    with st.form("usage_budget", border=False):
        subject: Any = st.selectbox("Of", subjects, format_func=lambda item: f"{item[2]} ({item[0]})")
        monthly = st.number_input(
            "US dollars a month",
            min_value=0.0,
            value=None,
            format="%.2f",
            help="Empty: no budget, nobody is held back.",
        )
        if not st.form_submit_button("Set", type="primary"):
            return
    try:
        runtime.budgets.set_budget(scope=subject[0], subject_id=subject[1], monthly_usd=monthly, set_by=actor.username)
    except ChatplayError as error:
        st.error(message_markdown(str(error)))
        return
    st.rerun()
