"""One lane for each upstream: trials wait in it and are opened together, in batches, as places become free."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from chatplay.errors import StoreError
from chatplay.experiments.endings import Again
from chatplay.experiments.picking import Ticket
from chatplay.generation.values import Job

T = TypeVar("T")
_log = logging.getLogger(__name__)
_BATCH = 32  # calls opened in one transaction at most
_LOOK_AGAIN_SEC = 0.25  # at an upstream whose places others hold
_PAUSE_AFTER_ERROR_SEC = 1.0


@dataclass(frozen=True)
class Opened:
    """What became of a batch: calls to run, tickets nobody wants any more, and those that found no place."""

    jobs: list[tuple[Ticket, Job]] = field(default_factory=list)
    unwanted: list[Ticket] = field(default_factory=list)
    no_place: list[Ticket] = field(default_factory=list)


class Owner(Protocol):
    """Whose lanes they are: all share its `free` places."""

    free: int

    async def in_thread(self, work: Callable[[], T]) -> T: ...

    def open(self, upstream: str, batch: list[Ticket], loop: asyncio.AbstractEventLoop) -> Opened: ...

    def begin(self, job: Job) -> None: ...

    def give_back(self, places: int) -> None: ...


class Lane:
    """The calls of this process to one upstream, first come, first opened."""

    def __init__(self, upstream: str, runner: Owner) -> None:
        self._upstream = upstream
        self._runner = runner
        self._queue: deque[Ticket] = deque()
        self.wake = asyncio.Event()
        self.pauses = False
        self._task = asyncio.get_running_loop().create_task(self._pump())

    def take(self, ticket: Ticket) -> None:
        self._queue.append(ticket)
        self.wake.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        while self._queue:
            settle(self._queue.popleft(), None)

    async def _pump(self) -> None:
        while True:
            await self._wait()
            room = min(len(self._queue), self._runner.free, _BATCH)
            if room:
                batch = [self._queue.popleft() for _ in range(room)]
                self._runner.free -= room
                if await self._open(batch):
                    await self._pause()

    async def _wait(self) -> None:
        self.wake.clear()
        if not (self._queue and self._runner.free):
            await self.wake.wait()

    async def _pause(self) -> None:
        """Others hold the places of the upstream: a call of ours that ends wakes us earlier."""
        self.wake.clear()
        self.pauses = True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.wake.wait(), _LOOK_AGAIN_SEC)
        self.pauses = False

    async def _open(self, batch: list[Ticket]) -> bool:
        """Opens what it can and runs it. True when tickets found no place."""
        runner, loop = self._runner, asyncio.get_running_loop()
        try:
            opened = await runner.in_thread(lambda: runner.open(self._upstream, batch, loop))
        except StoreError as error:
            _log.warning("trials wait for the database (%s)", error.code)
            opened = Opened(no_place=batch)
            await asyncio.sleep(_PAUSE_AFTER_ERROR_SEC)
        except Exception:
            if len(batch) > 1:  # one that cannot be opened must not keep others, or other people's, from it
                return any([await self._open([ticket]) for ticket in batch])
            _log.exception("lane %s", self._upstream)
            opened = Opened(unwanted=batch)
        for ticket in opened.unwanted:
            settle(ticket, None)
        self._queue.extendleft(reversed(opened.no_place))
        runner.give_back(len(batch) - len(opened.jobs))
        for _, job in opened.jobs:
            runner.begin(job)
        return bool(opened.no_place)


def settle(ticket: Ticket, again: Again | None) -> None:
    """Tells the lot how its trial went."""
    if not ticket.outcome.done():
        ticket.outcome.set_result(again)
