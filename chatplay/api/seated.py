"""Answers that take their time, of which each holds one of its reader's seats while it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chatplay.api.audience import Seat
from chatplay.api.edge import hang_up
from chatplay.api.errors import answer, detail_of, request_id_of, status_of
from chatplay.api.who import Seating
from chatplay.errors import ChatplayError, TooManyConnections


class SeatedStream(Response):
    """Sends `pieces` as they come. A reader that takes nothing for `slow_reader_sec` is cut off, and so is one whose
    seat is lost, after `last_words`. Whatever makes the pieces is closed then, and told nothing.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        *,
        headers: Mapping[str, str],
        media_type: str,
        slow_reader_sec: float,
        sit: Seating,
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", **headers}, media_type=media_type)
        del self.headers["content-length"]
        self._pieces = pieces
        self._slow_reader_sec = slow_reader_sec
        self._sit = sit

    def last_words(self, why: ChatplayError) -> bytes:
        """What a reader who may read no more is told; empty: it breaks off, so that nobody takes it for whole."""
        return b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._sit() as seat:
                await self._serve(seat, scope, receive, send)
        except TooManyConnections as error:  # nothing is sent yet
            request_id = request_id_of(HTTPConnection(scope))
            await answer(detail_of(error, request_id), status_of(error))(scope, receive, send)
        except TimeoutError:
            await hang_up(scope)

    async def _serve(self, seat: Seat, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            ends: set[asyncio.Future[Any]] = {sending, leaving, seat.lost}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not sending.done():
                sending.cancel()
            await asyncio.gather(leaving, sending, return_exceptions=True)
        if not sending.cancelled():
            sending.result()
        elif seat.lost.done():
            if words := self.last_words(seat.lost.result()):
                await self._write(send, words, more=False)
            else:
                await hang_up(scope)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                await self._write(send, piece)
        await self._write(send, b"", more=False)

    async def _write(self, send: Send, body: bytes, *, more: bool = True) -> None:
        """Raises TimeoutError for a reader that takes nothing."""
        async with asyncio.timeout(self._slow_reader_sec):
            await send({"type": "http.response.body", "body": body, "more_body": more})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
