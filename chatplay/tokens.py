"""How many tokens a text is: counted with ranks that are already loaded, else estimated. Never downloads, never waits.

tiktoken fetches missing ranks with no time limit while holding a global lock. So counting here looks only at
what is loaded, and `load_ranks` is for a background thread of the start-up.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chatplay.providers.base import Message, Usage

CHARS_PER_TOKEN = 4
MESSAGE_OVERHEAD_TOKENS = 4  # role and separators, as in OpenAI's cookbook "How to count tokens with tiktoken"
_ENCODINGS = (
    (re.compile(r"^(?:openai/)?(?:gpt-4o|gpt-4\.1|gpt-[5-9]|chatgpt-|o\d)"), "o200k_base"),
    (re.compile(r"^(?:openai/)?(?:gpt-4|gpt-3\.5)"), "cl100k_base"),
    (re.compile(r"^(?:openai/)?gpt-oss"), "o200k_harmony"),
)
_LONG_RUN = re.compile(r"\S{2000}")  # tiktoken takes about a second for 1 MB without a blank
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


def load_ranks(encoding: str) -> bool:
    """Load an encoding, False when it cannot be had. May wait for the network without limit: call it only on a
    background daemon thread.
    """
    import tiktoken  # it is slow to import and not needed where nothing is counted

    with _loading:
        try:
            _loaded[encoding] = tiktoken.get_encoding(encoding)
        except Exception:
            return False
    return True
