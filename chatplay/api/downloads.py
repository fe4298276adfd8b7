"""A file sent in pieces as they are made, none of them kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from chatplay.api.audience import Seat
from chatplay.api.edge import hang_up
from chatplay.api.errors import answer, detail_of, request_id_of, status_of
from chatplay.api.services import Services
from chatplay.errors import TooManyConnections

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


def documented_files(*formats: str) -> dict[str, Any]:
    """What the OpenAPI document says of such an answer."""
    bare = {"schema": {"type": "string", "format": "binary"}}
    return {"content": {_TYPES[one].partition(";")[0]: bare for one in formats}, "description": "The file."}


class Download(StreamingResponse):
    """`pieces` are made on threads of ours, one after another. Whoever takes nothing for long is cut off, and so is
    who may not have them any longer.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        *,
        services: Services,
        name: str,
        format: str,
        slow_reader_sec: float,
        sit: Callable[[], AbstractContextManager[Seat]],
    ) -> None:
        headers = {"content-disposition": f'attachment; filename="{name}.{format}"', "cache-control": "no-store"}
        super().__init__(_made(pieces, services), headers=headers, media_type=_TYPES[format])
        self._slow_reader_sec = slow_reader_sec
        self._sit = sit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._sit() as seat:
                await self._serve(seat, scope, receive, send)
        except TooManyConnections as error:  # nothing is sent yet
            request_id = request_id_of(HTTPConnection(scope))
            await answer(detail_of(error, request_id), status_of(error))(scope, receive, send)

    async def _serve(self, seat: Seat, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(scope, receive, send))
        ends: set[asyncio.Future[Any]] = {sending, seat.lost}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not sending.done():
                sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        if sending.cancelled():
            await hang_up(scope)
        else:
            sending.result()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Any) -> None:
            async with asyncio.timeout(self._slow_reader_sec):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except* TimeoutError:
            await hang_up(scope)


async def _made(pieces: Iterator[bytes], services: Services) -> AsyncGenerator[bytes, None]:
    while (piece := await services.run(next, pieces, None)) is not None:
        yield piece
