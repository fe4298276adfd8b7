"""What goes wrong, as the one JSON shape of all routes: the error tree gets its status codes here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any
from uuid import uuid4

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from chatplay import errors
from chatplay.api.completions_errors import fault_of_detail, speaks_openai
from chatplay.calls import no_such_answer
from chatplay.chats.rows import not_found
from chatplay.errors import ChatplayError
from chatplay.experiments.desk import no_such_experiment
from chatplay.params import unsendable_character

# The first that fits counts: a branch stands before the one it grows from.
_STATUS: tuple[tuple[type[ChatplayError], int], ...] = (
    (errors.BadInput, 400),
    (errors.NotSignedIn, 401),
    (errors.NotAllowed, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.TooManyRequests, 429),
    (errors.StoreUnavailable, 503),
    (errors.StoreFull, 503),
    (errors.StoreConflict, 409),
    (errors.StoreError, 500),
    (errors.ConfigError, 503),
    (errors.ModelUnknown, 404),
    (errors.RateLimited, 429),
    (errors.ContextOverflow, 400),
    (errors.ParameterRefused, 400),
    (errors.ProviderUnreachable, 503),
    (errors.ProviderSilent, 504),
    (errors.RequestBroken, 500),
    (errors.ProviderError, 502),
)
_HTTP_TYPES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    431: "too_large",
}
_HTTP_MESSAGES = {
    400: "The body cannot be read as JSON.",  # what the framework could not, such as bytes that are no UTF-8
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
}
_MISSING: dict[str, Callable[[], ChatplayError]] = {  # by the parameter of the path that names it
    "session_id": not_found,
    "generation_id": no_such_answer,
    "experiment_id": no_such_experiment,
}
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_SEE_DOCS = "GET /v1/docs lists what there is."


class ErrorDetail(BaseModel):
    """`type` is the stable name for programs, `message` says what happened and `cure` what to do about it."""

    type: str
    message: str
    param: str | None = Field(None, description="The field that is at fault, when it is one.")
    request_id: str = Field(description="The log has this answer under the same id; also in X-Request-ID.")
    cure: str = ""
    retry_after_sec: float | None = None
    provider: str | None = Field(None, description="The model server that failed, when one did.")
    model: str | None = None


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


def request_id_of(connection: HTTPConnection) -> str:
    """The id this request goes by in the log and in its answer; one is made where the edge gave none."""
    known: dict[str, Any] = connection.scope.setdefault("state", {})
    return str(known.setdefault("request_id", uuid4().hex))


def status_of(error: ChatplayError) -> int:
    """The HTTP status that stands for a member of the tree."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def status_of_code(code: str | None) -> int:
    """The HTTP status for the `code` of an error that was stored with an answer."""
    kinds = {kind.code: kind for kind in _all_kinds(ChatplayError)}
    found = kinds.get(code or "")
    return next((status for kind, status in _STATUS if found is not None and issubclass(found, kind)), 502)


