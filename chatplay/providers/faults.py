"""Every foreign failure of a model call becomes one ProviderError here: plain words, a cure, and no key.

`Caller` names who was asked. `from_sdk` takes the SDK's exceptions, `from_answer` an error object a server
sent (as a response or inside a stream), and the small functions below say the rest.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx2
import openai

from chatplay.errors import (
    ContextOverflow,
    ModelUnknown,
    ParameterRefused,
    ProviderAuthFailed,
    ProviderBadAnswer,
    ProviderError,
    ProviderSilent,
    ProviderUnreachable,
    QuotaSpent,
    RateLimited,
    RequestBroken,
    StreamCut,
    StreamingUnsupported,
)
from chatplay.providers.bounds import MOST_BYTES, TooLarge
from chatplay.providers.masking import excerpt
from chatplay.providers.refusals import (
    Refusal,
    is_overflow,
    names_missing_model,
    parameter_named,
    read_refusal,
    says_no_streaming,
    wait_sec,
)
from chatplay.providers.safety import AddressRefused
from chatplay.waits import wait_text

_log = logging.getLogger(__name__)
_UNREADABLE = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)
_CONNECTION = (openai.APIConnectionError, httpx2.HTTPError, httpx2.InvalidURL, aiohttp.ClientError, OSError)


@dataclass(frozen=True)
class Caller:
    """Who was asked for what: by name, addresses are for administrators. `secrets` are never to be shown."""

    provider: str
    model: str
    secrets: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.provider


def from_sdk(error: Exception, caller: Caller) -> ProviderError:
    """The ProviderError for what the SDK raised before the answer began."""
    if isinstance(error, openai.APIStatusError):
        headers = error.response.headers
        return from_answer(read_refusal(error.body, error.status_code), caller, headers=headers)
    causes = tuple(_causes(error))
    if any(isinstance(cause, TooLarge) for cause in causes):
        return not_the_protocol(caller, f"more than {MOST_BYTES // 1024**2} MB")
    if isinstance(error, _CONNECTION):
        return unreachable(caller, causes)
    if isinstance(error, _UNREADABLE):
        return not_the_protocol(caller, "data that is not JSON")
    return _broken(error, caller)


def from_answer(
    refusal: Refusal, caller: Caller, *, headers: Mapping[str, str] | None = None, begun: bool = False
) -> ProviderError:
    """The ProviderError for a refusal; `begun` when text had arrived already."""
    status, said = refusal.status, excerpt(refusal.message, caller.secrets)
    wait = wait_sec(headers or {}, refusal.message)
    where: dict[str, Any] = {"provider": caller.provider, "model": caller.model, "status": status}
    if status in (401, 403) or refusal.code in ("invalid_api_key", "authentication_error"):
        return _auth(refusal, caller, where)
    if is_overflow(refusal):
        return ContextOverflow(
            f"The conversation and the answer's max tokens do not fit the context window of `{caller.model}` "
            f"at {caller}.{said}",
            cure="Shorten the message, lower max tokens, or start a new chat.",
            **where,
        )
    if status == 429 or refusal.code in ("rate_limit_exceeded", "insufficient_quota"):
        return _limited(refusal, caller, where, wait)
    if status is not None and 300 <= status < 400:
        return _redirect(caller, where)
    if status == 404 or names_missing_model(refusal):
        return _missing(refusal, caller, where, said)
    if status is None or 400 <= status < 500:
        found = _refused(refusal, caller, where, said)
        if found is not None:
            return found
    if begun:
        return cut(caller, status=status, said=said)
    return ProviderBadAnswer(
        f"{caller} failed to answer with `{caller.model}`{_http(status)}.{said}",
        cure=f"Try again in {wait_text(wait)}." if wait else "Try again; if it stays, look at that server's log.",
        retry_after_sec=wait,
        param=refusal.param,
        **where,
    )


def _auth(refusal: Refusal, caller: Caller, where: dict[str, Any]) -> ProviderError:
    if refusal.status == 403:
        return ProviderAuthFailed(
            f"{caller} does not let this key use `{caller.model}` (HTTP 403).",
            cure="Choose another model, or have an administrator give the key access.",
            **where,
        )
    return ProviderAuthFailed(
        f"{caller} refused the API key for `{caller.model}`{_http(refusal.status)}.",
        cure="An administrator needs to set a valid key for it.",
        **where,
    )


def _limited(refusal: Refusal, caller: Caller, where: dict[str, Any], wait: float | None) -> ProviderError:
    if "insufficient_quota" in refusal.words:
        return QuotaSpent(
            f"The account at {caller} has no credit left for `{caller.model}`.",
            cure="An administrator needs to check its plan and billing; another model may work.",
            **where,
        )
    cure = f"Try again in {wait_text(wait)}." if wait is not None else "Wait a little and try again."
    return RateLimited(
        f"{caller} takes no more requests for `{caller.model}` at the moment (rate limit).",
        cure=cure,
        retry_after_sec=wait,
        **where,
    )


def _redirect(caller: Caller, where: dict[str, Any]) -> ProviderError:
    return ProviderBadAnswer(
        f"{caller} answered with a redirect, which is not followed so that the key stays with the server it is for.",
        cure="An administrator needs to set the base URL to the final address.",
        **where,
    )


def _missing(refusal: Refusal, caller: Caller, where: dict[str, Any], said: str) -> ProviderError:
    if names_missing_model(refusal) or caller.model in refusal.message:
        return ModelUnknown(
            f"{caller} has no model called `{caller.model}`.",
            cure="Choose another model, or have it loaded there.",
            **where,
        )
    return ProviderBadAnswer(
        f"{caller} has no chat completions at its address (HTTP 404), so `{caller.model}` cannot be asked.{said}",
        cure="An administrator needs to check the base URL; it usually ends in /v1.",
        **where,
    )


def _refused(refusal: Refusal, caller: Caller, where: dict[str, Any], said: str) -> ProviderError | None:
    if refusal.param == "stream" or says_no_streaming(refusal):
        return StreamingUnsupported(
            f"{caller} cannot stream `{caller.model}`.", cure="Ask for the whole answer at once.", **where
        )
    named = parameter_named(refusal)
    if named is None:
        return None
    return ParameterRefused(
        f"{caller} does not accept this value of `{named}` for `{caller.model}`{_http(refusal.status)}.{said}",
        cure=f"Change `{named}` and send again.",
        param=named,
        **where,
    )


def _broken(error: Exception, caller: Caller) -> ProviderError:
    """What neither the server nor the way to it has done."""
    _log.error("a request to %s", caller, exc_info=error)
    return RequestBroken(
        f"The request for `{caller.model}` failed here, not at {caller}.",
        cure="An administrator finds the details in `make logs`.",
        provider=caller.provider,
        model=caller.model,
    )


def unreachable(caller: Caller, causes: tuple[BaseException, ...] = ()) -> ProviderError:
    """No answer could begin: the words follow the deepest cause."""
    return ProviderUnreachable(
        f"{caller} cannot be reached for `{caller.model}`: {_why(causes)}.",
        cure="Check that the server runs and that its address is right, then try again.",
        provider=caller.provider,
        model=caller.model,
    )


def why_unreachable(error: ProviderError) -> str:
    """The reason alone, for a sentence "it cannot be reached: ..."."""
    return _why(tuple(_causes(error)))


def _why(causes: tuple[BaseException, ...]) -> str:
    if (refused := next((cause for cause in causes if isinstance(cause, AddressRefused)), None)) is not None:
        return str(refused)
    names = " ".join(type(cause).__name__ for cause in causes)
    words = " ".join(str(cause) for cause in causes)
    if any(isinstance(cause, socket.gaierror) for cause in causes) or "Name or service not known" in words:
        return "its host name is not known"
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or "SSL" in words:
        return "the secure connection failed (TLS)"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes) or "onnection refused" in words:
        return "nothing listens there (connection refused)"
    if "Timeout" in names:
        return "it did not accept a connection in time"
    if "RemoteProtocolError" in names or "ReadError" in names:
        return "it closed the connection before answering"
    return "the connection failed"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def silent(caller: Caller, limit_sec: float, *, begun: bool) -> ProviderError:
    """Nothing came for `limit_sec` seconds."""
    what = "stopped in the middle of the answer: it sent nothing" if begun else "sent nothing"
    return ProviderSilent(
        f"{caller} {what} from `{caller.model}` for {limit_sec:g} seconds.",
        cure="Try again; the server may be loading the model or be overloaded.",
        provider=caller.provider,
        model=caller.model,
    )


def cut(caller: Caller, *, status: int | None = None, said: str = "") -> ProviderError:
    """The stream broke off after it had begun."""
    return StreamCut(
        f"The answer of `{caller.model}` broke off: {caller} ended the stream before the answer was finished.{said}",
        cure="Try again for a full answer.",
        provider=caller.provider,
        model=caller.model,
        status=status,
    )


def not_the_protocol(caller: Caller, what: str, *, status: int | None = None) -> ProviderError:
    """The answer is not what an OpenAI-compatible server sends; `what` says what it is."""
    return ProviderBadAnswer(
        f"{caller} answered `{caller.model}` with {what} instead of a chat completion.",
        cure="An administrator needs to check that the base URL is that of an OpenAI-compatible server.",
        provider=caller.provider,
        model=caller.model,
        status=status,
    )


def bad_key(caller: Caller, why: str) -> ProviderError:
    """The key cannot even be sent."""
    return ProviderAuthFailed(
        f"The API key for {caller} {why}, so `{caller.model}` cannot be asked.",
        cure="An administrator needs to set a valid key (OPENAI_API_KEY).",
        provider=caller.provider,
        model=caller.model,
    )


def _http(status: int | None) -> str:
    return f" (HTTP {status})" if status is not None else ""
