"""Short questions to servers from the terminal: plain HTTP, a few seconds at most, never an exception."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

from chatplay.settings import Settings

_LIMIT_SEC = 5.0
OPENAI = "https://api.openai.com/v1"


@dataclass(frozen=True)
class Answer:
    """`status` None: no answer, and `problem` says why."""

    status: int | None
    problem: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class ModelServer:
    """What the OpenAI-compatible server said; `models` None when it listed none."""

    ok: bool
    text: str
    models: tuple[str, ...] | None = None


def get(url: str, headers: Mapping[str, str] | None = None) -> Answer:
    """One GET. Every failure comes back as an Answer."""
    try:
        request = urllib.request.Request(url, headers=dict(headers or {}))
        with urllib.request.urlopen(request, timeout=_LIMIT_SEC) as answer:
            return Answer(answer.status, headers=dict(answer.headers), body=answer.read(1_000_000))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, problem=f"HTTP {error.code}", headers=dict(error.headers))
    except (OSError, ValueError) as error:
        return Answer(None, problem=str(getattr(error, "reason", error)))


def ask_model_server(settings: Settings) -> ModelServer:
    """GET /models with the key of the settings."""
    base = settings.openai_base_url or OPENAI
    key = settings.openai_api_key
    answer = get(f"{base}/models", {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {})
    if answer.status in (401, 403):
        return ModelServer(False, f"{base} refuses the key (HTTP {answer.status}). Correct OPENAI_API_KEY.")
    if answer.status != 200:
        return ModelServer(False, f"{base} does not list its models ({answer.problem}). Check OPENAI_BASE_URL.")
    models = _names(answer.body)
    if models is None:
        return ModelServer(False, f"{base} answers, but not as an OpenAI-compatible server. Check OPENAI_BASE_URL.")
    return ModelServer(True, f"{base} answers with {len(models)} models", models)


def _names(body: bytes) -> tuple[str, ...] | None:
    try:
        return tuple(str(model["id"]) for model in json.loads(body)["data"])
    except (ValueError, KeyError, TypeError):
        return None
