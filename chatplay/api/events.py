"""The events of one answer as WebSocket and server-sent events carry them, and the stream that sends them.

`seq` numbers them: 0 is the start, 1 to n are the deltas (an event may hold several: it has the number of the
last), then comes an error, if there was one, and the end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chatplay.api.audience import Seat
from chatplay.api.edge import hang_up
from chatplay.api.errors import ErrorDetail, answer, detail_of, plain_detail, status_of
from chatplay.chats.log import AnswerRef
from chatplay.errors import TooManyConnections
from chatplay.generation.values import AnswerMetrics, GenerationEnd, Update

_HEARTBEAT = b": still here\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its kind, its number and its JSON."""

    kind: str
    seq: int
    data: str

    def as_sse(self) -> bytes:
        return f"id: {self.seq}\nevent: {self.kind}\ndata: {self.data}\n\n".encode()

    def as_last_words(self) -> bytes:
        """Without a number: a reader that comes back goes on after the last event that had one."""
        return f"event: {self.kind}\ndata: {self.data}\n\n".encode()


async def events_of(
    answer: AnswerRef, updates: AsyncGenerator[Update, None], *, after_seq: int | None, request_id: str
) -> AsyncGenerator[Event | None, None]:
    """The events numbered above `after_seq` (None: all of them), from `updates` that begin there. None: a heartbeat."""
    name = answer.message_id if answer.message_id is not None else str(answer.generation_id)
    shown = json.dumps(name)
    if after_seq is None:
        start = {"id": name, "role": "assistant", "created_at": answer.created_at.isoformat()}
        yield _event("message_start", 0, {**start, "generation_id": str(answer.generation_id)})
    async with aclosing(updates):
        async for update in updates:
            if update.text:
                text = json.dumps(update.text)
                data = f'{{"type":"delta","id":{shown},"content_chunk":{text},"seq":{update.seq}}}'
                yield Event("delta", update.seq, data)
            elif update.end is None:
                yield None
            if update.end is not None:
                for event in _ending(name, update.seq, update.end, request_id):
                    if event.seq > (after_seq or 0):
                        yield event


def last_seq(update: Update) -> int | None:
    """The number of the answer's last event, once there is one."""
    return None if update.end is None else update.seq + 1 + (update.end.status == "failed")


def _ending(name: int | str, deltas: int, end: GenerationEnd, request_id: str) -> list[Event]:
    events, seq = [], deltas + 1
    if end.status == "failed":
        events.append(_event("error", seq, {"id": name, "error": error_of(end.metrics, request_id)}))
        seq += 1
    last: dict[str, Any] = {"id": name, "full_content": end.content}
    if end.metrics.completion_tokens is not None:
        last["tokens"] = end.metrics.completion_tokens
    last |= {"status": end.status, "finish_reason": end.metrics.finish_reason}
    return [*events, _event("message_end", seq, last)]


def error_of(metrics: AnswerMetrics, request_id: str) -> dict[str, Any]:
    """What an answer failed with, in the one shape of errors."""
    detail = ErrorDetail(
        type=metrics.error_code or "error",
        message=metrics.error_message or "The answer failed.",
        request_id=request_id,
        cure=metrics.error_cure or "",
        retry_after_sec=metrics.retry_after_sec,
        provider=metrics.provider,
        model=metrics.model,
    )
    return {name: value for name, value in detail.model_dump().items() if value is not None or name == "param"}


def refusal(request_id: str, kind: str, message: str, **more: Any) -> Event:
    """An error that is no answer's: of a frame that cannot be used."""
    return _event("error", 0, {"error": plain_detail(kind, message, request_id, **more)})


def error_event(detail: dict[str, Any]) -> Event:
    return _event("error", 0, {"error": detail})


def _event(kind: str, seq: int, fields: dict[str, Any]) -> Event:
    return Event(kind, seq, json.dumps({"type": kind, **fields, "seq": seq}, separators=(",", ":")))


class EventStream(Response):
    """Server-sent events. Whatever makes them goes on without a reader that takes nothing for `slow_reader_sec`,
    which is cut off, and without one whose seat is lost, which is told why.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[Event | None, None],
        *,
        slow_reader_sec: float,
        sit: Callable[[], AbstractContextManager[Seat]],
        request_id: str = "",
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._slow_reader_sec = slow_reader_sec
        self._sit = sit
        self._request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._sit() as seat:
                await self._serve(seat, receive, send)
        except TooManyConnections as error:  # nothing is sent yet
            await answer(detail_of(error, self._request_id), status_of(error))(scope, receive, send)
        except TimeoutError:
            await hang_up(scope)

    async def _serve(self, seat: Seat, receive: Receive, send: Send) -> None:
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
            await self._write(send, error_event(detail_of(seat.lost.result(), self._request_id)).as_last_words(), False)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._events) as events:
            async for body in _bodies(events):
                await self._write(send, body)
        await self._write(send, b"", False)

    async def _write(self, send: Send, body: bytes, more: bool = True) -> None:
        """Raises TimeoutError for a reader that takes nothing."""
        async with asyncio.timeout(self._slow_reader_sec):
            await send({"type": "http.response.body", "body": body, "more_body": more})


async def _bodies(events: AsyncIterator[Event | None]) -> AsyncGenerator[bytes, None]:
    async for event in events:
        yield _HEARTBEAT if event is None else event.as_sse()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
