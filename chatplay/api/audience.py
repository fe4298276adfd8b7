"""Who stays connected: so many streams and sockets a person may hold open, each for as long as its credential opens
the door. What makes the answers goes on without them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chatplay.errors import ChatplayError, StoreError, TooManyConnections
from chatplay.runtime import Runtime

_log = logging.getLogger(__name__)
_LOOK_SEC = 1.0
_SEEN_SEC = 60.0  # whoever is connected counts as being there: their sign-in does not idle out
_RETRY_AFTER_SEC = 5.0
Run = Callable[..., Awaitable[object]]


@dataclass(eq=False)
class Seat:
    """One long connection. `ask` raises when it would not be let in now, which blocks; `lost` then gets the reason."""

    credential: bytes
    ask: Callable[[], object]
    lost: asyncio.Future[ChatplayError]
    seen_sec: float = field(default_factory=time.monotonic)

    async def until_lost(self) -> None:
        """Waits, and raises why."""
        raise await asyncio.shield(self.lost)


class Audience:
    """All long connections of one event loop. One query a second, on a thread of `run`, tells of all of them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._seats: set[Seat] = set()
        self._by_person: Counter[int] = Counter()
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def hold(self, runtime: Runtime, user_id: int) -> Generator[None, None, None]:
        """Keeps a seat free for this person. Raises TooManyConnections when they can have no more."""
        most = runtime.settings.api_connections_per_person
        if self._by_person[user_id] >= most:
            raise TooManyConnections(
                f"You hold {most:,} streams and sockets open, and no more are allowed.",
                cure="Close one of them, or read several chats one after another.",
                retry_after_sec=_RETRY_AFTER_SEC,
            )
        self._by_person[user_id] += 1
        try:
            yield
        finally:
            self._by_person[user_id] -= 1
            if not self._by_person[user_id]:
                del self._by_person[user_id]

    @contextmanager
    def seat(
        self, runtime: Runtime, user_id: int, credential: bytes, ask: Callable[[], object]
    ) -> Generator[Seat, None, None]:
        """A place for one connection of this person. Raises TooManyConnections."""
        lost: asyncio.Future[ChatplayError] = asyncio.get_running_loop().create_future()
        seat = Seat(credential, ask, lost)
        with self.hold(runtime, user_id):
            self._seats.add(seat)
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(runtime))
            try:
                yield seat
            finally:
                lost.cancel()
                self._seats.discard(seat)

    async def _look(self, runtime: Runtime) -> None:
        is_away = False
        while self._seats:
            await asyncio.sleep(_LOOK_SEC)
            try:
                await self._look_once(runtime)
                is_away = False
            except StoreError as error:
                if not is_away:  # said once for each time the database is away
                    _log.warning("who is connected is not checked while the database is away (%s)", error.code)
                is_away = True
            except Exception:  # a look that fails for a reason nobody thought of must not be the last one
                _log.exception("who stays connected")

    async def _look_once(self, runtime: Runtime) -> None:
        seats, now = list(self._seats), time.monotonic()
        if not seats:
            return
        good = await self._run(runtime.standing.list_good, {seat.credential for seat in seats})
        assert isinstance(good, frozenset)
        for seat in seats:
            if seat.credential not in good or now - seat.seen_sec > _SEEN_SEC:
                seat.seen_sec = now
                await self._ask(seat)

    async def _ask(self, seat: Seat) -> None:
        """As the door itself would answer now, in its words."""
        try:
            await self._run(seat.ask)
        except StoreError:
            raise
        except ChatplayError as error:
            if not seat.lost.done():
                seat.lost.set_result(error)
