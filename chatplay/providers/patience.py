"""How long to go on waiting for the next sign of life of a server, at next to no cost for what comes in time.

`asyncio.timeout` sets a timer for each wait and takes it back: at a hundred pieces a second that is a seventh of all
that is done for them. Here one timer looks, when it is due, how far the deadline has moved meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Answer = TypeVar("Answer")


class Patience:
    """Of one call and its one reader. Time in which nobody waits does not count, so a slow reader is never taken for
    a silent server. `end` it when the call is over.
    """

    def __init__(self, limit_sec: float) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[object] | None = None
        self._until_sec = 0.0
        self._is_over = False
        self.restart(limit_sec)

    def restart(self, limit_sec: float) -> None:
        """There was a sign of life; the next may take this long."""
        self.limit_sec = self._left_sec = limit_sec

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def wait(self, awaitable: Awaitable[Answer]) -> Answer:
        """The result; TimeoutError when patience ends first."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "a call is read by a task"
        began_sec, cancelling = loop.time(), task.cancelling()
        self._waiting, self._until_sec = task, began_sec + self._left_sec
        if self._timer is None or self._timer.when() > self._until_sec:
            self._set_timer(loop)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if not self._is_over or task.cancelling() - 1 > cancelling:  # somebody else wants its end, too
                raise
            raise TimeoutError from None
        finally:
            self._waiting = None
            self._left_sec -= loop.time() - began_sec
            if self._is_over:
                task.uncancel()

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self.end()
        self._timer = loop.call_at(self._until_sec, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiting is None:  # the next wait sets it again
            return
        if loop.time() < self._until_sec:
            self._set_timer(loop)
        else:
            self._is_over = True
            self._waiting.cancel()