def _all_kinds(kind: type[ChatplayError]) -> Iterator[type[ChatplayError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _all_kinds(below)


def detail_of(error: ChatplayError, request_id: str) -> dict[str, Any]:
    """The object under "error"."""
    found = ErrorDetail(
        type=error.code,
        message=error.message,
        param=getattr(error, "param", None),
        request_id=request_id,
        cure=error.cure,
        retry_after_sec=getattr(error, "retry_after_sec", None),
        provider=getattr(error, "provider", None),
        model=getattr(error, "model", None),
    )
    return _shown(found)


def plain_detail(
    kind: str, message: str, request_id: str, *, cure: str = "", param: str | None = None
) -> dict[str, Any]:
    """The object under "error" for what is no member of the tree."""
    return _shown(ErrorDetail(type=kind, message=message, param=param, request_id=request_id, cure=cure))


def _shown(detail: ErrorDetail) -> dict[str, Any]:
    """`param` stays when it is null, as in OpenAI's bodies; what is only sometimes known does not."""
    values = detail.model_dump()
    return {name: _sendable(value) for name, value in values.items() if value is not None or name == "param"}


def _sendable(value: Any) -> Any:
    """Half of a surrogate pair, which a name that was sent and is quoted here may hold, is in no UTF-8."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def answer(detail: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response that carries `detail`, with Retry-After where it names a wait."""
    more = dict(headers or {})
    if (wait_sec := detail.get("retry_after_sec")) is not None:
        more["Retry-After"] = str(max(ceil(wait_sec), 1))
    if status == HTTPStatus.UNAUTHORIZED:
        more["WWW-Authenticate"] = 'Bearer realm="Chat Playground"'
    return JSONResponse({"error": dict(detail)}, status_code=status, headers=more)


def answer_at(
    path: str, detail: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """As `answer`; at the OpenAI-compatible addresses in OpenAI's words."""
    if not speaks_openai(path):
        return answer(detail, status, headers)
    body = fault_of_detail(detail, status).body(detail["request_id"])
    return JSONResponse(body, status_code=status, headers=headers)


async def refuse_socket(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """For a WebSocket that is not let in, before it is accepted; where the server can, with words."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await response(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008})


# ---- handlers of the FastAPI and Starlette apps ------------------------------------------------


async def on_chatplay_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ChatplayError)
    return answer(detail_of(error, request_id_of(request)), status_of(error))


async def on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _HTTP_TYPES.get(error.status_code, "error")
    text = _HTTP_MESSAGES.get(error.status_code, str(error.detail))
    detail = plain_detail(kind, text, request_id_of(request), cure=_SEE_DOCS)
    headers = {"Allow": ", ".join(_methods_at(request))} if error.status_code == 405 else error.headers
    return answer_at(request.scope["path"], detail, error.status_code, headers)


def _methods_at(request: Request) -> list[str]:
    """All that the address takes. The framework names those of the first route with its path alone."""
    asked = ({**request.scope, "method": method} for method in _METHODS)
    routes = request.app.routes
    return [scope["method"] for scope in asked if any(route.matches(scope)[0] is Match.FULL for route in routes)]


async def on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if (known := _known_error(problems)) is not None:
        return await on_chatplay_error(request, known)
    param, message = _first_problem(problems)
    cure = _SEE_DOCS
    if isinstance(error.body, bytes):  # nobody tried to read it: curl's -d, say, calls it a form
        message, cure = "The body is not sent as JSON.", "Send it with the header `Content-Type: application/json`."
    detail = plain_detail("bad_request", message, request_id_of(request), param=param, cure=cure)
    return answer(detail, HTTPStatus.UNPROCESSABLE_ENTITY)


async def on_unexpected(request: Request, _error: Exception) -> Response:
    """The edge logs it: what comes here is raised again after it is answered."""
    return answer_at(request.scope["path"], our_fault(request_id_of(request)), HTTPStatus.INTERNAL_SERVER_ERROR)


def our_fault(request_id: str) -> dict[str, Any]:
    return plain_detail(
        "internal_error",
        "Something went wrong here. It is not your fault.",
        request_id,
        cure="Try again; an administrator finds the details in `make logs` under this request's id.",
    )


def _known_error(problems: Sequence[Mapping[str, Any]]) -> ChatplayError | None:
    """The member of the tree for what the framework refused before a service could: what is no id is as missing as one
    that nothing has, and half of a surrogate pair is no worse than a NUL.
    """
    for problem in problems:
        if problem["loc"][0] == "path" and (make := _MISSING.get(problem["loc"][-1])) is not None:
            return make()
    first = problems[0]
    bad = unsendable_character(str(first["input"])) if first["type"] == "string_unicode" else None
    if bad is None:
        return None
    path = _path_of(first) or str(first["loc"][0])
    return errors.BadInput(
        f"`{path}` holds {bad}, which can be neither stored nor sent.", param=path, cure="Remove it and send again."
    )


def _path_of(problem: Mapping[str, Any]) -> str | None:
    return ".".join(str(part) for part in problem["loc"][1:]) or None


def _first_problem(problems: Sequence[Mapping[str, Any]]) -> tuple[str | None, str]:
    first = problems[0]
    if first["type"] == "json_invalid":
        return None, "The body is not JSON."
    path = _path_of(first)
    where = f" `{path[:100]}`" if path else ""
    return path, f"The request's {first['loc'][0]}{where} cannot be used: {first['msg']}."


HANDLERS: dict[Any, Any] = {
    ChatplayError: on_chatplay_error,
    HTTPException: on_http_exception,
    RequestValidationError: on_invalid,
    Exception: on_unexpected,
}

_DESCRIBED = {
    400: "The request cannot be carried out as it stands; `param` names the field.",
    401: "No valid sign-in or access token.",
    403: "Signed in, but not allowed: the role, the token's scopes, or another site's page.",
    404: "Missing, not yours, or not an id: these are never told apart.",
    405: "The address does not take that method.",
    408: "The body did not arrive in time.",
    409: "True a moment ago, not now: an answer is coming, or the model is locked.",
    413: "The body is too large or nested too deep.",
    422: "The request does not have the documented shape; `param` names the field.",
    429: "Too many requests, here or at the model's server. Retry-After says how long to wait.",
    431: "The request's headers are too large.",
    500: "Our fault. The log has the details under the request's id.",
    502: "The model's server failed.",
    503: "The database or the model's server cannot be reached.",
    504: "The model's server did not answer in time.",
}


def documented(*codes: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: the error body under each status code."""
    return {code: {"model": ErrorBody, "description": _DESCRIBED[code]} for code in codes}


EVERYWHERE = documented(400, 401, 403, 404, 408, 413, 422, 429, 431, 500, 503)
