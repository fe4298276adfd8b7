"""The pace at which people and addresses ask, counted where all processes see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Double, Row, Select, Text, bindparam, column, delete, func, select, text, true

from db.schema import request_limits


@dataclass(frozen=True)
class Pace:
    """`burst` requests at once and one more each `every_sec`."""

    every_sec: float
    burst: int


@dataclass(frozen=True)
class Paces:
    """How fast each person may ask, and each address; `address` is where this request came from."""

    per_person: Pace
    per_address: Pace
    address: str | None


# GCRA: `due_at` moves on by `every` with each request and may run ahead of the clock by `burst` of these. It is one
# statement on the database's clock: two processes that ask at once are counted one after the other. Keys are locked
# in order, so that two requests with the same two keys cannot wait for each other. A `due_at` further ahead than the
# burst allows was counted before the clock was set back, and is forgotten.
_ASKED = text("""
    SELECT key, make_interval(secs => every) AS every, make_interval(secs => every * burst) AS ahead FROM (
        SELECT 'person:' || found.id AS key, :person_every AS every, :person_burst AS burst FROM found
        UNION ALL
        SELECT 'address:' || :address, :address_every, :address_burst WHERE :address IS NOT NULL
    ) a ORDER BY key
""").bindparams(
    bindparam("address", type_=Text),
    *(bindparam(f"{who}_{what}", type_=Double) for who in ("person", "address") for what in ("every", "burst")),
)
_COUNTED = text("""
    INSERT INTO request_limits AS l (key, due_at)
    SELECT key, clock_timestamp() + every FROM asked
    ON CONFLICT (key) DO UPDATE SET due_at = (
        SELECT CASE WHEN l.due_at <= clock_timestamp() + ahead THEN greatest(l.due_at, clock_timestamp())
                    ELSE clock_timestamp() END + every FROM asked WHERE asked.key = l.key)
    WHERE (SELECT l.due_at + every <= clock_timestamp() + ahead OR l.due_at > clock_timestamp() + ahead
           FROM asked WHERE asked.key = l.key)
    RETURNING l.key
""")
# Who waited for a request of the same key to be counted reads here what stood before that one: refused is refused.
_WAITED = text("""
    SELECT coalesce(max(greatest(extract(epoch FROM greatest(l.due_at, clock_timestamp()) + a.every - a.ahead
                                                    - clock_timestamp()), 0.001)), 0) AS early_sec
    FROM asked a LEFT JOIN request_limits l USING (key)
    WHERE a.key NOT IN (SELECT key FROM counted)
""")


class PersonQuery:
    """A query of at most one person, by `id`, which may count a request of theirs in the same round trip."""

    def __init__(self, find_person: Select[Any]) -> None:
        self._plain = find_person
        found = find_person.cte("found")
        asked = _ASKED.columns(column("key", Text)).cte("asked")
        counted = _COUNTED.columns(column("key", Text)).cte("counted")
        waited = _WAITED.columns(column("early_sec", Double)).cte("waited")
        both = select(waited, found).select_from(waited.outerjoin(found, true()))
        self._counting = both.add_cte(found, asked, counted)

    def ask(self, conn: Connection, values: dict[str, Any], paces: Paces | None) -> tuple[Row[Any] | None, float]:
        """The person's row, None for nobody. With `paces` a request is counted, whoever asked; the second is by how
        many seconds it exceeds one of them, 0 if by none.
        """
        if paces is None:
            return conn.execute(self._plain, values).one_or_none(), 0.0
        row = conn.execute(self._counting, values | _values_of(paces)).one()
        return (None if row.id is None else row), row.early_sec


def _values_of(paces: Paces) -> dict[str, Any]:
    return {
        "address": paces.address,
        "person_every": paces.per_person.every_sec,
        "person_burst": float(paces.per_person.burst),
        "address_every": paces.per_address.every_sec,
        "address_burst": float(paces.per_address.burst),
    }


def forget_requests(conn: Connection) -> int:
    """Removes what counts for nothing any more."""
    return conn.execute(delete(request_limits).where(request_limits.c.due_at < func.clock_timestamp())).rowcount
