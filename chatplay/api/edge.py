"""The outermost layer of our routes: gives each request an id, bounds what it may send, lets no traceback out."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatplay.api.errors import answer, answer_at, our_fault, plain_detail, refuse_socket, request_id_of

_log = logging.getLogger(__name__)
_MAX_HEADER_BYTES = 32_768
_MAX_DEPTH = 64
_BODY_SEC = 30.0
_SOCKETS = "Sockets are at `/ws/chat/{session_id}/`, with the slash at the end."
_OWN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# One that never closes reaches to the end: it must not be tried again from each quote that it holds.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


class Prefix(BaseRoute):
    """Hands `path` and everything below it to an app that knows its routes by their whole paths."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        self.path = path
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope.get("path", "")
        ours = scope["type"] in ("http", "websocket") and (path == self.path or path.startswith(f"{self.path}/"))
        return (Match.FULL if ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


@dataclass
class _Refusal(Exception):
    """The request is answered here and goes no further."""

    status: int
    kind: str
    message: str
    cure: str = ""


class Edge:
    """Pure ASGI, so that streams and WebSockets pass untouched. `max_body_bytes` is asked for each request."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: Callable[[], int]) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id, begun, done = _give_id(scope), False, False
        # The server's own object, where it can be reached: nothing else ends a connection nobody reads from.
        scope["state"]["transport"] = getattr(getattr(receive, "__self__", None), "transport", None)

        async def send_marked(message: Message) -> None:
            nonlocal begun, done
            if message["type"].endswith(("http.response.start", "websocket.accept")):
                begun = True
            if message["type"].endswith("http.response.start"):
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers.setdefault("cache-control", "no-store")
                headers.setdefault("cross-origin-resource-policy", "same-origin")
            if message["type"] == "websocket.close" and not begun:  # no route took it: ours accept before they refuse
                begun = True
                detail = plain_detail("not_found", "There is nothing at this address.", request_id, cure=_SOCKETS)
                await refuse_socket(answer(detail, 404), scope, receive, send_marked)
                return
            await send(message)
            done = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            if scope["type"] == "http":
                receive = await self._bounded(scope, receive)
            await self._app(scope, receive, send_marked)
        except _Refusal as refusal:
            detail = plain_detail(refusal.kind, refusal.message, request_id, cure=refusal.cure)
            await _close_after(answer_at(scope["path"], detail, refusal.status))(scope, receive, send_marked)
        except Exception:
            _log.exception("request %s: %s", request_id, scope["path"])
            if done:  # the app has answered for it
                return
            if begun or scope["type"] != "http":
                raise  # the server closes the connection, and the client sees that it was cut
            await answer_at(scope["path"], our_fault(request_id), 500)(scope, receive, send_marked)

    async def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """The request's messages, its body whole and found small, shallow and in time."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > _MAX_HEADER_BYTES:
            raise _Refusal(431, "too_large", f"The headers have more than {_MAX_HEADER_BYTES:,} bytes.")
        headers = dict(scope["headers"])
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return receive
        try:
            async with asyncio.timeout(_BODY_SEC):
                body = await _read(receive, headers.get(b"content-length"), self._max_body_bytes())
        except TimeoutError:
            raise _Refusal(408, "too_slow", f"The body did not arrive within {_BODY_SEC:g} s.") from None
        if too_deep(body):
            raise _Refusal(413, "too_large", f"The body is nested deeper than {_MAX_DEPTH} levels.")
        return _replay(body, receive)


def _give_id(scope: Scope) -> str:
    """A caller's own id is kept, so that its log and ours tell of the same request."""
    own = dict(scope["headers"]).get(b"x-request-id", b"")
    if _OWN_ID.fullmatch(own):
        scope.setdefault("state", {})["request_id"] = own.decode()
    return request_id_of(HTTPConnection(scope))


async def hang_up(scope: Scope) -> None:
    """Ends the connection at once. To close it would wait until the other side has taken what is on its way."""
    transport = scope.get("state", {}).get("transport")
    if transport is not None:
        transport.abort()
        await asyncio.sleep(0)  # the server learns of it


async def _read(receive: Receive, length: bytes | None, most: int) -> bytes:
    refusal = _Refusal(413, "too_large", f"The body has more than {most:,} bytes.", cure="Send less at once.")
    if length is not None and length.isdigit() and int(length) > most:
        raise refusal
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refusal(400, "bad_request", "The body broke off.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise refusal
    return bytes(body)


def too_deep(body: bytes) -> bool:
    """Whether JSON in `body` nests so deep that reading it could exhaust the stack. Brackets in texts don't count."""
    if body.count(b"[") + body.count(b"{") <= _MAX_DEPTH:
        return False
    depth = 0
    for char in re.sub(rb"[^\[\]{}]", b"", _STRINGS.sub(b"", body)):
        depth += 1 if char in b"[{" else -1
        if depth > _MAX_DEPTH:
            return True
    return False


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _close_after(response: Response) -> Response:
    """What is left of an unread body must not be taken for the next request."""
    response.headers["connection"] = "close"
    return response
