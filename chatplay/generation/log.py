"""The event log's writer: one thread gathers the deltas of all running answers and writes them in shared batches."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from chatplay.errors import StoreError
from chatplay.store import Store
from db import generations
from db.generations import EventBatch

_log = logging.getLogger(__name__)


@dataclass
class _Pending:
    first_seq: int
    texts: list[str] = field(default_factory=list)
    at_ms: list[float] = field(default_factory=list)


class EventLog:
    """Takes deltas from the hub's thread and writes them every `interval_sec`; with nothing to write, it looks up every
    `idle_sec`.

    What cannot be written stays in memory and is tried again with the next batch: a database that is
    away for a while costs no token as long as the process lives.
    """

    def __init__(self, *, store: Store, interval_sec: float = 0.2, idle_sec: float = 1.0) -> None:
        self._store = store
        self._interval_sec = interval_sec
        self._idle_sec = idle_sec
        self._away = False
        self.on_tick: Callable[[], None] | None = None  # called after each write, for chores of a like pace
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._pending: dict[UUID, _Pending] = {}
        self._news = threading.Event()  # something is queued
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stops the thread after a last write."""
        self._stopped.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self.flush()

    def add(self, *, generation_id: UUID, seq: int, text: str, at_ms: float) -> None:
        """Queues delta number `seq`. Cheap: it is called for every chunk of every answer."""
        with self._lock:
            pending = self._pending.get(generation_id)
            if pending is None:
                pending = self._pending[generation_id] = _Pending(first_seq=seq)
                self._news.set()
            pending.texts.append(text)
            pending.at_ms.append(at_ms)

    def drop(self, generation_id: UUID) -> None:
        """Forgets what is queued: the end of the answer, about to be written, holds it all."""
        with self._lock:
            self._pending.pop(generation_id, None)

    @property
    def waiting_count(self) -> int:
        """Deltas not yet written."""
        with self._lock:
            return sum(len(pending.texts) for pending in self._pending.values())

    def flush(self) -> bool:
        """Writes all that is queued, now. False when the database would not take it."""
        with self._writing:
            taken = self._take()
            if not taken:
                return True
            try:
                with self._store.reading() as conn:  # one statement
                    generations.append_events(conn, batches=taken)
            except StoreError as error:
                self._put_back(taken)
                self._note_outage(error)
                return False
            self._note_recovery()
            return True

    def _note_outage(self, error: StoreError) -> None:
        """Once for each outage: writes are tried five times a second."""
        if not self._away:
            self._away = True
            _log.warning("the database takes no text of answers (%s); it is kept in memory meanwhile", error.code)

    def _note_recovery(self) -> None:
        if self._away:
            self._away = False
            _log.warning("the database takes the text of answers again; all of it is written")

    def _take(self) -> list[EventBatch]:
        with self._lock:
            pending, self._pending = self._pending, {}
            self._news.clear()
        return [EventBatch(gid, p.first_seq, p.texts, p.at_ms) for gid, p in pending.items()]

    def _put_back(self, batches: list[EventBatch]) -> None:
        with self._lock:
            self._news.set()
            for batch in batches:
                later = self._pending.get(batch.generation_id)
                self._pending[batch.generation_id] = _Pending(
                    batch.first_seq,
                    [*batch.texts, *(later.texts if later else ())],
                    [*batch.at_ms, *(later.at_ms if later else ())],
                )

    def _run(self) -> None:
        while True:
            self._news.wait(self._idle_sec)
            if self._stopped.wait(self._interval_sec):
                return
            try:
                self.flush()
                if self.on_tick is not None:
                    self.on_tick()
            except Exception:  # the log outlives any single failure; the next tick tries again
                _log.exception("event log")
