"""Hangs up on a database server that has stopped answering without a word: one that is frozen, or cut off.

Its connections stay open, so whoever waits for an answer would wait for as long as that lasts. No statement gets a
time limit: a slow one is left alone for as long as the server lets somebody else in.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from db.engine import libpq_url

_log = logging.getLogger(__name__)


class FrozenWatch:
    """Looks after the connections of one engine while it runs. `probe_sec`: how long a server may take to let in
    somebody new before whoever has waited for `patience_sec` is told that it is away; whole seconds, 2 at least.
    """

    def __init__(self, engine: Engine, *, patience_sec: float = 5.0, probe_sec: int = 3, look_sec: float = 1.0) -> None:
        self._url = libpq_url(engine.url.render_as_string(hide_password=False))
        self._patience_sec, self._probe_sec, self._look_sec = patience_sec, probe_sec, look_sec
        self._in_use: dict[ConnectionPoolEntry, tuple[float, Any]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_forever, name="database-watch", daemon=True)
        # First of all: what others do there may be to ask the server.
        event.listen(engine, "checkout", self._note, insert=True)
        for name in ("checkin", "invalidate", "close"):
            event.listen(engine, name, self._forget)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends it; may be called without a start."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _note(self, connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        self._in_use[record] = (time.monotonic(), connection)

    def _forget(self, _connection: Any, record: ConnectionPoolEntry, *_more: Any) -> None:
        self._in_use.pop(record, None)

    def _look_forever(self) -> None:
        while not self._ended.wait(self._look_sec):
            self._look()

    def _look(self) -> None:
        latest = time.monotonic() - self._patience_sec
        waiting = {record: use for record, use in self._in_use.copy().items() if use[0] < latest}
        if not waiting or self._answers():
            return
        _log.warning("the database has not answered for %g s: %d wait no longer", self._patience_sec, len(waiting))
        for record, use in waiting.items():
            if self._in_use.get(record) is use:
                _hang_up(use[1])

    def _answers(self) -> bool:
        """False when it lets nobody in. One that refuses is there; of one that is gone, the connections tell."""
        try:
            psycopg.connect(self._url, connect_timeout=self._probe_sec).close()
        except psycopg.errors.ConnectionTimeout:
            return False
        except psycopg.Error:
            return True
        return True


def _hang_up(connection: Any) -> None:
    """Whoever waits for it on another thread sees that the other side has closed it."""
    with (
        contextlib.suppress(OSError, psycopg.Error),
        # A copy of the handle, whatever family it really is of: only the connection itself is to close its own.
        socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as copy,
    ):
        copy.shutdown(socket.SHUT_RDWR)
