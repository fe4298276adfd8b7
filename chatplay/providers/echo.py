"""The Echo provider: repeats the last user message, deterministic and paced, so every way through the house
can be walked without a model.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence

from chatplay.fingerprint import fingerprint_of
from chatplay.providers.base import Chunk, End, Request, Sleep, Usage, last_user_text


class EchoProvider:
    """Answers "You said: ..." word by word. A token is a word with the blanks before it.

    `tokens_per_sec` paces the words and `first_token_sec` delays the first; both 0 gives no pause.
    """

    name = "echo"

    def __init__(
        self, *, tokens_per_sec: float = 50.0, first_token_sec: float = 0.05, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._gap_sec = 1 / tokens_per_sec if tokens_per_sec else 0.0
        self._first_token_sec = first_token_sec
        self._sleep = sleep

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        tokens, finish_reason = limit(split_tokens(f"You said: {last_user_text(request)}"), request)
        if not request.stream:
            tokens = ["".join(tokens)] if tokens else []
        opening = End(sent=sent_by(request), fingerprint=fingerprint_of(request))
        await self._sleep(self._first_token_sec)
        for number, token in enumerate(tokens):
            if number:
                await self._sleep(self._gap_sec)
            yield Chunk(token, size_bytes=len(token.encode()), opening=None if number else opening)
        yield Chunk(
            end=End(
                finish_reason,
                count_usage(request, "".join(tokens)),
                request.model,
                sent=opening.sent,
                fingerprint=opening.fingerprint,
            )
        )

    async def aclose(self) -> None:
        """Nothing is held open."""


def split_tokens(text: str) -> list[str]:
    """`text` in words, each with the blanks before it; joined they are `text` again."""
    return re.findall(r"\s*\S+|\s+$", text)


def limit(tokens: Sequence[str], request: Request) -> tuple[list[str], str]:
    """The tokens before the first stop text and within max_tokens, with the finish reason."""
    kept, finish_reason = list(tokens), "stop"
    max_tokens = request.params.max_tokens
    if max_tokens is not None and len(kept) > max_tokens:
        kept, finish_reason = kept[:max_tokens], "length"
    text = "".join(kept)
    places = [place for stop in request.params.stop if (place := text.find(stop)) >= 0]
    return (split_tokens(text[: min(places)]), "stop") if places else (kept, finish_reason)


def count_usage(request: Request, answer: str) -> Usage:
    """Exact usage in this provider's own tokens, words."""
    prompt = sum(len(split_tokens(message.content)) for message in request.messages)
    return Usage(prompt_tokens=prompt, completion_tokens=len(split_tokens(answer)))


def sent_by(request: Request) -> dict[str, object]:
    """What acted on the answer, in the words of the OpenAI body."""
    sent: dict[str, object] = {"model": request.model, "stream": request.stream}
    if request.params.max_tokens is not None:
        sent["max_tokens"] = request.params.max_tokens
    if request.params.stop:
        sent["stop"] = list(request.params.stop)
    return sent
