"""Which of many credentials still open the door: one query, for those who stay connected for long."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from chatplay.settings import Settings
from chatplay.store import Store
from db import access


class Standing:
    """Access tokens and sign-ins alike, by the hash they are stored under. Safe from any thread."""

    def __init__(self, *, store: Store, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._idle = timedelta(hours=settings.sign_in_idle_hours)

    def list_good(self, hashes: Collection[bytes]) -> frozenset[bytes]:
        """Those of `hashes` that are neither revoked, expired nor idle, of people who may still come in."""
        now = self._clock()
        with self._store.reading() as conn:
            return access.list_good(conn, hashes=hashes, now=now, idle_since=now - self._idle)
