"""Takes the keys of a model server out of what it sends: some echo the Authorization header they were sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from chatplay.providers.base import COME_WHOLE

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


class _Keys:
    """Where the keys are in a text, and where its end may become one. `secrets`: the longest first."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets
        self.first = re.compile("|".join(re.escape(secret[0]) for secret in secrets)) if secrets else None
        self.any = re.compile("|".join(map(re.escape, secrets)))

    def begin_at_end(self, whole: str, start: int) -> int | None:
        """Where the end of `whole` begins that is the beginning of a key."""
        assert self.first is not None
        longest = len(self._secrets[0]) - 1
        at = max(start, len(whole) - longest)
        while (found := self.first.search(whole, at)) is not None:
            end = whole[found.start() :]
            if any(secret.startswith(end) for secret in self._secrets):
                return found.start()
            at = found.start() + 1
        return None


class Mask:
    """For one answer: feed it the pieces in order. A key that is cut in two is found; what may become one is held
    back until that is known, but for its first three characters. `secrets`: the longest first.
    """

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._keys = _Keys(secrets)
        self._tail = ""  # the end of what came, while it is the beginning of a key
        self._passed = 0  # so many characters of it were passed on

    def feed(self, text: str) -> str:
        """What may be shown now of `text` and of what was held back."""
        keys = self._keys
        if keys.first is None or (not self._tail and keys.first.search(text) is None):
            return text
        whole, start = self._tail + text, self._passed
        pieces = []
        searched = 0
        for found in keys.any.finditer(whole):
            pieces += [whole[start : found.start()], MASK]
            start = searched = found.end()
        keep = keys.begin_at_end(whole, searched)
        shown_to = len(whole) if keep is None else min(max(start, keep + _OPEN_CHARS), len(whole))
        self._tail, self._passed = ("", 0) if keep is None else (whole[keep:], shown_to - keep)
        return "".join((*pieces, whole[start:shown_to]))

    def rest(self) -> str:
        """What was held back, once nothing more comes; most of a key is hidden like a whole one."""
        tail, passed = self._tail, self._passed
        self._tail, self._passed = "", 0
        return MASK if len(tail) >= _FEWEST_CHARS else tail[passed:]


class _Item(NamedTuple):
    """A list's item, as the pieces of a stream know it: by its `index`, else by where it stands."""

    number: int
    label: tuple[tuple[str, Any], ...]  # what has to stand in another piece of it


_Place = tuple[str | _Item, ...]
# The fields of a choice that come in pieces, as a stream has them and as servers that know messages only.
_SAID = ("delta", "message")


class RawMask:
    """For the choices of one answer that are handed on as they came: each text is masked along its own place."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets
        self._at_once_mask = Mask(secrets)
        self._masks: dict[_Place, Mask] = {}
        self._tokens: dict[str, _TokenMask] = {}
        self._text_name = "content"  # which field the plain text stood in last

    def feed(self, raw: dict[str, Any] | None, text: str) -> dict[str, Any] | None:
        """What may be shown now of one piece of a stream. `text`: the same of its plain text, which may have begun in
        pieces that hold nothing else and are not fed.
        """
        if raw is None or not self._secrets:
            return raw
        return {name: self._part(name, value, text) for name, value in raw.items()}

    def rest(self, text: str) -> dict[str, Any] | None:
        """A last piece with what was held back, `text` with it; None when there is nothing but plain text."""
        tree: dict[Any, Any] = {}
        for place, mask in self._masks.items():
            if held := mask.rest():
                _put(tree, place, held)
        for name, tokens in self._tokens.items():
            if entries := tokens.rest():
                _put(tree, ("logprobs", name), entries)
        if text and (tree or self._text_name != "content"):
            _put(tree, ("delta", self._text_name), text)
        return {"index": 0, "delta": {}, **_shaped(tree)} if tree else None

    def whole(self, raw: dict[str, Any] | None) -> dict[str, Any] | None:
        """`raw` of an answer that is not streamed, with every key in it masked."""
        if raw is None or not self._secrets:
            return raw
        return {name: self._part_of_whole(name, value) for name, value in raw.items()}

    def _part(self, name: str, value: Any, text: str) -> Any:
        if name in _SAID and isinstance(value, dict):
            plain = _plain_name(value)
            self._text_name = plain or self._text_name
            return {key: text if key == plain else self._clean(part, ("delta", key)) for key, part in value.items()}
        if name == "logprobs" and isinstance(value, dict):
            return {key: self._log_probabilities(key, part) for key, part in value.items()}
        return self._at_once(value)

    def _part_of_whole(self, name: str, value: Any) -> Any:
        if name == "logprobs" and isinstance(value, dict):
            shown = {key: self._log_probabilities(key, part) for key, part in value.items()}
            rest = {key: tokens.rest() for key, tokens in self._tokens.items()}
            return {key: [*part, *rest[key]] if key in rest else part for key, part in shown.items()}
        return self._at_once(value)

    def _clean(self, value: Any, place: _Place) -> Any:
        if isinstance(value, str):
            if place[-1] in COME_WHOLE or isinstance(place[-1], _Item):
                return self._at_once(value)
            if place not in self._masks:
                self._masks[place] = Mask(self._secrets)
            return self._masks[place].feed(value)
        if isinstance(value, dict):
            return {name: self._clean(part, (*place, name)) for name, part in value.items()}
        if isinstance(value, list):
            return [self._clean(part, (*place, _item(number, part))) for number, part in enumerate(value)]
        return value

    def _at_once(self, value: Any) -> Any:
        """Of what comes whole."""
        if isinstance(value, str):
            return self._at_once_mask.feed(value) + self._at_once_mask.rest()
        if isinstance(value, dict):
            return {name: self._at_once(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self._at_once(part) for part in value]
        return value

    def _log_probabilities(self, name: str, entries: Any) -> Any:
        if not isinstance(entries, list) or not all(_is_token(entry) for entry in entries):
            return self._at_once(entries)
        tokens = self._tokens.setdefault(name, _TokenMask(self._secrets))
        return tokens.feed([self._other_tokens(entry) for entry in entries])

    def _other_tokens(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The entry without those likely tokens that by themselves hold a key or end in most of one; no sequence of
        them is a text.
        """
        others = entry.get("top_logprobs")
        if not isinstance(others, list):
            return entry
        return {**entry, "top_logprobs": [other for other in others if self._at_once(other) == other]}


