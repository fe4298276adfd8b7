"""Budgets per month (UTC) of a person or an organisation: a warning at 80 %, no more paid calls at 100 %."""

from __future__ import annotations

from math import isfinite

from chatplay.errors import BadInput, BudgetSpent, NotFound
from chatplay.prices import Price
from chatplay.store import Connection, Store
from chatplay.usage.values import BudgetScope, BudgetState
from db import budgets
from db.budgets import BudgetRow


class Budgets:
    """See the module. `Calls.open` refuses what is over; models known to cost nothing stay open."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    def list_budgets(self) -> tuple[BudgetState, ...]:
        """All, the fullest first."""
        with self._store.reading() as conn:
            return _fullest_first(budgets.list_states(conn))

    def find_state(self, *, user_id: int) -> BudgetState | None:
        """The fullest of the budgets that hold for the person: their own and their organisation's."""
        with self._store.reading() as conn:
            return next(iter(_fullest_first(budgets.list_states_of(conn, user_id=user_id))), None)

    def set_budget(self, *, scope: BudgetScope, subject_id: int, monthly_usd: float | None, set_by: str) -> None:
        """US dollars a month; None removes it. Raises BadInput when negative, NotFound for an unknown subject."""
        with self._store.transaction() as conn:
            if monthly_usd is None:
                budgets.delete_budget(conn, scope=scope, subject_id=subject_id)
                return
            if not (isfinite(monthly_usd) and monthly_usd >= 0):
                cure = "Write US dollars a month, 0 or more."
                raise BadInput("This is no amount for a budget.", param="monthly_usd", cure=cure)
            if not budgets.has_subject(conn, scope=scope, subject_id=subject_id):
                raise NotFound(f"There is no such {scope}.", cure="It may have been deleted.")
            budgets.save_budget(conn, scope=scope, subject_id=subject_id, monthly_usd=monthly_usd, set_by=set_by)


def check_budget(conn: Connection, *, user_id: int, price: Price | None) -> None:
    """Raises BudgetSpent when a budget of the person is used up and the call may cost something."""
    if price is not None and not (price.input_usd or price.output_usd or price.cached_usd):
        return
    for state in _fullest_first(budgets.list_states_of(conn, user_id=user_id))[:1]:
        if state.is_spent:
            raise _spent(state)


def _spent(state: BudgetState) -> BudgetSpent:
    whose = "Your budget" if state.scope == "person" else f"The budget of {state.subject}"
    amounts = f"${state.spent_usd:,.2f} of ${state.monthly_usd:,.2f}"
    return BudgetSpent(
        f"{whose} for this month is used up ({amounts}). The model was not asked.",
        cure=f"It begins anew on {state.resets_at:%d %B} (UTC); an administrator can raise it on the Usage page. "
        "Models that cost nothing still answer.",
    )


def _fullest_first(rows: list[BudgetRow]) -> tuple[BudgetState, ...]:
    states = [BudgetState(**vars(row)) for row in rows]
    return tuple(sorted(states, key=lambda state: -state.share))
