"""What each model's answers taught about its tokens, shared by all processes through the database.

Looking up only reads memory. `refresh` reads a model's row again, at most every few seconds, and goes on with what
is known while the database is away.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from chatplay.errors import StoreError
from chatplay.providers.base import Message
from chatplay.store import Store
from chatplay.tokens.estimate import DEFAULT_WEIGHTS, SHAPE, Calibration, Shape, shape_of
from db import calibration as rows
from db.calibration import CalibrationRow

_log = logging.getLogger(__name__)
_FRESH_SEC = 10.0
_MOST_CHARS = 100_000  # a longer prompt would keep the process busy for longer than it teaches


@dataclass(frozen=True)
class Sample:
    """A prompt and the tokens it took, as the model's server counted them."""

    upstream: str
    model: str
    messages: tuple[Message, ...]
    tokens: int


@dataclass(frozen=True)
class Known:
    """A calibration with its weights worked out."""

    calibration: Calibration = field(default_factory=Calibration)
    weights: Shape = DEFAULT_WEIGHTS


class Calibrations:
    """One per process; safe from any thread."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, Known]] = {}

    def get(self, upstream: str, model: str) -> Known:
        """What is known of the model, the defaults at first."""
        with self._lock:
            return self._known[upstream, model][1] if (upstream, model) in self._known else Known()

    def refresh(self, upstream: str, model: str) -> None:
        """Takes in what other processes learned. Not inside a transaction: it needs a connection of its own."""
        key, now = (upstream, model), self._clock()
        with self._lock:
            read_sec, known = self._known.get(key, (-math.inf, Known()))
            if now - read_sec < _FRESH_SEC:
                return
            self._known[key] = (now, known)  # one thread reads, the others go on
        try:
            with self._store.reading() as conn:
                row = rows.find_calibration(conn, upstream=upstream, model=model)
        except StoreError:
            return
        self._keep(key, _calibration(row))

    def learn(self, sample: Sample) -> None:
        """Takes an answer's report into account. Not on an event loop; does not raise."""
        if sum(len(message.content) for message in sample.messages) > _MOST_CHARS:
            return
        shape = shape_of(*(message.content for message in sample.messages))
        key = (sample.upstream, sample.model)
        try:
            with self._store.transaction() as conn:
                row = rows.find_calibration(conn, upstream=sample.upstream, model=sample.model, for_update=True)
                before = _calibration(row)
                after = before.learn(shape, sample.tokens)
                if after is not before:
                    rows.save_calibration(conn, row=CalibrationRow(*key, **asdict(after)))
        except StoreError as error:
            _log.warning("token counts of %s were not learned (%s)", sample.model, error.code)
            return
        self._keep(key, after)

    def _keep(self, key: tuple[str, str], calibration: Calibration) -> None:
        known = Known(calibration, calibration.weights())
        with self._lock:
            self._known[key] = (self._clock(), known)


def _calibration(row: CalibrationRow | None) -> Calibration:
    """Of the row; a fresh one for what another version stored."""
    empty = Calibration()
    if row is None or len(row.gram) != len(empty.gram) or len(row.moment) != len(SHAPE):
        return empty
    return Calibration(row.answers, row.error_share, row.gram, row.moment)
