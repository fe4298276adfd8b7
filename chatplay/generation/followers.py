"""Following answers on an event loop: any number of readers, no thread waiting, one wake-up for many deltas."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

from chatplay.generation.live import LiveGeneration
from chatplay.generation.values import Update

# What comes within a picture of a screen or so goes out together; with many readers each waits a little longer.
# A delta after a longer silence, the first above all, is handed on at once.
PACE_SEC = 0.02
_PACE_SEC_PER_READER, _SLOWEST_PACE_SEC = 0.0005, 0.05
_LOG_PACE_SEC = 0.04  # between two looks into the event log of another process
Run = Callable[[Callable[[int], Update], int], Awaitable[Update]]


class Source(Protocol):
    """An answer to look at, and news of it."""

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]: ...

    def look(self, after_seq: int) -> Update: ...


class Followers:
    """All readers of one event loop; make it there. `run` calls a function that blocks on a thread."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._bell = _Bell(asyncio.get_running_loop())
        self._count = 0

    @property
    def count(self) -> int:
        """How many follow at this moment."""
        return self._count

    async def follow(
        self, source: Source, *, after_seq: int = 0, patience_sec: float = 10.0
    ) -> AsyncGenerator[Update, None]:
        """What there is after delta `after_seq` at once, then as it comes; the last update has the end.

        An empty update after each `patience_sec` without news. Iterate it inside `contextlib.aclosing`.
        """
        waiter, seq, woken = _Waiter(self._bell), after_seq, True
        unwatch = source.watch(waiter.wake)
        self._count += 1
        try:
            while True:
                waiter.clear()
                live = isinstance(source, LiveGeneration)
                update = source.look(seq) if live else await self._run(source.look, seq)
                seq = max(seq, update.seq)
                if update.text or update.end is not None or not woken:
                    yield update
                if update.end is not None:
                    return
                if update.text:
                    await asyncio.sleep(self._pace_sec if live else max(self._pace_sec, _LOG_PACE_SEC))
                woken = await waiter.wait(patience_sec)
        finally:
            self._count -= 1
            unwatch()

    @property
    def _pace_sec(self) -> float:
        return max(PACE_SEC, min(self._count * _PACE_SEC_PER_READER, _SLOWEST_PACE_SEC))


class _Bell:
    """Wakes waiters from other threads; those rung before the loop gets to it share one call into it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._lock = threading.Lock()
        self._rung: list[_Waiter] = []

    def ring(self, waiter: _Waiter) -> None:
        with self._lock:
            self._rung.append(waiter)
            first = len(self._rung) == 1
        if first and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        with self._lock:
            rung, self._rung = self._rung, []
        for waiter in rung:
            waiter.go_on()


class _Waiter:
    """One reader's wait for news. News that come while it is busy are found by its next look."""

    def __init__(self, bell: _Bell) -> None:
        self._bell = bell
        self._news = False
        self._waiting: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """From any thread. First the flag, then the look whether somebody waits; `wait` does it the other way round."""
        self._news = True
        if self._waiting is not None:
            self._bell.ring(self)

    def clear(self) -> None:
        """Before a look: what came until now is in it."""
        self._news = False

    async def wait(self, timeout_sec: float) -> bool:
        """True when there may be news, False after `timeout_sec` without any."""
        self._waiting = waiting = self._bell.loop.create_future()
        timer = self._bell.loop.call_later(timeout_sec, self.go_on)
        try:
            if not self._news:
                await waiting
        finally:
            timer.cancel()
            self._waiting = None
        return self._news

    def go_on(self) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
