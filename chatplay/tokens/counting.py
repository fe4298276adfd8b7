"""How many tokens a prompt takes, by the best means at hand; never waits for a network.

In this order: the count of the model's own server, asked in the background and remembered by message; tiktoken,
once its ranks are loaded; else the estimate of `chatplay.tokens.estimate` with what the model's answers taught.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from chatplay.models.catalog import ModelCatalog, ModelInfo
from chatplay.providers.base import Message
from chatplay.providers.openai import OpenAIProvider
from chatplay.providers.token_count import COUNTING_ENGINES, count_prompt
from chatplay.tokens.calibrations import Calibrations, Known, Sample
from chatplay.tokens.estimate import estimate, shape_of
from chatplay.tokens.ranks import MESSAGE_OVERHEAD_TOKENS, RankLoader, count_tokens

_log = logging.getLogger(__name__)
Method = Literal["reported", "server", "tiktoken", "estimate"]
Submit = Callable[[Coroutine[Any, Any, Any]], "Future[Any]"]
_REMEMBERED = 2_000
_PAUSE_SEC = 60.0  # before a server that could not say is asked again
_Key = tuple[str, str, int, bytes]


@dataclass(frozen=True)
class Count:
    """Tokens and how they were counted. "reported": in the usage of an answer."""

    tokens: int
    method: Method
    estimated: bool


def describe_overflow(used: Count, reserved: int, model: ModelInfo) -> str:
    """Why a prompt of `used` tokens does not fit the model's window; `reserved` of it are kept for the answer."""
    about = "about " if used.estimated else ""
    kept = f", and {reserved:,} are kept for the answer (Max tokens)" if reserved else ""
    return (
        f"This does not fit the context window of `{model.name}`: the prompt takes {about}{used.tokens:,} of "
        f"{model.context_tokens:,} tokens{kept}."
    )


class ServerCounts:
    """Counts of the models' own servers. `find` answers at once with what is known and asks for what is not."""

    def __init__(
        self,
        *,
        catalog: ModelCatalog,
        submit: Submit,
        on_counted: Callable[[Sample], None],
        limit_sec: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._submit = submit
        self._on_counted = on_counted
        self._limit_sec = limit_sec
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, int] = OrderedDict()
        self._asked: set[_Key] = set()
        self._mute_until: dict[str, float] = {}

    def find(self, model: ModelInfo, message_id: int, messages: tuple[Message, ...]) -> int | None:
        """Tokens of the prompt that ends with this message; None while nobody has said."""
        system = messages[0].content if messages and messages[0].role == "system" else ""
        key = (model.upstream, model.name, message_id, hashlib.sha256(system.encode("utf-8", "replace")).digest())
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
            if key in self._asked or not self._may_ask(model):
                return None
            self._asked.add(key)
        self._start(self._ask(key, model, messages), key)
        return None

    def _may_ask(self, model: ModelInfo) -> bool:
        if model.engine_type not in COUNTING_ENGINES or self._clock() < self._mute_until.get(model.upstream, 0.0):
            return False
        if self._catalog.missing_here(model.upstream) is not None:
            return False
        return isinstance(self._catalog.find_provider(model.upstream), OpenAIProvider)

    def _start(self, work: Coroutine[Any, Any, None], key: _Key) -> None:
        try:
            self._submit(work)
        except RuntimeError:  # the app is ending
            work.close()
            self._asked.discard(key)

    async def _ask(self, key: _Key, model: ModelInfo, messages: tuple[Message, ...]) -> None:
        tokens = None
        try:
            provider = self._catalog.find_provider(model.upstream)
            if isinstance(provider, OpenAIProvider):
                async with asyncio.timeout(self._limit_sec):
                    tokens = await count_prompt(provider, model.engine_type, model.name, messages)
        except TimeoutError:
            _log.info("%s did not count tokens within %g s", model.upstream, self._limit_sec)
        finally:
            self._note(key, tokens)
        if tokens is not None:
            await asyncio.to_thread(self._on_counted, Sample(model.upstream, model.name, messages, tokens))

    def _note(self, key: _Key, tokens: int | None) -> None:
        with self._lock:
            self._asked.discard(key)
            if tokens is None:
                self._mute_until[key[0]] = self._clock() + _PAUSE_SEC
                return
            self._known[key] = tokens
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


class TokenCounter:
    """One per process; safe from any thread."""

    def __init__(self, *, calibrations: Calibrations, server: ServerCounts | None, ranks: RankLoader | None) -> None:
        self._calibrations = calibrations
        self._server = server
        self._ranks = ranks

    def known(self, model: ModelInfo | None) -> Known:
        """What the model's answers taught; the defaults without a model."""
        return self._calibrations.get(model.upstream, model.name) if model else Known()

    def refresh(self, model: ModelInfo | None) -> None:
        """Takes in what other processes learned of the model. Not inside a transaction."""
        if model is not None:
            self._calibrations.refresh(model.upstream, model.name)

    def find_server_count(self, model: ModelInfo | None, message_id: int, messages: tuple[Message, ...]) -> int | None:
        """Of the prompt that ends with this message, None when the server can't say or has not said yet."""
        if self._server is None or model is None or not messages:
            return None
        return self._server.find(model, message_id, messages)

    def count(self, texts: Iterable[str], model: ModelInfo | None) -> Count:
        """Tokens of messages with their overhead, by tiktoken or the estimate."""
        texts = tuple(texts)
        if model is not None and self._ranks is not None:
            self._ranks.want(model.name)
        counts = [count_tokens(text, model.name) for text in texts] if model else []
        if counts and not any(one.estimated for one in counts):
            return Count(sum(one.tokens + MESSAGE_OVERHEAD_TOKENS for one in counts), "tiktoken", estimated=True)
        tokens = estimate(shape_of(*texts), self.known(model).weights) if texts else 0.0
        return Count(-int(-tokens // 1), "estimate", estimated=bool(texts))
