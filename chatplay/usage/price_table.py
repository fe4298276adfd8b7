"""Dated prices: which was in force when. An entry is never changed; a newer one takes over from its day on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from math import isfinite

from chatplay.errors import BadInput, Conflict, NotFound
from chatplay.models.catalog import ModelInfo
from chatplay.prices import Price
from chatplay.store import Connection, Store
from chatplay.usage.values import PriceEntry
from db import prices
from db.prices import PriceRow, Rates


class PriceTable:
    """See the module. A price of the model goes before one of its whole upstream, both before models.toml's."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    def list_prices(self) -> tuple[PriceEntry, ...]:
        """Every price ever set, by upstream and model, newest first."""
        with self._store.reading() as conn:
            return tuple(_entry(row) for row in prices.list_prices(conn))

    def in_force(self, models: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Price]:
        """The dated prices in force now, by (upstream, model); models that have none are left out."""
        with self._store.reading() as conn:
            return list_in_force(conn, models=models)

    def set_price(
        self, *, upstream: str, model: str, price: Price, valid_from: datetime | None = None, set_by: str
    ) -> PriceEntry:
        """A new price from `valid_from` (aware; None: now) on. `model` "" is for all of the upstream.

        `set_by` is a username. Calls made before keep their cost. Raises BadInput: a negative price, a day in the
        past, or one this model already has a price from.
        """
        _check(price)
        with self._store.transaction() as conn:
            if valid_from is not None:
                _check_day(conn, upstream, model, valid_from)
            added = prices.insert_price(
                conn,
                upstream=upstream,
                model=model,
                input_usd=price.input_usd,
                cached_usd=price.cached_usd,
                output_usd=price.output_usd,
                valid_from=valid_from,
                set_by=set_by,
            )
            row = prices.find_entry(conn, price_id=added)
            assert row is not None, "it was just written"
            if valid_from is not None and row.has_begun:
                cure = "Costs of the past stay as they are: choose a day to come, or none for now."
                raise BadInput("This day has begun already.", param="valid_from", cure=cure)
            return _entry(row)

    def remove_price(self, price_id: int) -> None:
        """Takes back one that is not yet in force. Raises NotFound; Conflict when it is in force or was."""
        with self._store.transaction() as conn:
            row = prices.find_entry(conn, price_id=price_id)
            if row is None:
                raise NotFound("There is no such price.", cure="Somebody else may have removed it.")
            if row.has_begun:
                cure = "Set a new price: it takes over from now on."
                raise Conflict("This price is or was in force, so calls were charged with it.", cure=cure)
            prices.delete_price(conn, price_id=price_id)


def find_price(conn: Connection, *, upstream: str, model: str, at: datetime) -> Price | None:
    """The dated price in force at that time, if there is one."""
    return dated_price(prices.find_rates(conn, upstream=upstream, model=model, at=at))


def list_in_force(conn: Connection, *, models: Collection[tuple[str, str]]) -> dict[tuple[str, str], Price]:
    """As `PriceTable.in_force`, on an open connection."""
    return {model: price_of(rates) for model, rates in prices.list_in_force(conn, models=models).items()}


def at_price_in_force(model: ModelInfo, dated: Mapping[tuple[str, str], Price]) -> ModelInfo:
    """The model at the price its calls are charged with now: of those of `PriceTable.in_force`, else the configured."""
    return replace(model, price=dated.get((model.upstream, model.name), model.price))


def get_terms(conn: Connection, *, upstream: str, model: str) -> tuple[Price | None, bool]:
    """The dated price in force now, if there is one, and whether there are budgets to look at."""
    rates, has_budgets = prices.get_terms(conn, upstream=upstream, model=model)
    return dated_price(rates), has_budgets


def dated_price(rates: Rates | None) -> Price | None:
    """None where nobody has set one."""
    return price_of(rates) if rates else None


def price_of(rates: Rates | PriceRow) -> Price:
    return Price(rates.input_usd, rates.output_usd, rates.cached_usd)


def _check(price: Price) -> None:
    named = (("input", price.input_usd), ("output", price.output_usd), ("cached", price.cached_usd))
    for name, value in named:
        if value is not None and not (isfinite(value) and value >= 0):
            cure = "Write US dollars per million tokens, 0 or more."
            raise BadInput(f"The {name} price cannot be {value:g}.", param=name, cure=cure)


def _check_day(conn: Connection, upstream: str, model: str, valid_from: datetime) -> None:
    if valid_from.tzinfo is None:
        raise BadInput("The day has no time zone.", param="valid_from", cure="Send it with one, such as +00:00.")
    if prices.has_price_from(conn, upstream=upstream, model=model, valid_from=valid_from):
        cure = "Choose another, or remove that one first."
        raise BadInput("There is a price from this day on already.", param="valid_from", cure=cure)


def _entry(row: PriceRow) -> PriceEntry:
    return PriceEntry(row.id, row.upstream, row.model, price_of(row), row.valid_from, row.set_by, row.in_force)
