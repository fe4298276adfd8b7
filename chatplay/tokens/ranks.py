"""How many tokens a text is: counted with ranks that are already loaded, else estimated. Never downloads, never waits.

tiktoken fetches missing ranks with no time limit while holding a global lock. So counting here looks only at
what is loaded, and a `RankLoader` loads in the background, with a time limit, into the data folder.
"""

from __future__ import annotations

import functools
import logging
import math
import os
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatplay.providers.base import Message, Usage

_log = logging.getLogger(__name__)
CHARS_PER_TOKEN = 4
MESSAGE_OVERHEAD_TOKENS = 4  # role and separators, as in OpenAI's cookbook "How to count tokens with tiktoken"
_ENCODINGS = (
    (re.compile(r"^(?:openai/)?(?:gpt-4o|gpt-4\.1|gpt-[5-9]|chatgpt-|o\d)"), "o200k_base"),
    (re.compile(r"^(?:openai/)?(?:gpt-4|gpt-3\.5)"), "cl100k_base"),
    (re.compile(r"^(?:openai/)?gpt-oss"), "o200k_harmony"),
)
_LONG_RUN = re.compile(r"\S{2000}")  # tiktoken takes about a second for 1 MB without a blank
_LOAD_SEC = 30.0
_LOAD_AGAIN_SEC = 600.0
_loaded: dict[str, Any] = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class TokenCount:
    """A number of tokens and whether it is an estimate."""

    tokens: int
    estimated: bool


def estimate_tokens(text: str) -> int:
    """About four characters a token, rounded up."""
    return math.ceil(len(text) / CHARS_PER_TOKEN)


def count_tokens(text: str, model: str | None = None) -> TokenCount:
    """Exact for a model whose ranks are loaded, else the estimate."""
    encoding = _loaded.get(encoding_for(model) or "") if model else None
    if encoding is None or _LONG_RUN.search(text):
        return TokenCount(estimate_tokens(text), estimated=True)
    return TokenCount(len(encoding.encode_ordinary(text)), estimated=False)


def prompt_tokens(messages: Iterable[Message], model: str | None = None) -> TokenCount:
    """Tokens of all messages with their overhead; estimated as the chat template of a model is never certain."""
    counts = [count_tokens(message.content, model).tokens + MESSAGE_OVERHEAD_TOKENS for message in messages]
    return TokenCount(sum(counts), estimated=True)


def estimate_usage(messages: Iterable[Message], answer: str, model: str | None = None) -> Usage:
    """Usage for a server that reported none, flagged as estimated."""
    prompt, completion = prompt_tokens(messages, model).tokens, count_tokens(answer, model).tokens
    return Usage(prompt_tokens=prompt, completion_tokens=completion, estimated=True)


def encoding_for(model: str) -> str | None:
    """Name of the tiktoken encoding of a model, None when it has none."""
    return next((name for pattern, name in _ENCODINGS if pattern.match(model)), None)


def load_ranks(encoding: str, *, folder: Path | None = None, limit_sec: float = _LOAD_SEC) -> bool:
    """Load an encoding from `folder`, or fetch it into there within `limit_sec`; False when it cannot be had.
    Call it only on a background daemon thread: the name server alone may take longer than the limit.
    """
    import tiktoken  # it is slow to import and not needed where nothing is counted
    import tiktoken.load

    with _loading:
        if folder is not None:
            os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(folder))
        tiktoken.load.read_file = functools.partial(_read_in_time, limit_sec=limit_sec)
        try:
            _loaded[encoding] = tiktoken.get_encoding(encoding)
        except Exception as error:
            _log.info("no ranks of %s: %s; tokens are estimated", encoding, type(error).__name__)
            return False
    return True


class RankLoader:
    """Loads the ranks of the models in use, each in the background, and again later when it failed."""

    def __init__(
        self,
        folder: Path,
        *,
        load: Callable[..., bool] = load_ranks,
        limit_sec: float = _LOAD_SEC,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._load = load
        self._limit_sec = limit_sec
        self._clock = clock
        self._lock = threading.Lock()
        self._next_try_sec: dict[str, float] = {}

    def want(self, model: str) -> None:
        """Sees to it that the model's ranks will be there, if it has any. Returns at once."""
        encoding = encoding_for(model)
        if encoding is None or encoding in _loaded:
            return
        with self._lock:
            if self._clock() < self._next_try_sec.get(encoding, 0.0):
                return
            self._next_try_sec[encoding] = self._clock() + _LOAD_AGAIN_SEC
        work = functools.partial(self._load, encoding, folder=self._folder, limit_sec=self._limit_sec)
        threading.Thread(target=work, name=f"ranks-{encoding}", daemon=True).start()


def _read_in_time(address: str, *, limit_sec: float) -> bytes:
    """The bytes at `address`, all of them within `limit_sec`. Raises OSError."""
    if "://" not in address:
        return Path(address).read_bytes()
    deadline = time.monotonic() + limit_sec
    parts = []
    with urllib.request.urlopen(address, timeout=limit_sec) as answer:
        while part := answer.read1(1 << 16):
            parts.append(part)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{address} took longer than {limit_sec:g} s")
    return b"".join(parts)
