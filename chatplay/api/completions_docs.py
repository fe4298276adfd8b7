"""What the document of the API says of the OpenAI-compatible routes: bodies with examples, and their failures."""

from __future__ import annotations

from typing import Any

from chatplay import params as parameters
from chatplay.api.completions_request import RELAYED, UNSUPPORTED

_EXAMPLE = {
    "model": "echo",
    "messages": [{"role": "user", "content": "Hello"}],
    "max_completion_tokens": 100,
    "temperature": 0.2,
}
_LONGER = {"description": "As OpenAI defines it; sent on to the model's server as it is."}
_FLAG = {"type": ["boolean", "null"]}
_TEXT: dict[str, Any] = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
}
_PART = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"type": "string", "not": {"const": "text"}}},
    "description": "Any other part as OpenAI defines it: pictures, files. Sent on as it is.",
}
_CONTENT: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [_TEXT, _PART]}}]}


def _message(roles: list[str], required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["role", *required],
        "properties": {"role": {"type": "string", "enum": roles}, "content": _CONTENT, **properties},
    }


_MESSAGE = {
    "anyOf": [
        _message(["system", "developer", "user", "function"], ["content"]),
        _message(["tool"], ["content", "tool_call_id"], tool_call_id={"type": "string"}),
        _message(["assistant"], [], content={"anyOf": [*_CONTENT["anyOf"], {"type": "null"}]}),
    ]
}


def _body() -> dict[str, Any]:
    schema = parameters.json_schema(parameters.program_ranges())["properties"]
    sampling = {name: {**row, "default": None} for name, row in schema.items() if name != "system_prompt"}
    sampling["stop"] = {"anyOf": [{"type": "string"}, sampling["stop"], {"type": "null"}]}
    return {
        "type": "object",
        "required": ["model", "messages"],
        "additionalProperties": False,
        "properties": {
            "model": {"type": "string", "minLength": 1, "description": "An id of GET /v1/models."},
            "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
            "stream": {**_FLAG, "default": False},
            "stream_options": {
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": {"include_usage": _FLAG, "include_obfuscation": _FLAG},
                "description": "Only with `stream`.",
            },
            "n": {"type": ["integer", "null"], "enum": [1, None]},
            **sampling,
            "max_completion_tokens": sampling["max_tokens"],
            **dict.fromkeys(RELAYED, _LONGER),
            "modalities": {"enum": [["text"], None]},
            **{name: {"enum": [None, False], "description": cure} for name, cure in UNSUPPORTED.items()},
        },
    }


REQUEST: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _body(), "example": _EXAMPLE}}}
}
_COUNTS = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
_ANSWER = {
    "id": "chatcmpl-0b6c8f3a4f4e4f0e9d3f1c2b7a5d8e90",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "echo",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "You said: Hello", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": _COUNTS,
    "system_fingerprint": None,
}
_STREAM = (
    'data: {"id": "chatcmpl-0b6c", "object": "chat.completion.chunk", "created": 1790000000, "model": "echo", '
    '"choices": [{"index": 0, "delta": {"content": "You"}, "finish_reason": null}]}\n\ndata: [DONE]\n\n'
)
_ONE_MODEL = {"id": "echo", "object": "model", "created": 0, "owned_by": "echo"}
_FAULT = {
    "description": "OpenAI's error object; `code` is what programs look at.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {
                    "error": {
                        "type": "object",
                        "required": ["message", "type", "param"],
                        "properties": {
                            "message": {"type": "string"},
                            "type": {"type": "string"},
                            "param": {"type": ["string", "null"]},
                            "code": {"type": ["string", "null"]},
                            "request_id": {"type": "string"},
                        },
                    }
                },
            }
        }
    },
}


def _answered(example: Any, **more: Any) -> dict[str, Any]:
    shown = {"schema": {"type": "object"}, "example": example}
    return {"description": "As OpenAI answers.", "content": {"application/json": shown, **more}}


def _responses(success: dict[str, Any], *codes: int) -> dict[int | str, dict[str, Any]]:
    return {200: success, **dict.fromkeys((401, 403, 429, 503, *codes), _FAULT)}


MODEL_LIST = _responses(_answered({"object": "list", "data": [_ONE_MODEL]}))
MODEL = _responses(_answered(_ONE_MODEL), 404)
COMPLETION = _responses(
    _answered(_ANSWER, **{"text/event-stream": {"schema": {"type": "string"}, "example": _STREAM}}),
    400,
    404,
    500,
    502,
    504,
)