class _TokenMask:
    """For log probabilities, which spell the text again. An entry that may be a piece of a key is held back as a whole;
    of one that is, only the probability is told.
    """

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._keys = _Keys(secrets)
        self._held: list[dict[str, Any]] = []
        self._before = ""  # what was shown of the beginning of a key

    def feed(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What may be shown now of `entries` and of those held back."""
        entries = [*self._held, *entries]
        whole = self._before + "".join(entry["token"] for entry in entries)
        spans = [found.span() for found in self._keys.any.finditer(whole)]
        keep = self._keys.begin_at_end(whole, spans[-1][1] if spans else 0)
        shown, end = [], len(self._before)
        for entry in entries:
            begin, end = end, end + len(entry["token"])
            if keep is not None and end > keep + _OPEN_CHARS:
                end = begin
                break
            shown.append(_hidden(entry) if any(begin < b and a < end for a, b in spans) else entry)
        self._held = entries[len(shown) :]
        self._before = "" if keep is None else whole[keep:end]
        return shown

    def rest(self) -> list[dict[str, Any]]:
        """Those held back, once nothing more comes; most of a key is hidden like a whole one."""
        held, before = self._held, self._before
        self._held, self._before = [], ""
        whole = before + "".join(entry["token"] for entry in held)
        begin = self._keys.begin_at_end(whole, 0) if held else None
        return [_hidden(e) for e in held] if begin is not None and len(whole) - begin >= _FEWEST_CHARS else held


def _hidden(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "token": MASK, "bytes": None, "top_logprobs": []}


def _is_token(entry: object) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("token"), str)


def _plain_name(said: Mapping[str, Any]) -> str | None:
    """Which field of a delta is its plain text, where one is as it stands."""
    name = "content" if said.get("content") else "refusal"
    return name if said.get(name) and isinstance(said[name], str) else None


def _item(number: int, part: Any) -> _Item:
    if not isinstance(part, dict):
        return _Item(number, ())
    if isinstance(index := part.get("index"), int):
        return _Item(index, (("index", index),))
    return _Item(number, (("type", part["type"]),) if isinstance(part.get("type"), str) else ())


def _put(tree: dict[Any, Any], place: tuple[Any, ...], held: Any) -> None:
    """Nothing where the server has sent a field as a text in one piece and as an object in another."""
    *way, name = place
    node: Any = tree
    for step in way:
        node = node.setdefault(step, {})
        if not isinstance(node, dict):
            return
    node.setdefault(name, held)


def _shaped(node: Any) -> Any:
    """A tree by places as JSON: what is keyed by items is a list."""
    if not isinstance(node, dict):
        return node
    items = {item: _shaped(part) for item, part in node.items() if isinstance(item, _Item)}
    if items:  # what the same field was in other pieces, an object, is left out
        return [{**dict(item.label), **part} if isinstance(part, dict) else part for item, part in items.items()]
    return {name: _shaped(part) for name, part in node.items()}
