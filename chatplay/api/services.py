"""What a route needs to reach the services: the runtime, and threads of our own to ask it on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends
from starlette.requests import HTTPConnection

from chatplay.api.audience import Audience
from chatplay.api.rooms import Rooms
from chatplay.generation.followers import Followers
from chatplay.runtime import Runtime

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 16  # fewer than the database connections of a process, so that pages never wait for the API's


class Services:
    """One per app. Services block, so routes await `run(service.method, ...)`; the loop never waits for a database."""

    def __init__(
        self, get_runtime: Callable[[], Runtime], find_runtime: Callable[[], Runtime | None] = lambda: None
    ) -> None:
        self._get_runtime = get_runtime
        self._find_runtime = find_runtime
        self._limiter: CapacityLimiter | None = None
        self._followers: Followers | None = None
        self._rooms: Rooms | None = None
        self._audience: Audience | None = None

    async def runtime(self) -> Runtime:
        """The process's services. Raises StoreUnavailable with the cure when they cannot start."""
        running = self._find_runtime()
        return running if running is not None else await self.run(self._get_runtime)

    @property
    def followers(self) -> Followers:
        """All readers of answers on this event loop."""
        if self._followers is None:
            self._followers = Followers(self.run)
        return self._followers

    @property
    def rooms(self) -> Rooms:
        """All readers of chats on this event loop."""
        if self._rooms is None:
            self._rooms = Rooms(self.run)
        return self._rooms

    @property
    def audience(self) -> Audience:
        """All who stay connected on this event loop."""
        if self._audience is None:
            self._audience = Audience(self.run)
        return self._audience

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """On a thread, with places of our own: Streamlit serves its assets from the common ones."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(_THREADS)
        return await to_thread.run_sync(functools.partial(function, *args, **kwargs), limiter=self._limiter)


# Awaits nothing; a plain function would get a thread for itself, with each request.
async def _services(connection: HTTPConnection) -> Services:
    found = connection.app.state.services
    assert isinstance(found, Services)
    return found


async def _runtime(services: Annotated[Services, Depends(_services)]) -> Runtime:
    return await services.runtime()


Threads = Annotated[Services, Depends(_services)]
Rt = Annotated[Runtime, Depends(_runtime)]
