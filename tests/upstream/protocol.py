"""The JSON and the events of the OpenAI protocol."""

from __future__ import annotations

import json
from typing import Any

MODEL = "mock-model"


def event(payload: Any) -> bytes:
    """One server-sent event; non-ASCII text goes as UTF-8 bytes so that chunk cuts can split characters."""
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"


def delta(text: str = "", *, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chat.completion.chunk with `text`; `more` goes into the delta (reasoning_content, role)."""
    content = {"content": text} if text else {}
    return _chunk(choices=[{"index": 0, "delta": content | more, "finish_reason": finish}])


def usage_chunk(prompt: int, completion: int) -> dict[str, Any]:
    return _chunk(choices=[], usage=usage(prompt, completion))


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _chunk(**fields: Any) -> dict[str, Any]:
    base = {"id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return base | {"system_fingerprint": "fp_mock"} | fields


def whole(text: str, *, finish: str = "stop", completion_tokens: int = 1) -> dict[str, Any]:
    """A chat.completion, the answer to a request without streaming."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return _chunk(object="chat.completion", choices=[choice], usage=usage(3, completion_tokens))


DONE = b"data: [DONE]\n\n"
