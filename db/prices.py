"""Dated prices: never changed, the newest whose day has come is in force."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, column, delete, func, insert, select, text

from db.schema import prices


@dataclass(frozen=True)
class PriceRow:
    """US dollars per million tokens, from `valid_from` on. `model` "" is for all of the upstream."""

    id: int
    upstream: str
    model: str
    input_usd: float
    cached_usd: float | None
    output_usd: float
    valid_from: datetime
    set_by: str | None
    has_begun: bool
    in_force: bool


_IN_FORCE = """
SELECT DISTINCT ON (upstream, model) id FROM prices WHERE valid_from <= now() ORDER BY upstream, model, valid_from DESC
"""
_COLUMNS = (
    "p.id, p.upstream, p.model, p.input_usd, p.cached_usd, p.output_usd, p.valid_from, p.set_by, p.valid_from <= now()"
)


@dataclass(frozen=True)
class Rates:
    """US dollars per million tokens."""

    input_usd: float
    cached_usd: float | None
    output_usd: float


RATES = ("input_usd", "cached_usd", "output_usd")  # as Rates take them


def in_force_of(upstream: str, model: str, at: str = "now()") -> str:
    """SQL of the RATES in force at a time, the model's own before those of its whole upstream; all three are SQL."""
    return f"""
    SELECT {", ".join(RATES)} FROM prices p
    WHERE p.upstream = {upstream} AND p.model IN ({model}, '') AND p.valid_from <= {at}
    ORDER BY p.model = '', p.valid_from DESC LIMIT 1
    """


_IN_FORCE_AT = text(in_force_of(":upstream", ":model", "CAST(:at AS timestamptz)"))


def list_prices(conn: Connection) -> list[PriceRow]:
    """By upstream and model, newest first."""
    sql = f"""
    SELECT {_COLUMNS}, f.id IS NOT NULL FROM prices p LEFT JOIN ({_IN_FORCE}) f ON f.id = p.id
    ORDER BY p.upstream, p.model, p.valid_from DESC"""
    return [PriceRow(*row) for row in conn.execute(text(sql))]


def find_entry(conn: Connection, *, price_id: int) -> PriceRow | None:
    return next((row for row in list_prices(conn) if row.id == price_id), None)


def find_rates(conn: Connection, *, upstream: str, model: str, at: datetime) -> Rates | None:
    """Those in force at that time: the model's own before those of its whole upstream."""
    row = conn.execute(_IN_FORCE_AT, {"upstream": upstream, "model": model, "at": at}).one_or_none()
    return Rates(*row) if row else None


_IN_FORCE_NOW = text(f"""
SELECT asked.upstream, asked.model, p.*
FROM unnest(CAST(:upstreams AS text[]), CAST(:models AS text[])) AS asked (upstream, model)
CROSS JOIN LATERAL ({in_force_of("asked.upstream", "asked.model")}) AS p
""")


def list_in_force(conn: Connection, *, models: Collection[tuple[str, str]]) -> dict[tuple[str, str], Rates]:
    """As `find_rates` now, of many by (upstream, model) in one query; without those that nobody has set one for."""
    values = {"upstreams": [upstream for upstream, _ in models], "models": [model for _, model in models]}
    return {(row.upstream, row.model): Rates(*row[2:]) for row in conn.execute(_IN_FORCE_NOW, values)}


_TERMS = text(f"""
SELECT EXISTS (SELECT FROM budgets), p.*
FROM (SELECT) AS once LEFT JOIN LATERAL ({in_force_of(":upstream", ":model")}) AS p ON true
""").columns(*map(column, ("has_budgets", *RATES)))


def get_terms(conn: Connection, *, upstream: str, model: str) -> tuple[Rates | None, bool]:
    """What opening a call asks, in one round trip: the rates in force, and whether there are budgets at all."""
    has_budgets, *rates = conn.execute(_TERMS, {"upstream": upstream, "model": model}).one()
    return rates_of(rates), has_budgets


def rates_of(columns: Sequence[Any]) -> Rates | None:
    """Of the columns RATES, which are all NULL where there is no price."""
    return None if columns[0] is None else Rates(*columns)


def insert_price(
    conn: Connection,
    *,
    upstream: str,
    model: str,
    input_usd: float,
    cached_usd: float | None,
    output_usd: float,
    valid_from: datetime | None,
    set_by: str,
) -> int:
    """From `valid_from` on; None: now. Returns its id."""
    values = {"upstream": upstream, "model": model, "input_usd": input_usd, "cached_usd": cached_usd}
    values |= {"output_usd": output_usd, "set_by": set_by, "valid_from": valid_from or func.now()}
    return int(conn.execute(insert(prices).values(**values).returning(prices.c.id)).scalar_one())


def has_price_from(conn: Connection, *, upstream: str, model: str, valid_from: datetime) -> bool:
    same = (prices.c.upstream == upstream, prices.c.model == model, prices.c.valid_from == valid_from)
    return conn.execute(select(prices.c.id).where(*same)).one_or_none() is not None


def delete_price(conn: Connection, *, price_id: int) -> None:
    conn.execute(delete(prices).where(prices.c.id == price_id))
