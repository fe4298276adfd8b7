"""Trials that this worker cannot make and others may: it lacks their model server, or the key of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from chatplay.models.catalog import ModelCatalog
from chatplay.providers.registry import RESERVED_NAMES
from chatplay.store import Connection
from db.health import find_asked_sec
from db.jobs import count_workers

_log = logging.getLogger(__name__)
_OFF = "DEMO_MODELS is off here."
_UNKNOWN = "this process does not know it. Give it the same .env and models.toml as the app has, and start it again."


class Elsewhere:
    """An upstream counts as another process's own while any has asked it in the last `patience_sec`, and for as long
    after our start: they may all have just begun. The built-in models are asked without a check, so trials of theirs
    are left as long as there is any other worker; where none of them has the models, the Run tab tells it.
    """

    def __init__(
        self, catalog: ModelCatalog, *, patience_sec: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalog = catalog
        self._patience_sec = patience_sec
        self._clock = clock
        self._started_sec = clock()
        self._told: set[str] = set()

    def has(self, conn: Connection, upstream: str) -> bool:
        """Whether to leave the trials of `upstream` to others; the log says once what is missing here."""
        lack = self._lack(upstream)
        if lack is None or not self._is_asked(conn, upstream):
            return False
        if upstream not in self._told:
            self._told.add(upstream)
            _log.warning("trials at %s are left to other workers: %s", upstream, lack)
        return True

    def _lack(self, upstream: str) -> str | None:
        if not self._catalog.knows(upstream):
            return _OFF if upstream in RESERVED_NAMES else _UNKNOWN
        missing = self._catalog.missing_here(upstream)
        return str(missing) if missing else None

    def _is_asked(self, conn: Connection, upstream: str) -> bool:
        if upstream in RESERVED_NAMES:
            has_begun = self._clock() - self._started_sec > self._patience_sec
            return not has_begun or count_workers(conn) > 1
        asked_sec = find_asked_sec(conn, upstream=upstream)
        return asked_sec is not None and min(asked_sec, self._clock() - self._started_sec) <= self._patience_sec
