"""Every foreign failure of a model call becomes one ProviderError here: plain words, a cure, and no key.

`Caller` names who was asked. `from_sdk` takes the SDK's exceptions, `from_answer` an error object a server
sent (as a response or inside a stream), and the small functions below say the rest.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

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
    RateLimited,
    StreamCut,
    StreamingUnsupported,
)
from chatplay.providers.safety import AddressRefused

_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (length|window|size)[^.]*(exceed|only)"
    r"|exceed\w*[^.]*context|longer than the model's context|prompt is too long|input token count[^.]*exceeds"
    r"|max_new_tokens` must be|trying to keep the first \d+ tokens",
    re.IGNORECASE,
)
_NO_STREAMING = re.compile(
    r"stream\w*[^.]*(not supported|unsupported|not available|not allowed|disabled)|(not|n't) support[^.]*\bstream"
    r"|verified to stream",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model_not_found|model[^.]*(not found|does not exist|not exist|unknown|not loaded)", re.IGNORECASE
)
_PARAMETERS = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "max_tokens", "stop")
_PARAMETER = re.compile(r"(?<![a-z_])(" + "|".join((*_PARAMETERS, "max_completion_tokens")) + r")(?![a-z_])")


@dataclass(frozen=True)
class Caller:
    """Who was asked for what. `place` is host and port only; `secrets` are never to be shown."""

    provider: str
    model: str
    place: str
    secrets: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.provider} ({self.place})"


@dataclass(frozen=True)
class Refusal:
    """What a server said when it refused, read from whichever shape it used."""

    message: str = ""
    code: str = ""
    param: str | None = None
    status: int | None = None

    @property
    def words(self) -> str:
        return f"{self.code} {self.message}"


def from_sdk(error: Exception, caller: Caller) -> ProviderError:
    """The ProviderError for what the SDK raised before the answer began."""
    if isinstance(error, openai.APIStatusError):
        headers = error.response.headers
        return from_answer(read_refusal(error.body, error.status_code), caller, headers=headers)
    return unreachable(caller, tuple(_causes(error)))


def from_answer(
    refusal: Refusal, caller: Caller, *, headers: Mapping[str, str] | None = None, begun: bool = False
) -> ProviderError:
    """The ProviderError for a refusal; `begun` when text had arrived already."""
    status, said = refusal.status, excerpt(refusal.message, caller.secrets)
    wait = retry_after_sec((headers or {}).get("retry-after"))
    where: dict[str, Any] = {"provider": caller.provider, "model": caller.model, "status": status}
    if status in (401, 403) or refusal.code in ("invalid_api_key", "authentication_error"):
        return _auth(refusal, caller, where)
    if _is_overflow(refusal):
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
    if status == 404 or _names_missing_model(refusal):
        return _missing(refusal, caller, where, said)
    if status is None or 400 <= status < 500:
        found = _refused(refusal, caller, where, said)
        if found is not None:
            return found
    if begun:
        return cut(caller, status=status, said=said)
    return ProviderBadAnswer(
        f"{caller} failed to answer with `{caller.model}`{_http(status)}.{said}",
        cure=f"Try again in {wait:.0f} seconds." if wait else "Try again; if it stays, look at that server's log.",
        retry_after_sec=wait,
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
        return RateLimited(
            f"The account at {caller} has no credit left for `{caller.model}`.",
            cure="An administrator needs to check its plan and billing; another model may work.",
            **where,
        )
    cure = f"Try again in {wait:.0f} seconds." if wait is not None else "Wait a little and try again."
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
    if _names_missing_model(refusal) or caller.model in refusal.message:
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
    if refusal.param == "stream" or _NO_STREAMING.search(refusal.message):
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


def _is_overflow(refusal: Refusal) -> bool:
    return refusal.status != 429 and _OVERFLOW.search(refusal.words) is not None


def _names_missing_model(refusal: Refusal) -> bool:
    return _NO_MODEL.search(refusal.words) is not None and (refusal.status or 404) in (400, 404, 422)


def parameter_named(refusal: Refusal) -> str | None:
    """The one of our parameters that the refusal is about, or None."""
    found = _PARAMETER.search(refusal.param or "") or _PARAMETER.search(refusal.message)
    return found.group(1).replace("max_completion_tokens", "max_tokens") if found else None


def read_refusal(body: object, status: int | None) -> Refusal:
    """What `body` says, in the shapes of OpenAI, vLLM, llama-server, Ollama, LM Studio and FastAPI."""
    if isinstance(body, Mapping) and isinstance(body.get("error"), (Mapping, str)):
        body = body["error"]
    if isinstance(body, str):
        return Refusal(message=body, status=status)
    if not isinstance(body, Mapping):
        return Refusal(status=status)
    if isinstance(body.get("detail"), list):
        return _validation_refusal(body["detail"], status)
    return Refusal(
        message=str(body.get("message") or body.get("detail") or ""),
        code=_word(body.get("code")) or _word(body.get("type")),
        param=body["param"] if isinstance(body.get("param"), str) else None,
        status=status if status is not None else _status_in(body),
    )


def _word(code: object) -> str:
    """`code` where it is a word: llama-server's and vLLM's is the HTTP status again, their word is the type."""
    return code if isinstance(code, str) and not code.isdigit() else ""


def _status_in(body: Mapping[str, Any]) -> int | None:
    code = str(body.get("code") or body.get("status") or "")
    return int(code) if code.isascii() and code.isdigit() and len(code) == 3 and 400 <= int(code) < 600 else None


def _validation_refusal(items: list[Any], status: int | None) -> Refusal:
    first = items[0] if items and isinstance(items[0], Mapping) else {}
    place = first.get("loc")
    param = str(place[-1]) if isinstance(place, (list, tuple)) and place else None
    return Refusal(message=str(first.get("msg", "")), param=param, status=status)


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


def retry_after_sec(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait from a Retry-After header (a number or an HTTP date); None when it says nothing usable."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = parsedate_to_datetime(value)
        except ValueError:
            return None
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        seconds = (then - (now or datetime.now(UTC))).total_seconds()
    return max(seconds, 0.0) if seconds < 86_400 * 7 else None


_SECRET_LOOKS = re.compile(r"\b(?:sk|pk|gsk|hf|xai|key)[-_][\w*.-]{6,}|Bearer\s+\S+|//[^/\s@]+@", re.IGNORECASE)


def excerpt(text: str, secrets: tuple[str, ...] = (), limit: int = 160) -> str:
    """A short, harmless piece of a server's own words, quoted and with a blank before; "" of nothing or HTML."""
    for secret in secrets:
        text = text.replace(secret, "[key]")
    if not text.strip() or "<html" in text.lower() or "<!doctype" in text.lower():
        return ""
    text = _SECRET_LOOKS.sub("[key]", text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text[:2000]).split())
    return f' It said: "{text[:limit]}{"..." if len(text) > limit else ""}"'


def _http(status: int | None) -> str:
    return f" (HTTP {status})" if status is not None else ""
