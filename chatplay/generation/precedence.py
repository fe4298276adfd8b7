"""Pages that are being drawn go before answers that stream.

A hundred answers keep one interpreter as busy as it can be, and whoever opens a page then waits several times as long
as usual. So the hub reads less often for the fraction of a second that a page takes: what has come meanwhile is read
together, which costs less, too. With few answers there is room for both, and nothing waits.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PAUSE_SEC = 0.02  # between two looks at what the model servers have sent
_LONGEST_SEC = 0.3  # a run that takes longer is not about to be seen: it follows an answer itself


class Precedence:
    """Who draws at this moment, from any thread; `is_busy` tells whether that matters. `clock` in seconds."""

    def __init__(
        self,
        is_busy: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._is_busy = is_busy
        self._clock = clock
        self._sleep = sleep
        self._until_sec: dict[object, float] = {}

    @contextmanager
    def take(self) -> Iterator[None]:
        """Around the drawing of one page."""
        drawing = object()
        self._until_sec[drawing] = self._clock() + _LONGEST_SEC
        try:
            yield
        finally:
            del self._until_sec[drawing]

    def give_way(self) -> None:
        """Called by what streams, between two rounds: waits a little while a page is being drawn."""
        if self._until_sec and max(self._until_sec.copy().values(), default=0) > self._clock() and self._is_busy():
            self._sleep(_PAUSE_SEC)


class GivingWay(selectors.DefaultSelector):
    """What an event loop waits with, that gives way before each look."""

    def __init__(self, precedence: Precedence) -> None:
        super().__init__()
        self._precedence = precedence

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._precedence.give_way()
        return super().select(timeout)
