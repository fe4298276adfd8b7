"""Takes the keys of a model server out of what it sends: some echo the Authorization header they were sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MASK = "[key]"
_FEWEST_CHARS = 8
# So much of a key's beginning is passed on at once: words end in "s" all the time, and keys begin with "sk-".
_OPEN_CHARS = 3
# What manuals tell people to type where a server wants no key. Answers that quote them stay whole.
_PLACEHOLDERS = frozenset(
    (
        *("lm-studio", "no-key-required", "sk-no-key-required", "not-needed", "not-required", "token-abc123"),
        *("your-api-key", "placeholder", "anything", "dummy-key", "no-api-key", "unused-key"),
    )
)

_SECRET_LOOKS = re.compile(r"\b(?:sk|pk|gsk|hf|xai|key)[-_][\w*.-]{6,}|Bearer\s+\S+|//[^/\s@]+@", re.IGNORECASE)


def secrets_among(keys: Iterable[str | None]) -> tuple[str, ...]:
    """The keys that are worth hiding, the longest first; no placeholders, and nothing that might be a common word."""
    found = {key for key in keys if key and len(key) >= _FEWEST_CHARS and key.lower() not in _PLACEHOLDERS}
    return tuple(sorted(found, key=len, reverse=True))


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """`text` with each of `secrets` replaced."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def excerpt(text: str, secrets: tuple[str, ...] = (), limit: int = 160) -> str:
    """A short, harmless piece of a server's own words, quoted and with a blank before; "" of nothing or HTML."""
    mask = Mask(tuple(sorted(secrets, key=len, reverse=True)))
    text = mask.feed(text[:2000]) + mask.rest()  # the text may be cut in the middle of a key
    if not text.strip() or "<html" in text.lower() or "<!doctype" in text.lower():
        return ""
    text = _SECRET_LOOKS.sub(MASK, text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f' It said: "{text[:limit]}{"..." if len(text) > limit else ""}"'


class Mask:
    """For one answer: feed it the pieces in order. A key that is cut in two is found; what may become one is held
    back until that is known, but for its first three characters. `secrets`: the longest first.
    """

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets
        self._first = re.compile("|".join(re.escape(secret[0]) for secret in secrets)) if secrets else None
        self._any = re.compile("|".join(map(re.escape, secrets)))
        self._tail = ""  # the end of what came, while it is the beginning of a key
        self._passed = 0  # so many characters of it were passed on

    def feed(self, text: str) -> str:
        """What may be shown now of `text` and of what was held back."""
        if self._first is None or (not self._tail and self._first.search(text) is None):
            return text
        whole, start = self._tail + text, self._passed
        pieces = []
        searched = 0
        for found in self._any.finditer(whole):
            pieces += [whole[start : found.start()], MASK]
            start = searched = found.end()
        keep = self._begin_of_a_key(whole, searched)
        shown_to = len(whole) if keep is None else min(max(start, keep + _OPEN_CHARS), len(whole))
        self._tail, self._passed = ("", 0) if keep is None else (whole[keep:], shown_to - keep)
        return "".join((*pieces, whole[start:shown_to]))

    def rest(self) -> str:
        """What was held back, once nothing more comes; most of a key is hidden like a whole one."""
        tail, passed = self._tail, self._passed
        self._tail, self._passed = "", 0
        return MASK if len(tail) >= _FEWEST_CHARS else tail[passed:]

    def _begin_of_a_key(self, whole: str, start: int) -> int | None:
        """Where the end of `whole` begins that is the beginning of a key."""
        assert self._first is not None
        longest = len(self._secrets[0]) - 1
        at = max(start, len(whole) - longest)
        while (found := self._first.search(whole, at)) is not None:
            end = whole[found.start() :]
            if any(secret.startswith(end) for secret in self._secrets):
                return found.start()
            at = found.start() + 1
        return None


class RawMask:
    """For what is handed on as it came: each text in it is masked along its own place, tool calls included."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets
        self._masks: dict[tuple[str | int, ...], Mask] = {}

    def feed(self, raw: dict[str, Any] | None) -> dict[str, Any] | None:
        """`raw` with every key in it masked."""
        if raw is None or not self._secrets:
            return raw
        return {name: self._clean(value, (name,)) for name, value in raw.items()}

    def _clean(self, value: Any, place: tuple[str | int, ...]) -> Any:
        if isinstance(value, str):
            return self._masks.setdefault(place, Mask(self._secrets)).feed(value)
        if isinstance(value, dict):
            return {name: self._clean(part, (*place, name)) for name, part in value.items()}
        if isinstance(value, list):
            return [self._clean(part, (*place, number)) for number, part in enumerate(value)]
        return value
