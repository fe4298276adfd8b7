"""Readers of one streamed answer each, as cheap as Python makes them: raw HTTP over asyncio, and a WebSocket."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

import websockets

_CONTENT = re.compile(rb'"content": ?"[^"]')


@dataclass
class Reading:
    """When the request was sent and each token arrived: `arrived_ns[k]` of token k, wall clock."""

    sent_ns: int
    arrived_ns: list[int] = field(default_factory=list)

    def take(self, upto: int) -> None:
        """All tokens up to number `upto` are here."""
        self.arrived_ns += [time.time_ns()] * (upto - len(self.arrived_ns))


@dataclass(frozen=True)
class Target:
    """Where to ask: `chat_id` for our own routes, "" for OpenAI's."""

    base_url: str
    token: str = ""
    chat_id: str = ""


class Http:
    """A connection for each answer, made before the clock starts: servers close what is idle for seconds.

    OpenAI's routes are sent what was said before, as our own chats do.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._host = urlsplit(target.base_url).netloc
        self._said: list[dict[str, str]] = []

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self, prompt: str) -> Reading:
        host, _, port = self._host.partition(":")
        self._reader, writer = await asyncio.open_connection(host, int(port))
        try:
            return await self._read(prompt, writer)
        finally:
            writer.close()

    async def _read(self, prompt: str, writer: asyncio.StreamWriter) -> Reading:
        own = bool(self._target.chat_id)
        path = f"/v1/chat/sessions/{self._target.chat_id}/generate" if own else "/v1/chat/completions"
        messages = [*self._said, {"role": "user", "content": prompt}]
        openai = {"model": "bench", "messages": messages, "stream": True}
        body = json.dumps({"content": prompt, "stream": True} if own else openai).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self._target.token or 'x'}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        reading = Reading(time.time_ns())
        writer.write(head.encode() + body)
        status = await self._reader.readuntil(b"\r\n\r\n")
        if not status.startswith(b"HTTP/1.1 200"):
            raise RuntimeError((status + await self._reader.read(2000)).decode())
        rest, kept = b"", []
        async for piece in self._pieces():
            *events, rest = (rest + piece).split(b"\n\n")
            for event in events:
                _note_sse(reading, event) if own else _note_chunk(reading, event)
            kept += events
        if not own:
            self._said = [*messages, {"role": "assistant", "content": _text_of(kept)}]
        return reading

    async def _pieces(self) -> AsyncIterator[bytes]:
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()


class Socket:
    """One open WebSocket on a chat."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def __aenter__(self) -> Socket:
        url = f"{self._target.base_url}/ws/chat/{self._target.chat_id}/".replace("http", "ws", 1)
        header = {"Authorization": f"Bearer {self._target.token}"}
        self._socket = await websockets.connect(url, additional_headers=header, compression=None)
        await self._socket.send("{}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def read(self, prompt: str) -> Reading:
        reading = Reading(time.time_ns())
        await self._socket.send(json.dumps({"content": prompt, "idempotency_key": uuid4().hex}))
        while True:
            event = json.loads(await self._socket.recv())
            if event["type"] == "delta":
                reading.take(event["seq"])
            elif event["type"] == "message_end":
                return reading
            elif event["type"] == "error":
                raise RuntimeError(event)


def _note_sse(reading: Reading, event: bytes) -> None:
    if b"\nevent: delta\n" in event:
        reading.take(int(event[4 : event.index(b"\n")]))


def _note_chunk(reading: Reading, event: bytes) -> None:
    if _CONTENT.search(event):
        reading.take(len(reading.arrived_ns) + 1)


def _text_of(events: list[bytes]) -> str:
    """The answer that OpenAI's chunks make together."""
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events if event.startswith(b"data: {")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
