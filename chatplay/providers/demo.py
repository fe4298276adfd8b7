"""The Demo provider: a newcomer's first models, without key or network, in which every setting really acts."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from chatplay.errors import ModelUnknown
from chatplay.fingerprint import fingerprint_of
from chatplay.params import SPECS
from chatplay.providers.base import Chunk, End, Request, Sleep, Usage, last_user_text
from chatplay.providers.demo_judge import find_verdict
from chatplay.providers.demo_text import PAGES
from chatplay.providers.ngram import Text, Writer, split_tokens

MOST_TOKENS = 1024


@dataclass(frozen=True)
class Pace:
    """How one of the models reads and writes; seconds."""

    order: int
    token_sec: float
    first_token_sec: float
    prompt_token_sec: float


_PACES: Mapping[str, Pace] = {
    "demo-small": Pace(order=3, token_sec=1 / 40, first_token_sec=0.12, prompt_token_sec=0.0004),
    "demo-large": Pace(order=4, token_sec=1 / 22, first_token_sec=0.3, prompt_token_sec=0.0012),
}
DEMO_MODELS = tuple(_PACES)
_LONGEST_FIRST_TOKEN_SEC = 4.0


class DemoProvider:
    """`demo-small` looks back two words, `demo-large` three and takes its time.

    `sleep` does the pacing and `draw_seed` gives the seed of a request that has none.
    """

    name = "demo"

    def __init__(
        self, *, sleep: Sleep = asyncio.sleep, draw_seed: Callable[[], int] = lambda: secrets.randbits(32)
    ) -> None:
        self._sleep = sleep
        self._draw_seed = draw_seed

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        pace = _PACES.get(request.model)
        if pace is None:
            raise ModelUnknown(
                f"The Demo has no model called `{request.model}`.",
                cure=f"Choose {' or '.join(DEMO_MODELS)}.",
                provider=self.name,
                model=request.model,
            )
        answer = _Answer(request, pace, self._draw_seed())
        pauses = _pauses(pace, answer.prompt_tokens, random.Random(answer.seed + 1))
        if request.stream:
            async for chunk in self._paced(answer, pauses):
                yield chunk
        else:
            text = "".join(answer.texts())
            await self._sleep(sum(next(pauses) for _ in range(answer.completion_tokens)))
            yield Chunk(text, size_bytes=len(text.encode()))
        yield Chunk(end=answer.end())

    async def aclose(self) -> None:
        """Nothing is held open."""

    async def _paced(self, answer: _Answer, pauses: Iterator[float]) -> AsyncGenerator[Chunk, None]:
        opening: End | None = answer.opening()
        await self._sleep(next(pauses))
        for text in answer.texts():
            if text:
                yield Chunk(text, size_bytes=len(text.encode()), opening=opening)
                opening = None
            await self._sleep(next(pauses))


class _Answer:
    """The words of one answer, held to max tokens and the stop texts; the verdict of one that is asked to judge."""

    def __init__(self, request: Request, pace: Pace, drawn_seed: int) -> None:
        params = request.params
        self._request = request
        self._stop = StopText(params.stop)
        self.seed = drawn_seed if params.seed is None else params.seed
        self._limit = min(params.max_tokens or MOST_TOKENS, MOST_TOKENS)
        self._writer = Writer(
            _text(pace.order), params, random.Random(self.seed), prompt=_prompt(request), told=_told(request)
        )
        self._verdict = find_verdict(request.messages)
        self.prompt_tokens = sum(len(split_tokens(message.content)) for message in request.messages)
        self.completion_tokens = 0
        self._finish_reason = "stop"

    def texts(self) -> Iterator[str]:
        """Text to show after each token; empty while it may still turn out to be a stop text."""
        for token in self._writer.tokens() if self._verdict is None else split_tokens(self._verdict):
            if self.completion_tokens == self._limit:
                self._finish_reason = "length"
                break
            self.completion_tokens += 1
            yield self._stop.feed(token)
            if self._stop.hit:
                return
        yield self._stop.rest()

    def opening(self) -> End:
        return End(sent=self._sent(), fingerprint=fingerprint_of(self._request))

    def end(self) -> End:
        usage = Usage(prompt_tokens=self.prompt_tokens, completion_tokens=self.completion_tokens)
        return replace(self.opening(), finish_reason=self._finish_reason, usage=usage, model=self._request.model)

    def _sent(self) -> dict[str, object]:
        values = {spec.name: getattr(self._request.params, spec.name) for spec in SPECS if spec.sampling}
        kept = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value}
        sent: dict[str, object] = {"model": self._request.model, "stream": self._request.stream}
        return sent | kept | {"temperature": self._request.params.temperature, "seed": self.seed}


class StopText:
    """Lets text through up to the first of the stop texts, which may come in pieces. `hit` once one came."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""
        self.hit = False

    def feed(self, text: str) -> str:
        """What of the text so far is certain to be shown."""
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.hit = True
            return self._let(min(places))
        return self._let(len(self._held) - self._doubtful())

    def rest(self) -> str:
        """What was held back, once no more comes."""
        return self._let(len(self._held))

    def _let(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text

    def _doubtful(self) -> int:
        """Length of the longest end of the held text that may be the beginning of a stop text."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        lengths = range(min(longest, len(self._held)), 0, -1)
        return next((size for size in lengths if any(stop.startswith(self._held[-size:]) for stop in self._stops)), 0)


def _pauses(pace: Pace, prompt_tokens: int, dice: random.Random) -> Iterator[float]:
    """Seconds before each token: the first grows with the prompt, the others scatter as a server's do."""
    reading = min(prompt_tokens * pace.prompt_token_sec, _LONGEST_FIRST_TOKEN_SEC)
    yield (pace.first_token_sec + reading) * dice.uniform(0.9, 1.2)
    while True:
        yield pace.token_sec * dice.lognormvariate(-0.03, 0.25)


def _prompt(request: Request) -> str:
    """What the answer is to be about: the newest message, with the system prompt before it."""
    system = " ".join(message.content for message in request.messages if message.role == "system")
    return f"{system[:2000]} {last_user_text(request)}"


def _told(request: Request) -> str:
    return " ".join(message.content for message in request.messages if message.role == "assistant")


@cache
def _text(order: int) -> Text:
    return Text(PAGES, order)
