"""The events of one answer as WebSocket and server-sent events carry them, and the stream that sends them.

`seq` numbers them: 0 is the start, 1 to n are the deltas (an event may hold several: it has the number of the
last), then comes an error, if there was one, and the end. An error that belongs to no answer has the number of what
was sent last, so that a reader that keeps the last number it saw stays where it was.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from chatplay.api.errors import ErrorDetail, detail_of
from chatplay.api.seated import SeatedStream
from chatplay.api.who import Seating
from chatplay.chats.log import AnswerRef
from chatplay.errors import ChatplayError
from chatplay.generation.values import AnswerMetrics, GenerationEnd, Update

_HEARTBEAT = b": still here\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its kind, its number and its JSON. Without a number: an error before anything was sent."""

    kind: str
    seq: int | None
    data: str

    def as_sse(self) -> bytes:
        return f"id: {self.seq}\nevent: {self.kind}\ndata: {self.data}\n\n".encode()

    def as_last_words(self) -> bytes:
        """Without a number: a reader that comes back goes on after the last event that had one."""
        return f"event: {self.kind}\ndata: {self.data}\n\n".encode()


async def events_of(
    answer: AnswerRef, updates: AsyncGenerator[Update, None], *, after_seq: int | None, was_over: bool, request_id: str
) -> AsyncGenerator[Event | None, None]:
    """The events numbered above `after_seq` (None: all of them), from `updates` that begin there. None: a heartbeat.

    How an answer ends that was not over when it was asked for is told whatever `after_seq` is: nobody can have seen it.
    """
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
                    if not was_over or event.seq is None or event.seq > (after_seq or 0):
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
        param=metrics.error_param,
        request_id=request_id,
        cure=metrics.error_cure or "",
        retry_after_sec=metrics.retry_after_sec,
        provider=metrics.provider,
        model=metrics.model,
    )
    return {name: value for name, value in detail.model_dump().items() if value is not None or name == "param"}


def error_event(detail: dict[str, Any], place: int | None) -> Event:
    """An error that belongs to no answer. `place`: the number of the last event that was sent, if any was."""
    return _event("error", place, {"error": detail})


def _event(kind: str, seq: int | None, fields: dict[str, Any]) -> Event:
    numbered = fields if seq is None else {**fields, "seq": seq}
    return Event(kind, seq, json.dumps({"type": kind, **numbered}, separators=(",", ":")))


class EventStream(SeatedStream):
    """Server-sent events. A reader whose seat is lost is told why."""

    def __init__(
        self,
        events: AsyncGenerator[Event | None, None],
        *,
        slow_reader_sec: float,
        sit: Seating,
        request_id: str = "",
    ) -> None:
        self._place: int | None = None
        super().__init__(
            self._bodies(events),
            headers={"x-accel-buffering": "no"},
            media_type="text/event-stream",
            slow_reader_sec=slow_reader_sec,
            sit=sit,
        )
        self._request_id = request_id

    def last_words(self, why: ChatplayError) -> bytes:
        return error_event(detail_of(why, self._request_id), self._place).as_last_words()

    async def _bodies(self, events: AsyncGenerator[Event | None, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(events):
            async for event in events:
                if event is None:
                    yield _HEARTBEAT
                else:
                    yield event.as_sse()
                    self._place = event.seq  # once it went out
