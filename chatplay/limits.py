"""How fast people and addresses may ask, counted in the database so that all processes share the count."""

from __future__ import annotations

import itertools

from chatplay.errors import TooManyRequests
from chatplay.settings import Settings
from chatplay.store import Store
from db.paces import Pace, Paces, forget_requests

__all__ = ["Paces", "RequestLimits"]  # whoever is looked up is counted by paces
_TIDY_EVERY = 1_000  # requests between two looks for rows that count for nothing any more


class RequestLimits:
    """A minute's worth may come at once, then requests go on at an even pace (GCRA)."""

    def __init__(self, *, store: Store, settings: Settings) -> None:
        self._store = store
        self._per_person = _pace(settings.api_requests_per_minute)
        self._per_address = _pace(settings.api_address_requests_per_minute)
        self._count = itertools.count(1)

    def paces(self, address: str | None) -> Paces:
        """What a request from this address is counted by, where it is looked up who asks."""
        return Paces(self._per_person, self._per_address, None if address is None else ascii(address)[:100])

    def judge(self, early_sec: float) -> None:
        """Of a request that was counted and came so much too early. Raises TooManyRequests with the wait."""
        if next(self._count) % _TIDY_EVERY == 0:
            with self._store.reading() as conn:
                forget_requests(conn)
        if early_sec > 0:
            raise TooManyRequests(
                "You ask faster than this app is set to answer.",
                cure=f"Wait {max(early_sec, 1):.0f} s and ask again.",
                retry_after_sec=early_sec,
            )


def _pace(per_minute: int) -> Pace:
    return Pace(every_sec=60 / per_minute, burst=per_minute)
