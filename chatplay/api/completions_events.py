"""Puts an answer into OpenAI's words: the events of a stream, or one body."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from chatplay.api.completions_errors import Fault
from chatplay.api.completions_pieces import joined
from chatplay.generation.values import AnswerMetrics, GenerationEnd
from chatplay.providers.base import Chunk, End, Json

DONE = b"data: [DONE]\n\n"
_NO_END = End()


class Events:
    """The server-sent events of one answer, in the order to be sent.

    A plain text costs one JSON string between two fixed pieces: there are thousands of them.
    """

    def __init__(self, *, completion_id: str, created: int, model: str, include_usage: bool) -> None:
        self._envelope = {"id": completion_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._include_usage = include_usage
        before, after = self._chunk({"index": 0, "delta": {"content": "\0"}, "finish_reason": None}).split('"\\u0000"')
        self._before, self._after = before, after

    def first(self) -> bytes:
        return self._choice({"role": "assistant", "content": ""})

    def of(self, chunk: Chunk) -> bytes:
        """The event of a text or of what a server sent beside it."""
        if chunk.raw is not None:
            return _event(self._chunk(_as_delta(chunk.raw, chunk.text)))
        return f"data: {self._before}{json.dumps(chunk.text)}{self._after}\n\n".encode()

    def last(self, end: GenerationEnd, said: End | None) -> Iterator[bytes]:
        """How it ended, what it took if that was asked for, and the end of the stream."""
        fingerprint = _fingerprint(said)
        yield self._choice({}, finish_reason(end), **fingerprint)
        if self._include_usage:
            body = {**self._envelope, "choices": [], "usage": usage_of(end.metrics, said), **fingerprint}
            yield _event(_json(body))
        yield DONE

    def failed(self, fault: Fault, request_id: str) -> bytes:
        """In the place of an end: without it and [DONE] no client takes the answer for whole."""
        return b"event: error\n" + _event(_json(fault.body(request_id)))

    def _choice(self, delta: Json, finish_reason: str | None = None, **more: Any) -> bytes:
        return _event(self._chunk({"index": 0, "delta": delta, "finish_reason": finish_reason}, **more))

    def _chunk(self, choice: Json, **more: Any) -> str:
        usage = {"usage": None} if self._include_usage else {}
        return _json({**self._envelope, "choices": [choice], **usage, **more})


def whole(
    *, completion_id: str, created: int, model: str, end: GenerationEnd, raws: Sequence[Json], said: End | None
) -> dict[str, Any]:
    """The body of an answer that is not streamed. `raws`: the choices that held more than text."""
    beside = _beside(raws)
    message = {"role": "assistant", "content": _content(end.content, beside), "refusal": None, **beside}
    choice: dict[str, Any] = {"index": 0, "message": message, "logprobs": None}
    for raw in raws:
        if "message" in raw:
            choice |= raw
    choice["finish_reason"] = finish_reason(end)
    return {
        "id": completion_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice],
        "usage": usage_of(end.metrics, said),
        "system_fingerprint": (said or _NO_END).system_fingerprint,
    }


def _beside(raws: Iterable[Json]) -> dict[str, Any]:
    """What came in pieces beside the text, such as reasoning and calls of tools."""
    deltas = (delta for raw in raws if isinstance(delta := raw.get("delta"), Mapping))
    return {name: said for name, said in joined(deltas).items() if name not in ("content", "role")}


def _content(text: str, beside: Json) -> str | None:
    """What is content of all that was read as text: a refusal is none. Null, as OpenAI has it, beside what is said
    instead of it.
    """
    refusal = beside.get("refusal") or ""
    if isinstance(refusal, str):
        text = text.removesuffix(refusal)
    instead = any(beside.get(name) for name in ("refusal", "tool_calls", "function_call"))
    return None if instead and not text else text


def finish_reason(end: GenerationEnd) -> str:
    return end.metrics.finish_reason or "stop"


def usage_of(metrics: AnswerMetrics, said: End | None) -> dict[str, Any] | None:
    """The server's own account where it gave one, else our count, marked; None when nobody counted."""
    if said is not None and said.raw_usage is not None and said.usage is not None:
        return _counts(said.raw_usage)
    if metrics.prompt_tokens is None or metrics.completion_tokens is None:
        return None
    total = metrics.prompt_tokens + metrics.completion_tokens
    counts: dict[str, Any] = {
        "prompt_tokens": metrics.prompt_tokens,
        "completion_tokens": metrics.completion_tokens,
        "total_tokens": total,
    }
    return counts | ({"estimated": True} if metrics.tokens_estimated else {})


def _counts(usage: Json) -> dict[str, Any]:
    """The numbers of an account, whatever else a server writes into it."""
    kept = {name: _counts(value) if isinstance(value, Mapping) else value for name, value in usage.items()}
    return {name: value for name, value in kept.items() if value is None or isinstance(value, (int, float, dict))}


def _fingerprint(said: End | None) -> dict[str, str]:
    fingerprint = (said or _NO_END).system_fingerprint
    return {} if fingerprint is None else {"system_fingerprint": fingerprint}


def _as_delta(raw: Json, text: str) -> dict[str, Any]:
    """A choice as a stream has it; a server that would not stream has sent a whole message instead.

    Clients join texts by their names: the role was said first and is not said again, and `text` is sent for parts
    that hold it.
    """
    said = raw.get("delta") or raw.get("message")
    delta = {name: value for name, value in said.items() if name != "role"} if isinstance(said, Mapping) else {}
    if text and isinstance(delta.get("content"), list):
        delta["content"] = text
    if "delta" not in raw and isinstance(delta.get("tool_calls"), list):
        delta["tool_calls"] = [{"index": place, **call} for place, call in enumerate(delta["tool_calls"])]
    rest = {name: value for name, value in raw.items() if name not in ("delta", "message")}
    return {**rest, "index": 0, "delta": delta, "finish_reason": None}


def _json(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))


def _event(data: str) -> bytes:
    return b"data: " + data.encode() + b"\n\n"
