"""Reads the JSON of chat completions, streamed or whole, tolerant of what compatible servers leave out or add."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from chatplay.providers.base import Usage
from chatplay.providers.refusals import Refusal, read_refusal

_MAX_REASON_CHARS = 40
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


class NotTheProtocol(Exception):
    """The data is not a chat completion; the text says what it is, for a sentence "answered with ..."."""


class AnswerReader:
    """What has been read of one answer. `begun` once text or reasoning came, `done` at [DONE].

    `reasons` tells whether the event just read holds a piece of reasoning. With `relays`, `raw` is its choice where
    that holds more than text, and `raw_usage` the usage as it came.
    """

    def __init__(self, *, relays: bool = False) -> None:
        self.begun = False
        self.done = False
        self.reasons = False
        self.events = 0
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.model: str | None = None
        self.system_fingerprint: str | None = None
        self.refusal: Refusal | None = None
        self.raw: dict[str, Any] | None = None
        self.raw_usage: dict[str, Any] | None = None
        self._relays = relays
        self._half = ""  # the first half of a surrogate pair that a server cut in two

    def read(self, data: bytes) -> tuple[str, bool]:
        """Text of one event and whether the event shows a model at work. Raises NotTheProtocol."""
        self.raw, self.reasons = None, False
        if data == b"[DONE]":
            self.done = True
            return self._rest(), True
        self.events += 1
        body = parse(data)
        choices = body.get("choices")
        if choices and not body.get("error"):
            return self._choice(choices, body)
        self._note(body)
        return "", bool(self.finish_reason)

    def _choice(self, choices: Any, body: dict[str, Any]) -> tuple[str, bool]:
        choice = choices[0] if isinstance(choices, list) else None
        if not isinstance(choice, dict):
            raise NotTheProtocol("choices that are no list")
        if choice.get("index"):
            return "", False
        delta = choice.get("delta") or choice.get("message")
        text = self._text(delta) if isinstance(delta, dict) else ""
        self.reasons = isinstance(delta, dict) and _reasons(delta)
        reason = choice.get("finish_reason")
        if reason:
            self.finish_reason = storable(str(reason))[:_MAX_REASON_CHARS]
        if reason or self.model is None or "usage" in body:
            self._note(body)
        if self._relays and isinstance(delta, dict) and (choice.get("logprobs") or _says_more(delta)):
            self.raw = choice
        alive = bool(text or reason) or self.reasons or (isinstance(delta, dict) and _calls(delta))
        self.begun = self.begun or alive
        return text, alive

    def _text(self, delta: dict[str, Any]) -> str:
        text = delta.get("content") or delta.get("refusal")
        if not text:
            return ""
        if isinstance(text, list):
            text = "".join(str(part.get("text") or "") for part in text if isinstance(part, dict))
        if not isinstance(text, str):
            raise NotTheProtocol("content that is no text")
        return text if text.isascii() and "\0" not in text and not self._half else self._storable(text)

    def _storable(self, text: str) -> str:
        """`text` as UTF-8 and PostgreSQL can hold it: pairs joined across chunks, the rest U+FFFD."""
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        text = _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
        return storable(text)

    def _rest(self) -> str:
        half, self._half = self._half, ""
        return "\ufffd" if half else ""

    def _note(self, body: dict[str, Any]) -> None:
        """What stands beside the text: error, usage, model, fingerprint."""
        if body.get("error") is not None or body.get("object") == "error":
            self.refusal = read_refusal(body, None)
        usage = body.get("usage")
        self.usage = read_usage(usage) or self.usage
        if self._relays and isinstance(usage, dict):
            self.raw_usage = usage
        self.model = _name(body.get("model")) or self.model
        self.system_fingerprint = _name(body.get("system_fingerprint")) or self.system_fingerprint


def read_whole(reader: AnswerReader, data: bytes) -> str:
    """The text of an answer that is not streamed; `reader` then holds the rest. Raises NotTheProtocol."""
    body = parse(data)
    if not body.get("choices"):
        reader._note(body)
        if reader.refusal is None:
            raise NotTheProtocol("JSON without choices")
        return ""
    text, _ = reader.read(data)
    return text + reader._rest()


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`; bytes that are no UTF-8 become U+FFFD. Raises NotTheProtocol."""
    try:
        body = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise NotTheProtocol("data that is not JSON") from None
    if not isinstance(body, dict):
        raise NotTheProtocol("JSON that is no object")
    return body


def read_usage(body: object) -> Usage | None:
    """Token counts as reported; None when the two that matter are not both whole numbers."""
    if not isinstance(body, Mapping):
        return None
    prompt, completion = _count(body.get("prompt_tokens")), _count(body.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    cached = _detail(body, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(body, "completion_tokens_details", "reasoning_tokens")
    known = reasoning is not None and reasoning <= completion  # some servers count them beside the others
    return Usage(prompt, completion, cached, reasoning_tokens=reasoning if known else None)


def _detail(body: Mapping[str, Any], name: str, field: str) -> int | None:
    details = body.get(name)
    return _count(details.get(field)) if isinstance(details, Mapping) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _name(value: object) -> str | None:
    return storable(value) if isinstance(value, str) and value else None


def storable(text: str) -> str:
    """`text` with what PostgreSQL text or UTF-8 cannot hold (NUL, half surrogate pairs) replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def is_storable(text: str) -> bool:
    return _UNSTORABLE.search(text) is None


_PLAIN = ("content", "role")


def _says_more(delta: Mapping[str, Any]) -> bool:
    return not isinstance(delta.get("content") or "", str) or any(delta[key] for key in delta if key not in _PLAIN)


def calls_tool(raw: Mapping[str, Any] | None) -> bool:
    """Whether a choice holds a tool call or a piece of one."""
    said = (raw.get("delta") or raw.get("message")) if raw else None
    return isinstance(said, Mapping) and _calls(said)


def _calls(delta: Mapping[str, Any]) -> bool:
    return bool(delta.get("tool_calls") or delta.get("function_call"))


def _reasons(delta: Mapping[str, Any]) -> bool:
    return bool(delta.get("reasoning_content") or delta.get("reasoning"))
