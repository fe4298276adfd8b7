"""One example of each JSON answer, by the name of its route; a test holds each to the shape that is promised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MODEL = {
    "served_model_name": "Qwen-2-7B-Instruct",
    "engine_type": "vllm",
    "task": "generate",
    "context_size": None,
    "max_model_len": 32768,
    "max_tokens_default": 512,
    "request_defaults": None,
    "supports_streaming": True,
    "supports_system_prompt": True,
}
_CHAT_ID = "4c95fdd2-3863-45fd-8df9-c6f18198606f"
_GENERATION_ID = "f65a400c-c695-4456-93c7-69fde32096a5"
_AT, _LATER = "2026-11-27T09:02:54.148677Z", "2026-11-27T09:02:56.309764Z"
_PARAMS: dict[str, Any] = {
    "temperature": 0.2,
    "max_tokens": 512,
    "top_p": 1.0,
    "seed": None,
    "stop": [],
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "system_prompt": "",
}
_SESSION = {
    "id": _CHAT_ID,
    "title": "What is Python?",
    "model_name": "Qwen-2-7B-Instruct",
    "upstream": "gpu-box",
    "engine_type": "vllm",
    "params": _PARAMS,
    "locked_at": _AT,
    "ended_at": None,
    "created_at": _AT,
    "updated_at": _LATER,
}
_EMPTY_SESSION = _SESSION | {"title": "", "locked_at": None, "updated_at": _AT}
_PROMPT = {
    "id": 1,
    "session_id": _CHAT_ID,
    "parent_id": None,
    "role": "user",
    "content": "What is Python?",
    "status": "complete",
    "metrics": None,
    "generation_id": None,
    "variant": 1,
    "variants": 1,
    "created_at": _AT,
}
_REPLY = _PROMPT | {
    "id": 2,
    "parent_id": 1,
    "role": "assistant",
    "content": "Python is a high-level programming language.",
    "metrics": {"provider": "gpu-box", "model": "Qwen-2-7B-Instruct", "ttft_ms": 145.2, "tokens_per_second": 32.5},
    "generation_id": _GENERATION_ID,
}
_USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 9,
    "reasoning_tokens": None,
    "total_tokens": 21,
    "estimated": False,
    "cost_usd": 0.0000084,
}
_TIMINGS = {
    "ttft_ms": 145.2,
    "duration_ms": 391.4,
    "itl_p50_ms": 30.1,
    "itl_p95_ms": 34.8,
    "tokens_per_second": 32.5,
    "end_to_end_tokens_per_second": 23.0,
    "reasoning_ms": None,
}
_ANSWER = {
    "id": 2,
    "session_id": _CHAT_ID,
    "user_message_id": 1,
    "generation_id": _GENERATION_ID,
    "role": "assistant",
    "content": "Python is a high-level programming language.",
    "status": "complete",
    "finish_reason": "stop",
    "provider_used": "gpu-box",
    "model_used": "Qwen-2-7B-Instruct",
    "fallback": False,
    "fallback_reason": None,
    "usage": _USAGE,
    "timings": _TIMINGS,
    "created_at": _AT,
}
_EXPERIMENT_ID = "0b6c8f3a-4f4e-4f0e-9d3f-1c2b7a5d8e90"
_PROGRESS = {
    "waiting": 5,
    "running": 1,
    "done": 2,
    "failed": 0,
    "cancelled": 0,
    "judgements_left": 0,
    "judgements_done": 0,
    "calls": 3,
    "retries": 0,
    "cost_usd": 0.0000168,
    "unknown_costs": 0,
    "trials_per_sec": 1.5,
    "left_sec": 4.0,
}
_ARM = {
    "number": 0,
    "label": "temperature 0",
    "model": "Qwen-2-7B-Instruct",
    "upstream": "gpu-box",
    "params": _PARAMS | {"temperature": 0.0},
    "trials": 4,
    "done": 2,
    "failed": 0,
    "score": 1.0,
    "passed": 1.0,
    "ttft_ms": 145.2,
    "tokens_per_second": 32.5,
    "duration_ms": 391.4,
    "completion_tokens": 9.0,
    "cost_usd": 0.0000084,
}
_RUNNING = {
    "id": _EXPERIMENT_ID,
    "name": "Greetings",
    "state": "running",
    "paused_because": None,
    "cases": 2,
    "case_columns": ["word", "expected"],
    "created_at": _AT,
    "started_at": _LATER,
    "ended_at": None,
    "revision": 1,
    "progress": _PROGRESS,
    "arms": [_ARM],
}
_NOT_BEGUN = dict.fromkeys(_PROGRESS, 0) | {"cost_usd": 0.0, "trials_per_sec": None, "left_sec": None}
_UNSTARTED: dict[str, Any] = {"state": "draft", "started_at": None, "revision": 0, "arms": []}
_DRAFT = _RUNNING | _UNSTARTED | {"progress": _NOT_BEGUN}
_PLANNED = {
    "trials": 8,
    "cost_usd": {"value": 0.00007, "low": 0.00006, "high": 0.00009},
    "most_cost_usd": 0.0006,
    "duration_sec": {"value": 5.2, "low": 4.1, "high": 7.0},
    "problems": [],
    "warnings": [],
}
_TRIAL = {
    "id": 71,
    "arm": 0,
    "case": 1,
    "repeat": 0,
    "state": "done",
    "attempts": 1,
    "values": {"word": "hello", "expected": "hello"},
    "answer": "Hello",
    "finish_reason": "stop",
    "error": None,
    "score": 1.0,
    "passed": True,
    "rule_scores": [{"score": 1.0, "passed": True, "reason": "It contains `hello`."}],
    "hand_scores": [],
    "judge_scores": [],
    "usage": _USAGE,
    "timings": _TIMINGS,
    "generation_id": _GENERATION_ID,
}
_SERVER = {
    "name": "gpu-box",
    "source": "file",
    "engine_type": "vllm",
    "standing": "healthy",
    "breaker": "closed",
    "models": ["Qwen-2-7B-Instruct"],
    "checked_at": _LATER,
    "healthy_at": _LATER,
    "latency_ms": 3.1,
    "problem": None,
    "cure": None,
}
_USED = {
    "key": "gpu-box/Qwen-2-7B-Instruct",
    "label": "Qwen-2-7B-Instruct",
    "calls": 612,
    "failed": 13,
    "fallbacks": 2,
    "prompt_tokens": 120_340,
    "completion_tokens": 98_021,
    "cached_tokens": 0,
    "tokens_estimated": 0,
    "tokens_unknown": 13,
    "cost_usd": 0.0123,
    "cost_unknown": 13,
    "ttft_p50_ms": 145.0,
    "ttft_p95_ms": 410.0,
    "tokens_per_second_p50": 32.5,
    "chats": 87,
}

EXAMPLES: Mapping[str, Any] = {
    "list_running_models": {
        "data": [_MODEL | {"upstream": "gpu-box", "is_default": True}],
        "message": "1 model runs.",
        "cure": "",
    },
    "get_model_constraints": _MODEL,
    "list_sessions": {
        "data": [
            {name: value for name, value in _SESSION.items() if name not in ("params", "locked_at", "ended_at")}
            | {"message_count": 2, "streaming": False}
        ],
        "next_cursor": "MjAyNi0xMS0yN1QwOTowMjo1Ni4zMDk3NjQrMDA6MDAgNGM5NWZkZDI=",
    },
    "create_session": _EMPTY_SESSION,
    "get_session": _SESSION | {"messages": [_PROMPT, _REPLY], "next_before": None},
    "add_message": _PROMPT,
    "delete_sessions": {"deleted_count": 12},
    "generate": _ANSWER,
    "stop_generation": {"status": "stopping"},
    "list_experiments": {
        "data": [
            {
                "id": _EXPERIMENT_ID,
                "name": "Greetings",
                "state": "running",
                "arms": 2,
                "cases": 2,
                "trials": 8,
                "ended": 2,
                "created_at": _AT,
                "updated_at": _LATER,
            }
        ],
        "next_cursor": None,
    },
    "get_experiment": _RUNNING,
    "list_trials": {"data": [_TRIAL], "next_cursor": "MSAwIDA="},
    "create_experiment": _DRAFT | {"planned": _PLANNED},
    "start_experiment": _RUNNING | {"progress": _NOT_BEGUN | {"waiting": 8}},
    "pause_experiment": _RUNNING | {"state": "paused"},
    "resume_experiment": _RUNNING,
    "cancel_experiment": _RUNNING | {"state": "cancelled", "ended_at": _LATER},
    "extend_experiment": _RUNNING | {"revision": 2, "new_trials": 4},
    "report_usage": {"by": "model", "start": "2026-10-28T09:02:56Z", "end": "2026-11-27T09:02:56Z", "data": [_USED]},
    "refresh_health": {"message": "1 model runs.", "cure": "", "polled_at": _LATER, "upstreams": [_SERVER]},
}
STARTED = {
    "id": 2,
    "session_id": _CHAT_ID,
    "user_message_id": 1,
    "generation_id": _GENERATION_ID,
    "status": "streaming",
    "events_url": f"/v1/chat/generations/{_GENERATION_ID}/events",
}
_FAILED = {
    "error": {
        "type": "bad_input",
        "message": "Temperature is 9, outside 0 to 1.",
        "param": "temperature",
        "request_id": "8d2e50063db543b38489808e9e8ff603",
        "cure": "Choose a value from 0 to 1.",
    }
}


def add_examples(document: dict[str, Any]) -> dict[str, Any]:
    """Puts them into an OpenAPI document, beside those its routes bring themselves."""
    for item in document["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                shown = response.get("content", {}).get("application/json")
                if shown is not None and (example := _example(operation["operationId"], status)) is not None:
                    shown.setdefault("example", example)
    document["components"]["schemas"]["ErrorBody"].setdefault("example", _FAILED)
    return document


def _example(route: str, status: str) -> Any:
    if status == "202" and route == "generate":
        return STARTED
    return EXAMPLES.get(route) if status.startswith("2") else None
