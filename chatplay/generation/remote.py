"""Following and stopping generations that another app process runs: through the event log in PostgreSQL."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from math import ceil
from typing import Any, cast
from uuid import UUID

from chatplay.errors import NotFound, StoreError
from chatplay.generation.live import Patience, live_metrics, usual_patience
from chatplay.generation.values import AnswerMetrics, GenerationEnd, LiveMetrics, Status, Update
from chatplay.store import Connection, Store
from db import answers, generations
from db import messages as message_rows
from db.generations import EVENTS_CHANNEL, STOPS_CHANNEL, EventBatch, GenerationRow
from db.listen import Notice, listen

_log = logging.getLogger(__name__)
_PATIENCE_SEC = 1.0


class Listener:
    """Hears of other processes' events and stop requests. When it hears nothing, followers poll."""

    def __init__(self, *, store: Store, owner: UUID, on_stop: Callable[[UUID], object]) -> None:
        self._store = store
        self._owner = owner
        self._on_stop = on_stop
        self._news: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        with suppress(StoreError), self._store.transaction() as conn:
            generations.notify(conn, channel=EVENTS_CHANNEL, payload="")  # wakes our own thread, too
        self._thread.join(timeout=2 * _PATIENCE_SEC)

    def watch(self, generation_id: UUID, wake: Callable[[], None]) -> Callable[[], None]:
        """Has `wake` called at each news of this generation, on the listener's thread. Returns what ends that."""
        with self._lock:
            self._news[str(generation_id)].append(wake)

        def unwatch() -> None:
            with self._lock:
                waiting = self._news[str(generation_id)]
                waiting.remove(wake)
                if not waiting:
                    del self._news[str(generation_id)]

        return unwatch

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except Exception as error:  # a database that restarts: followers poll until we are back
                _log.debug("listener: %s", error)
            self._closed.wait(_PATIENCE_SEC)

    def _listen(self) -> None:
        channels = (EVENTS_CHANNEL, STOPS_CHANNEL)
        hearing = listen(self._store.engine, channels=channels, patience_sec=_PATIENCE_SEC, owner=self._owner)
        with closing(hearing) as notices:
            for notice in notices:
                if self._closed.is_set():
                    return
                if notice is not None:
                    self._take(notice)

    def _take(self, notice: Notice) -> None:
        if notice.channel == STOPS_CHANNEL:
            self._on_stop(UUID(notice.payload))
        else:
            self._wake(notice.payload)

    def _wake(self, generation_id: str) -> None:
        with self._lock:
            for wake in self._news.get(generation_id, ()):
                wake()


class StoredGeneration:
    """One reader's view of a generation in the event log, whoever runs it."""

    def __init__(self, *, store: Store, listener: Listener, generation_id: UUID) -> None:
        self._store = store
        self._listener = listener
        self._generation_id = generation_id
        self._seq = 0  # the last delta that the figures are of
        self._chars = 0
        self._delta_secs: list[float] = []  # of the first and the last delta, since the request

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Has `wake` called when there may be something to look at. Returns what ends that."""
        return self._listener.watch(self._generation_id, wake)

    def look(self, after_seq: int) -> Update:
        """What there is after delta `after_seq`: one query. At the end, the number of the last delta and the stored
        text; what of it the log had not shown comes with it.

        Raises NotFound when the generation is gone (its chat was deleted), or ended and its text is not kept.
        """
        # From the first delta on where this reader resumes: the figures are of the whole answer.
        batches, age_sec, ended = _read(self._store, self._generation_id, min(self._seq, after_seq))
        text, seq = "".join(_texts_after(batch, after_seq) for batch in batches), after_seq
        for batch in batches:
            self._chars += len(_texts_after(batch, self._seq))
            first_sec = self._delta_secs[0] if self._delta_secs else batch.at_ms[0] / 1000
            self._delta_secs = [first_sec, batch.at_ms[-1] / 1000]
            self._seq = batch.first_seq + len(batch.texts) - 1
            seq = max(seq, self._seq)
        if ended is not None:
            text, seq = _rest(ended, seq, self._chars)
            self._seq, self._chars = seq, len(ended.end.content)
            return Update(text, seq, _as_live(ended.end.metrics, self._chars), ended.end)
        live = live_metrics(
            sent_sec=0.0, now_sec=age_sec, delta_secs=self._delta_secs, deltas=self._seq, chars=self._chars
        )
        return Update(text, seq, live)


def follow_stored(
    generation: StoredGeneration,
    *,
    after_seq: int = 0,
    interval_sec: float,
    patience: Patience = usual_patience,
) -> Iterator[Update]:
    """Updates after delta `after_seq` as they come, an empty one after `patience` seconds without; the last has the
    end. Raises as `look` does.
    """
    news, seq = threading.Event(), after_seq
    unwatch = generation.watch(news.set)
    try:
        while True:
            news.clear()
            update = generation.look(seq)
            seq = update.seq
            yield update
            if update.end is not None:
                return
            news.wait(patience())
            if update.text:
                time.sleep(interval_sec)
    finally:
        unwatch()


@dataclass(frozen=True)
class _Ended:
    """The stored end, and how long each delta was; None of those before this was kept."""

    end: GenerationEnd
    delta_chars: list[int] | None


def _rest(ended: _Ended, seq: int, shown: int) -> tuple[str, int]:
    """What of the text comes after delta `seq`, and the number of the last delta."""
    content, lengths = ended.end.content, ended.delta_chars
    begin = shown if lengths is None else sum(lengths[:seq])
    return content[begin:], seq if lengths is None else len(lengths)


def _read(store: Store, generation_id: UUID, after_seq: int) -> tuple[list[EventBatch], float, _Ended | None]:
    # One transaction with one snapshot per statement: the status is read first, so that an end that
    # comes in between only means one more round.
    with store.transaction() as conn:
        row = generations.find_generation(conn, generation_id=generation_id)
        if row is None:
            raise _gone()
        if row.status == "streaming":
            batches = generations.list_events(conn, generation_id=generation_id, after_seq=after_seq)
            return batches, row.age_sec, None
        content, status, metrics = _stored_answer(conn, row)
        stored = AnswerMetrics.from_json(metrics) or AnswerMetrics(provider="", model="")
        lengths = generations.find_delta_chars(conn, generation_id=generation_id)
        return [], row.age_sec, _Ended(GenerationEnd(cast(Status, status), content, stored), lengths)


def _stored_answer(conn: Connection, row: GenerationRow) -> tuple[str, str, Mapping[str, Any]]:
    if row.message_id is not None:
        found = message_rows.find_answer(conn, message_id=row.message_id)
        if found is None:
            raise _gone()
        return found
    kept = answers.find_answer(conn, generation_id=row.id)
    if kept is None:
        raise NotFound("This answer has ended and its text is not kept.", cure="Ask again.")
    return kept.content, kept.status, kept.metrics


def _as_live(stored: AnswerMetrics, chars: int) -> LiveMetrics:
    """The figures of an answer that is over, as those of a running one are told."""
    tokens = stored.completion_tokens
    return LiveMetrics(
        ttft_ms=stored.ttft_ms,
        completion_tokens=ceil(chars / 4) if tokens is None else tokens,
        tokens_per_second=stored.tokens_per_second,
        elapsed_ms=stored.duration_ms or 0.0,
    )


def _gone() -> NotFound:
    return NotFound("This answer is gone: its chat was deleted.", cure="Open another chat.")


def _texts_after(batch: EventBatch, seq: int) -> str:
    return "".join(batch.texts[max(seq - batch.first_seq + 1, 0) :])
