"""From the hub's thread to the one request that reads a relayed answer, chunk by chunk and in order."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from chatplay.errors import ChatplayError
from chatplay.generation.followers import PACE_SEC
from chatplay.generation.values import GenerationEnd
from chatplay.providers.base import Chunk, End, Json


class Pipe:
    """A Tap whose chunks are awaited on `loop`. Several that came in between are read at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._chunks: deque[Chunk] = deque()
        self._news = asyncio.Event()
        self._told = True  # nobody waits yet
        self._next_sec = 0.0  # when to look again at the earliest
        self.said: End | None = None
        self.end: GenerationEnd | None = None
        self.error: ChatplayError | None = None
        self.raws: list[Json] = []  # the choices that held more than text
        self.reader_left = False

    # ---- on the hub's thread -------------------------------------------------------------------

    def take(self, chunk: Chunk) -> None:
        if chunk.end is not None:
            self.said = chunk.end
        if chunk.raw is not None:
            self.raws.append(chunk.raw)
        if chunk.text or chunk.raw is not None:
            self._chunks.append(chunk)
            self._tell()

    def finish(self, end: GenerationEnd, error: ChatplayError | None) -> None:
        self.error = error
        self.end = end
        self._tell()

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            with suppress(RuntimeError):  # the loop is gone: so is the reader
                self._loop.call_soon_threadsafe(self._news.set)

    # ---- on the reader's loop ------------------------------------------------------------------

    def leave(self) -> None:
        """The reader is gone: whoever waits in `read` gets nothing more."""
        self.reader_left = True
        self._news.set()

    async def read(self) -> list[Chunk]:
        """What came since the last time, at least one chunk until there is the end or the reader has left.

        Chunks in quick succession are read several at a time; meanwhile the hub need not wake this loop.
        """
        if self.end is None and (rest_sec := self._next_sec - self._loop.time()) > 0:
            await asyncio.sleep(rest_sec)
        while True:
            ended = self.end is not None  # before the chunks: none comes after it
            chunks = [self._chunks.popleft() for _ in range(len(self._chunks))]
            if chunks or ended or self.reader_left:
                self._next_sec = self._loop.time() + PACE_SEC
                return chunks
            self._news.clear()
            self._told = False  # before looking once more: what comes from here on tells
            if not self._chunks and self.end is None:
                await self._news.wait()
