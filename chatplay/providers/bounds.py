"""Nothing a server sends is read without end: lists and errors stop at a size no honest one has.

Answers are counted where they are read (`openai_call`, the hub).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

MOST_BYTES = 16 * 1024 * 1024


class TooLarge(Exception):
    """The body of a response went past `MOST_BYTES`."""


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size_bytes = 0
        async for part in self._inner:
            size_bytes += len(part)
            if size_bytes > MOST_BYTES:
                raise TooLarge
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


async def bound(response: httpx2.Response) -> None:
    """A response hook of the HTTP client; an answer is left alone."""
    answers = response.is_success and response.request.url.path.endswith("/chat/completions")
    if not answers and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream)
