"""How fast people and addresses may ask, counted in the database so that all processes share the count."""

from __future__ import annotations

import itertools

from chatplay.errors import TooManyRequests
from chatplay.settings import Settings
from chatplay.store import Store
from db import access
from db.access import Pace

_TIDY_EVERY = 1_000  # requests between two looks for rows that count for nothing any more


class RequestLimits:
    """A minute's worth may come at once, then requests go on at an even pace (GCRA)."""

    def __init__(self, *, store: Store, settings: Settings) -> None:
        self._store = store
        self._per_person = settings.api_requests_per_minute
        self._per_address = settings.api_address_requests_per_minute
        self._count = itertools.count(1)

    def check(self, *, user_id: int | None, address: str | None) -> None:
        """Counts a request of this person from this address. Raises TooManyRequests with the wait."""
        paces = []
        if user_id is not None:
            paces.append(_pace(f"person:{user_id}", self._per_person))
        if address is not None:
            paces.append(_pace("address:" + ascii(address)[:100], self._per_address))
        with self._store.reading() as conn:
            wait_sec = access.count_request(conn, paces=paces) if paces else 0.0
            if next(self._count) % _TIDY_EVERY == 0:
                access.forget_requests(conn)
        if wait_sec > 0:
            raise TooManyRequests(
                "You ask faster than this app is set to answer.",
                cure=f"Wait {max(wait_sec, 1):.0f} s and ask again.",
                retry_after_sec=wait_sec,
            )


def _pace(key: str, per_minute: int) -> Pace:
    return Pace(key, every_sec=60 / per_minute, burst=per_minute)
