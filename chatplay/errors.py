"""Every failure the playground knows, as one tree; each message says what to do next.

    ChatplayError
    ├── ConfigError                the environment or .env holds a value we cannot run with
    ├── BadInput                   what the person or client sent cannot be used (names the field)
    │   └── ContextFull            prompt and max tokens do not fit the window; the model was not asked
    ├── NotSignedIn                no valid session: sign in and come back
    │   └── SignInRefused          wrong name or password, or too many attempts
    ├── NotAllowed                 signed in, but the role does not permit it
    │   └── BudgetSpent            the month's budget is used up; the model was not asked
    ├── NotFound                   missing, or not yours: the two are never told apart
    │   └── ChatGone               the chat itself: what was typed for it belongs elsewhere now
    ├── Conflict                   true a moment ago, not now (another tab, a second click)
    │   ├── ModelLocked            the chat has a first message, its model stays
    │   ├── PlanChanged            the plan was saved elsewhere since this copy of it was read
    │   └── GenerationRunning      an answer is still coming in this chat
    ├── TooManyRequests            this person or address asks faster than the settings allow
    │   └── TooManyConnections     this person holds more streams and sockets open than the settings allow
    ├── StoreError                 PostgreSQL refused or failed the work
    │   ├── StoreUnavailable       it cannot be reached
    │   ├── StoreFull              its disk is full
    │   └── StoreConflict          two works met, and it undid this one for the other
    └── ProviderError              the model's server failed; carries provider, model, status
        ├── ProviderAuthFailed     401/403: key missing, wrong or without access
        ├── ModelUnknown           404 for this model
        ├── RateLimited            429; retry_after_sec when the server names a wait
        │   └── QuotaSpent         its account has no credit left: waiting does not help
        ├── ContextOverflow        prompt and max tokens do not fit the context window
        ├── ParameterRefused       400 naming a parameter
        ├── StreamingUnsupported   the server cannot stream this model
        ├── ProviderUnreachable    refused connection, DNS, TLS
        ├── ProviderSilent         no bytes for longer than the limit
        ├── StreamCut              the stream broke off after it had begun
        ├── ProviderBadAnswer      5xx, or an answer that is not the protocol
        └── RequestBroken          our own defect: the request failed on this side

Foreign exceptions are translated at two edges only: `chatplay.store` (SQLAlchemy, psycopg) and
`chatplay.providers` (the SDK). Pages and routes translate this tree into text and status codes.
"""

from __future__ import annotations


class ChatplayError(Exception):
    """Root of the tree.

    `message` says what happened in plain words; `cure` says what to do about it. Both are safe to
    show: they never hold a key, a path or a traceback. `code` is the stable name for programs.
    """

    code = "error"

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()


class ConfigError(ChatplayError):
    code = "config_error"


class BadInput(ChatplayError):
    code = "bad_input"

    def __init__(self, message: str, *, param: str, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.param = param


class ContextFull(BadInput):
    code = "context_full"


class NotSignedIn(ChatplayError):
    code = "not_signed_in"


class SignInRefused(NotSignedIn):
    code = "sign_in_refused"

    def __init__(self, message: str, *, cure: str = "", retry_after_sec: float | None = None) -> None:
        super().__init__(message, cure=cure)
        self.retry_after_sec = retry_after_sec


class NotAllowed(ChatplayError):
    code = "not_allowed"


class BudgetSpent(NotAllowed):
    code = "budget_spent"


class NotFound(ChatplayError):
    code = "not_found"


class ChatGone(NotFound):
    pass


class Conflict(ChatplayError):
    code = "conflict"


class ModelLocked(Conflict):
    code = "model_locked"


class PlanChanged(Conflict):
    code = "plan_changed"


class GenerationRunning(Conflict):
    code = "generation_running"


class TooManyRequests(ChatplayError):
    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_sec: float, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.retry_after_sec = retry_after_sec


class TooManyConnections(TooManyRequests):
    code = "too_many_connections"


class StoreError(ChatplayError):
    code = "store_error"


class StoreUnavailable(StoreError):
    code = "store_unavailable"


class StoreFull(StoreError):
    code = "store_full"


class StoreConflict(StoreError):
    code = "store_conflict"


class ProviderError(ChatplayError):
    """A failed model call. `status` is the HTTP status, None when there was none."""

    code = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        model: str,
        cure: str = "",
        status: int | None = None,
        retry_after_sec: float | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, cure=cure)
        self.provider = provider
        self.model = model
        self.status = status
        self.retry_after_sec = retry_after_sec
        self.param = param


class ProviderAuthFailed(ProviderError):
    code = "provider_auth_failed"


class ModelUnknown(ProviderError):
    code = "model_unknown"


class RateLimited(ProviderError):
    code = "rate_limited"


class QuotaSpent(RateLimited):
    code = "quota_spent"


class ContextOverflow(ProviderError):
    code = "context_overflow"


class ParameterRefused(ProviderError):
    code = "parameter_refused"


class StreamingUnsupported(ProviderError):
    code = "streaming_unsupported"


class ProviderUnreachable(ProviderError):
    code = "provider_unreachable"


class ProviderSilent(ProviderError):
    code = "provider_silent"


class StreamCut(ProviderError):
    code = "stream_cut"


class ProviderBadAnswer(ProviderError):
    code = "provider_bad_answer"


class RequestBroken(ProviderError):
    code = "request_broken"
