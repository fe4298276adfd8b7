"""Dated prices: which was in force when. An entry is never changed; a newer one takes over from its day on."""

from __future__ import annotations

from datetime import datetime

from chatplay.prices import Price
from chatplay.store import Store
from chatplay.usage.values import PriceEntry


class PriceTable:
    """See the module. A price of the model goes before one of its whole upstream, both before models.toml's."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    def list_prices(self) -> tuple[PriceEntry, ...]:
        """Every price ever set, by upstream and model, newest first."""
        raise NotImplementedError

    def set_price(
        self, *, upstream: str, model: str, price: Price, valid_from: datetime | None = None, set_by: str
    ) -> PriceEntry:
        """A new price from `valid_from` (aware; None: now) on. `model` "" is for all of the upstream.

        `set_by` is a username. Calls made before keep their cost. Raises BadInput: a negative price, a day in the
        past, or one this model already has a price from.
        """
        raise NotImplementedError

    def remove_price(self, price_id: int) -> None:
        """Takes back one that is not yet in force. Raises NotFound; Conflict when it is in force or was."""
        raise NotImplementedError
