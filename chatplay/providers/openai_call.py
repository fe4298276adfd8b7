"""Reads one response of a chat completion, streamed or whole, within the time limits of each of its parts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from chatplay.errors import ProviderError
from chatplay.providers import faults
from chatplay.providers.base import Chunk, End
from chatplay.providers.faults import Caller
from chatplay.providers.masking import Mask, RawMask, masked, secrets_among
from chatplay.providers.network import Body
from chatplay.providers.openai_answer import AnswerReader, NotTheProtocol, calls_tool, read_whole
from chatplay.providers.patience import Patience
from chatplay.providers.sse import EventTooLong, SseDecoder

MAX_BODY_BYTES = 32 * 1024 * 1024
_TAIL_SEC = 5.0  # after finish_reason, usage and [DONE] get at most this long
_DRAIN_SEC = 0.02  # the bytes after [DONE] decide only whether the connection can be used again


@dataclass(frozen=True)
class Limits:
    """How long each part of a call may take.

    The first-token limit runs from sending to the first piece of answer or reasoning; the silence limit
    is between events after it; the whole limit is for answers that are not streamed.
    """

    connect_sec: float = 5.0
    first_token_sec: float = 60.0
    silence_sec: float = 30.0
    whole_sec: float = 300.0


def _reader_of(response: httpx2.Response) -> Callable[[], Awaitable[bytes]]:
    """Gives the body's bytes as they arrive, b"" at the end. What decodes and counts them on their way through SDK and
    HTTP client is gone past; a server that compresses, unasked, gets it all the same.
    """
    body: Body = response.extensions["body"]
    if response.headers.get("content-encoding", "identity") == "identity":
        return body.read
    decoded = response.aiter_bytes()
    return lambda: anext(decoded, b"")


def written_at(response: httpx2.Response) -> float | None:
    """When the last byte of its request was handed to the connection, in seconds of the monotonic clock."""
    written_sec: float | None = response.extensions.get("written_sec")
    return written_sec


class Call:
    """One response being read."""

    def __init__(
        self,
        caller: Caller,
        response: httpx2.Response,
        limits: Limits,
        patience: Patience,
        sent: dict[str, object],
        *,
        relays: bool = False,
    ) -> None:
        self._caller = caller
        self._limits = limits
        self._patience = patience
        self._receive = _reader_of(response)
        self._reader = AnswerReader(relays=relays)
        self._secrets = secrets_among(caller.secrets)
        self._mask, self._raw_mask = Mask(self._secrets), RawMask(self._secrets)
        self._sent = sent
        self._request_id: str | None = response.headers.get("x-request-id")
        self._unreported_bytes = 0

    async def events(self) -> AsyncGenerator[Chunk, None]:
        """The chunks of a server-sent event stream, ending with the End."""
        decoder, reader = SseDecoder(), self._reader
        while not reader.done:
            received = await self._read()
            for data in self._decode(decoder, received):
                text, alive = self._understand(data)
                if text or reader.raw is not None or (alive and reader.finish_reason is None):
                    yield self._chunk(text, self._raw_mask.feed(reader.raw, text), reasons=reader.reasons)
            if received is None:
                break
        if not reader.done and reader.finish_reason is None:
            raise self._broken()
        held_back = self._mask.rest()
        raw = self._raw_mask.rest(held_back)
        if held_back or raw is not None:
            yield self._chunk(held_back, raw)
        yield self._end()
        await self._drain()

    async def whole(self) -> AsyncGenerator[Chunk, None]:
        """The one chunk and the End of an answer that is not streamed."""
        body = bytearray()
        while (received := await self._read()) is not None:
            body += received
            if len(body) > MAX_BODY_BYTES:
                raise faults.not_the_protocol(self._caller, "more than can be an answer")
        try:
            text = read_whole(self._reader, bytes(body))
        except NotTheProtocol as error:
            raise faults.not_the_protocol(self._caller, str(error)) from None
        if self._reader.refusal is not None:
            raise faults.from_answer(self._reader.refusal, self._caller)
        text = self._mask.feed(text) + self._mask.rest()
        raw = self._raw_mask.whole(self._reader.raw)
        if text or raw is not None:
            yield self._chunk(text, raw, reasons=self._reader.reasons)
        yield self._end()

    async def _read(self) -> bytes | None:
        """The next bytes, None at the end."""
        try:
            received = await self._patience.wait(self._receive())
        except TimeoutError:
            if self._reader.finish_reason is not None:
                return None
            begun = self._reader.begun
            raise faults.silent(self._caller, self._patience.limit_sec, begun=begun) from None
        except Exception as error:
            if self._reader.finish_reason is not None:
                return None
            raise faults.cut(self._caller) from error
        self._unreported_bytes += len(received)
        return received or None

    def _decode(self, decoder: SseDecoder, received: bytes | None) -> list[bytes]:
        try:
            return decoder.feed(received) if received is not None else decoder.flush()
        except EventTooLong:
            raise faults.not_the_protocol(self._caller, "an event of more than 8 MB") from None

    def _understand(self, data: bytes) -> tuple[str, bool]:
        """The text of an event and whether it shows a model at work."""
        reader = self._reader
        try:
            text, alive = reader.read(data)
        except NotTheProtocol as error:
            if reader.finish_reason is not None:
                return "", False
            raise faults.not_the_protocol(self._caller, str(error)) from None
        if reader.refusal is not None:
            raise faults.from_answer(reader.refusal, self._caller, begun=reader.begun)
        if alive:
            finished = reader.finish_reason is not None
            self._patience.restart(min(_TAIL_SEC, self._limits.silence_sec) if finished else self._limits.silence_sec)
        return self._mask.feed(text), alive

    def _chunk(self, text: str, raw: dict[str, Any] | None, *, reasons: bool = False) -> Chunk:
        size_bytes, self._unreported_bytes = self._unreported_bytes, 0
        return Chunk(text, None, size_bytes, raw, raw is not None and calls_tool(raw), reasons)

    def _end(self) -> Chunk:
        reader, clean = self._reader, self._clean
        end = End(
            clean(reader.finish_reason),
            reader.usage,
            clean(reader.model),
            clean(self._request_id),
            clean(reader.system_fingerprint),
            self._sent,
            raw_usage=reader.raw_usage,
        )
        size_bytes, self._unreported_bytes = self._unreported_bytes, 0
        return Chunk("", end, size_bytes)

    def _clean(self, text: str | None) -> str | None:
        return None if text is None else masked(text, self._secrets)

    def _broken(self) -> ProviderError:
        if self._reader.begun or self._reader.events:
            return faults.cut(self._caller)
        return faults.not_the_protocol(self._caller, "an empty stream")

    async def _drain(self) -> None:
        """Read to the end so that the connection goes back to the pool."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_DRAIN_SEC):
                while await self._receive():
                    pass
