"""Failures of the OpenAI-compatible endpoint in OpenAI's own shape, words and status codes, so that clients written
for OpenAI do the right thing: correct the request, wait and try again, or give up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatplay.errors import (
    BadInput,
    ChatplayError,
    ContextOverflow,
    ModelUnknown,
    NotAllowed,
    NotFound,
    NotSignedIn,
    ParameterRefused,
    ProviderAuthFailed,
    ProviderBadAnswer,
    ProviderError,
    ProviderSilent,
    ProviderUnreachable,
    QuotaSpent,
    RateLimited,
    RequestBroken,
    StoreError,
    StreamCut,
    StreamingUnsupported,
    TooManyRequests,
)

_REQUEST, _SERVER, _LIMIT = "invalid_request_error", "server_error", "rate_limit_error"
_BAD_REQUESTS = (400, 413, 422)  # of the model's server: the program's own body was wrong
_ADDRESS = re.compile("/v1/(chat/completions/?|models(/.*)?)", re.DOTALL)
_OWN_ADDRESS = re.compile("/v1/models/(running|.+/constraints)", re.DOTALL)  # ours among them
_TRANSIENT = (408, 409, 425)  # below 500, and yet another try may help


@dataclass(frozen=True)
class Fault:
    """What a client is told. `retry` None leaves it to the status whether the official client tries again."""

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None
    retry_after_sec: float | None = None
    retry: bool | None = None

    def body(self, request_id: str | None = None) -> dict[str, Any]:
        """The JSON object under which OpenAI's clients find it."""
        said = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": said | ({"request_id": request_id} if request_id else {})}

    @property
    def headers(self) -> dict[str, str]:
        found = {}
        if self.retry_after_sec is not None:
            found["retry-after"] = str(max(1, -int(-self.retry_after_sec // 1)))
        if self.retry is not None:
            found["x-should-retry"] = str(self.retry).lower()
        return found


@dataclass(frozen=True)
class _Row:
    status: int
    type: str
    code: str | None = None
    retry: bool | None = None


# The first class that fits. What a server refused for our key or address is not for the client to try again.
_ROWS: Mapping[type[ChatplayError], _Row] = {
    NotSignedIn: _Row(401, _REQUEST, "invalid_api_key"),
    NotAllowed: _Row(403, _REQUEST, "insufficient_permissions"),
    NotFound: _Row(404, _REQUEST, "model_not_found"),
    TooManyRequests: _Row(429, _LIMIT, "rate_limit_exceeded"),
    ContextOverflow: _Row(400, _REQUEST, "context_length_exceeded"),
    ModelUnknown: _Row(404, _REQUEST, "model_not_found"),
    QuotaSpent: _Row(429, "insufficient_quota", "insufficient_quota", retry=False),
    RateLimited: _Row(429, _LIMIT, "rate_limit_exceeded"),
    ParameterRefused: _Row(400, _REQUEST, "unsupported_value"),
    StreamingUnsupported: _Row(400, _REQUEST, "unsupported_value"),
    ProviderAuthFailed: _Row(502, _SERVER, "upstream_auth_failed", retry=False),
    ProviderSilent: _Row(504, _SERVER, "upstream_timeout"),
    ProviderUnreachable: _Row(502, _SERVER, "upstream_unreachable"),
    StreamCut: _Row(502, _SERVER, "upstream_stream_cut"),
    ProviderBadAnswer: _Row(502, _SERVER, "upstream_bad_answer"),
    RequestBroken: _Row(500, _SERVER, "internal_error", retry=False),
    ProviderError: _Row(502, _SERVER, "upstream_error"),
    StoreError: _Row(503, _SERVER, "service_unavailable"),
}
SERVER_HAD_AN_ERROR = Fault(
    500, _SERVER, "The server had an error while processing your request. Try again.", "internal_error"
)
INTERRUPTED = Fault(503, _SERVER, "The app was ended while this answer was coming. Try again.", "service_unavailable")


def fault_of(error: ChatplayError) -> Fault:
    """What OpenAI's clients understand best of one of our errors."""
    if isinstance(error, BadInput):
        code = "invalid_value" if error.code == BadInput.code else error.code
        return Fault(400, _REQUEST, str(error), code, error.param)
    row = next((row for kind, row in _ROWS.items() if isinstance(error, kind)), None)
    if row is None:
        return SERVER_HAD_AN_ERROR
    wait_sec = getattr(error, "retry_after_sec", None)
    param = error.param if isinstance(error, ProviderError) else None
    if isinstance(error, ContextOverflow):
        return Fault(row.status, row.type, _overflow_words(error), row.code, "messages")
    if isinstance(error, (ModelUnknown, NotFound)):
        return Fault(row.status, row.type, str(error), row.code, "model")
    if isinstance(error, ProviderUnreachable) and wait_sec is not None:  # its breaker is open
        return Fault(503, row.type, str(error), "upstream_unavailable", None, wait_sec)
    if isinstance(error, ProviderBadAnswer) and error.status in _BAD_REQUESTS:
        return Fault(400, _REQUEST, str(error.message), "invalid_value", param)
    retry = False if _is_lasting(error) else row.retry
    return Fault(row.status, row.type, str(error), row.code, param, wait_sec, retry)


def _is_lasting(error: ChatplayError) -> bool:
    """Whether it stays until an administrator mends it: a web page, a redirect, nothing at the address."""
    status = error.status if isinstance(error, ProviderBadAnswer) else None
    return status is not None and status < 500 and status not in _TRANSIENT


def speaks_openai(path: str) -> bool:
    """Whether OpenAI's clients ask at this address, by whatever method."""
    return _ADDRESS.fullmatch(path) is not None and _OWN_ADDRESS.fullmatch(path) is None


def fault_of_detail(detail: Mapping[str, Any], status: int) -> Fault:
    """The same for what went wrong before or beside the route, as `chatplay.api.errors` words it."""
    words = f"{detail['message']} {detail.get('cure', '')}".strip()
    return Fault(status, _REQUEST if status < 500 else _SERVER, words, detail["type"], detail.get("param"))


def _overflow_words(error: ContextOverflow) -> str:
    """OpenAI's sentence first: some programs look for it."""
    return (
        f"This model's maximum context length is exceeded. {error.message} "
        "Please reduce the length of the messages or completion."
    )


def no_such_model(model: str) -> NotFound:
    """The same for a model that is not there and for one that is not open to this person."""
    shown = model if len(model) <= 80 else f"{model[:80]}..."
    return NotFound(
        f"The model `{ascii(shown)[1:-1]}` does not exist or you do not have access to it.",
        cure="GET /v1/models lists those you may use.",
    )
