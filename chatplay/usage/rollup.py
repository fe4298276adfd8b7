"""Keeps the roll-ups current: a thread that counts ended calls every two seconds, in whichever process is first."""

from __future__ import annotations

import logging
import threading

from chatplay.errors import StoreError
from chatplay.store import Store
from db import usage_rollup

_log = logging.getLogger(__name__)
_EVERY_SEC = 2.0
_BATCH = 5_000


class RollupWorker:
    """See the module. A backlog is counted batch by batch, each a commit of its own; stopped anywhere, nothing is
    lost or counted twice.
    """

    def __init__(self, *, store: Store, every_sec: float = _EVERY_SEC, batch: int = _BATCH) -> None:
        self._store = store
        self._every_sec = every_sec
        self._batch = batch
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="usage-rollup", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def catch_up(self) -> int:
        """Counts all that waits; returns how many calls. 0 too while another process does it. Raises StoreErrors."""
        counted = 0
        while not self._stopped.is_set():
            with self._store.transaction() as conn:
                done = usage_rollup.roll_up(conn, limit=self._batch)
            counted += done
            if done < self._batch:
                break
        return counted

    def _run(self) -> None:
        while not self._stopped.wait(self._every_sec):
            try:
                self.catch_up()
            except StoreError as error:
                _log.warning("usage is counted later (%s)", error.code)
