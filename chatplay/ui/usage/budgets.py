"""The part of the usage page about budgets: how much may be spent a month, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.runtime import Runtime
from chatplay.ui import format as fmt
from chatplay.ui import gate, state
from chatplay.ui.markdown import message_markdown
from chatplay.ui.tables import choose_row
from chatplay.usage.definitions import DEFINITIONS
from chatplay.usage.values import BudgetScope, BudgetState

_RIGHT = st.column_config.TextColumn(alignment="right")
Subject = tuple[BudgetScope, int, str]


def draw(runtime: Runtime, tz: ZoneInfo) -> None:
    st.subheader(
        "Budgets",
        anchor=False,
        help="US dollars per month (UTC), of a person or an organisation. At 80 % people see a warning, at 100 % paid "
        f"calls are refused. Models known to cost nothing stay open. {DEFINITIONS['budget']}",
    )
    budgets = runtime.budgets.list_budgets()
    if st.button("Set a budget", icon=":material/add:", key=state.usage_key("budget")):
        _set_budget(runtime)
    if not budgets:
        st.caption("No budget is set: nobody is held back by cost.")
        return
    chosen = choose_row(
        _table(budgets, tz),
        budgets,
        key=state.usage_key("budgets"),
        ids=[(budget.scope, budget.subject_id) for budget in budgets],
        column_config={"Budget": _RIGHT, "Spent": _RIGHT, "Used": st.column_config.ProgressColumn(format="percent")},
    )
    if chosen is not None:
        _draw_actions(runtime, chosen)
    else:
        st.caption("Choose a row to change or remove its budget.")


def _table(budgets: Sequence[BudgetState], tz: ZoneInfo) -> pd.DataFrame:
    return pd.DataFrame(
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
    )


def _state(budget: BudgetState) -> str:
    if budget.is_spent:
        return "spent: paid calls are refused"
    return "warning" if budget.is_low else "within"


def _draw_actions(runtime: Runtime, budget: BudgetState) -> None:
    with st.container(horizontal=True):
        if st.button("Change it", icon=":material/edit:", key=state.usage_key("change_budget")):
            _set_budget(runtime, budget)
        if st.button("Remove it", icon=":material/delete:", key=state.usage_key("remove_budget")):
            _save(runtime, budget.scope, budget.subject_id, None)


@st.dialog("Set a budget")
def _set_budget(runtime: Runtime, known: BudgetState | None = None) -> None:
    actor = gate.recheck()
    people = runtime.accounts.list_people(actor=actor)
    subjects: list[Subject] = [("person", one.id, one.display_name) for one in people]
    organisations = sorted({(one.organisation_id, one.organisation) for one in people})
    subjects += [("organisation", id_, name) for id_, name in organisations]
    places = {subject[:2]: place for place, subject in enumerate(subjects)}
    with st.form("usage_budget", border=False):
        subject: Subject | None = st.selectbox(
            "Of",
            subjects,
            index=places.get((known.scope, known.subject_id)) if known else None,
            format_func=lambda item: f"{item[2]} ({item[0]})",
            placeholder="Choose a person or an organisation",
        )
        monthly = st.number_input(
            "US dollars a month", min_value=0.0, value=known.monthly_usd if known else None, format="%.2f"
        )
        if not st.form_submit_button("Set", type="primary"):
            return
    if subject is None or monthly is None:
        st.error("Choose whose budget it is, and how much may be spent.")
        return
    _save(runtime, subject[0], subject[1], monthly)


def _save(runtime: Runtime, scope: BudgetScope, subject_id: int, monthly_usd: float | None) -> None:
    try:
        actor = gate.recheck()
        runtime.budgets.set_budget(scope=scope, subject_id=subject_id, monthly_usd=monthly_usd, set_by=actor.username)
    except ChatplayError as error:
        st.error(message_markdown(str(error)))
        return
    st.rerun()
