"""Budgets per month (UTC) of a person or an organisation: a warning at 80 %, no more paid calls at 100 %."""

from __future__ import annotations

from chatplay.store import Store
from chatplay.usage.values import BudgetScope, BudgetState


class Budgets:
    """See the module. `Calls.open` refuses what is over; models known to cost nothing stay open."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    def list_budgets(self) -> tuple[BudgetState, ...]:
        """All, the fullest first."""
        raise NotImplementedError

    def find_state(self, *, user_id: int) -> BudgetState | None:
        """The fullest of the budgets that hold for the person: their own and their organisation's."""
        raise NotImplementedError

    def set_budget(self, *, scope: BudgetScope, subject_id: int, monthly_usd: float | None, set_by: str) -> None:
        """US dollars a month; None removes it. Raises BadInput when negative, NotFound for an unknown subject."""
        raise NotImplementedError
