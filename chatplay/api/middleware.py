"""Adds to every response, Streamlit's own included, the headers that confine it, and names the browser by a cookie."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatplay.api.errors import answer, answer_at, plain_detail, refuse_socket, request_id_of
from chatplay.auth.handover import GO_SCRIPT_HASH
from chatplay.auth.tokens import BROWSER_COOKIE, new_token
from chatplay.settings import Settings
from chatplay.ui.scripts import script_hashes

_BROWSER_COOKIE_SEC = 366 * 86_400
_STEP_UP = re.compile(r"[/\\]\.\.(?:[/\\]|$)|\0")
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def content_security_policy(script_hashes: Iterable[str]) -> str:
    """Everything from this origin; inline scripts only by their hash, inline styles because Streamlit writes them."""
    hashes = " ".join(f"'{item}'" for item in script_hashes)
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'wasm-unsafe-eval' {hashes}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "frame-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def inline_script_hashes(page: str) -> list[str]:
    """Of the scripts written into `page` itself, as a policy names them."""
    digests = (hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(page))
    return ["sha256-" + base64.b64encode(digest).decode() for digest in digests]


def policy_for(page: str) -> str:
    """The policy for the page into which everything is drawn."""
    return content_security_policy([GO_SCRIPT_HASH, *script_hashes(), *inline_script_hashes(page)])


class SecurityHeaders:
    """Pure ASGI, so that streams and WebSockets pass untouched."""

    def __init__(self, app: ASGIApp, *, policy: str, is_secure: Callable[[HTTPConnection], bool]) -> None:
        self._app = app
        self._headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        }
        self._is_secure = is_secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"].endswith("http.response.start"):  # a socket that is not let in gets a response, too
                self._add(scope, message["status"], MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _add(self, scope: Scope, status: int, headers: MutableHeaders) -> None:
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        request = HTTPConnection(scope)
        if BROWSER_COOKIE not in request.cookies and _is_page(request, status, headers):
            headers.append("set-cookie", _browser_cookie(secure=self._is_secure(request)))
        if self._is_secure(request):
            headers.setdefault("strict-transport-security", "max-age=31536000")


def _is_page(request: HTTPConnection, status: int, headers: MutableHeaders) -> bool:
    """A 304 names no type: it is for a browser that kept the page, and may have lost its cookies."""
    if status == 304:
        return "text/html" in request.headers.get("accept", "")
    return headers.get("content-type", "").startswith("text/html")


def _browser_cookie(*, secure: bool) -> str:
    """Lax and not Strict: a link from elsewhere must not make it look missing and be replaced under an open page."""
    flags = "; Secure" if secure else ""
    return f"{BROWSER_COOKIE}={new_token()}; Path=/; Max-Age={_BROWSER_COOKIE_SEC}; HttpOnly; SameSite=Lax{flags}"


class OwnPagesOnly:
    """Refuses WebSockets to Streamlit that a page from elsewhere opens, another port of the same host included.

    Streamlit itself compares host names only, and cookies do not tell ports apart. Programs send no Origin.
    """

    def __init__(self, app: ASGIApp, *, get_settings: Callable[[], Settings]) -> None:
        self._app = app
        self._get_settings = get_settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"].endswith("/_stcore/stream"):
            connection = HTTPConnection(scope)
            headers = connection.headers
            origin = urlsplit(headers.get("origin", "")).netloc
            if "origin" in headers and origin not in self._own_places(headers.get("host", "")):
                detail = plain_detail("not_allowed", "Another site's page asked for this.", request_id_of(connection))
                await refuse_socket(answer(detail, 403), scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _own_places(self, host: str) -> set[str]:
        public_url = self._get_settings().public_url
        return {host, urlsplit(public_url).netloc} if public_url else {host}


class HiddenPaths:
    """Answers 404 for doors of Streamlit that stand open to everybody and are not needed, and for steps upwards from
    an address of our own (`own`), which Streamlit would refuse in its words.
    """

    def __init__(self, app: ASGIApp, *, prefixes: tuple[str, ...], own: tuple[str, ...] = ()) -> None:
        self._app = app
        self._prefixes = prefixes
        self._own = tuple(f"{path}/" for path in own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_hidden(scope["path"]):
            request_id = request_id_of(HTTPConnection(scope))
            detail = plain_detail("not_found", "There is nothing at this address.", request_id)
            await answer(detail, 404)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_hidden(self, path: str) -> bool:
        steps = path.startswith(self._own) and _STEP_UP.search(path) is not None
        return steps or path.startswith(self._prefixes)


class OneLength:
    """Refuses a request that tells the length of its body in two ways. A proxy may have believed the other one: what
    follows would then be somebody's next request (RFC 9112, 6.1).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope["headers"]} if scope["type"] == "http" else set()
        if names.issuperset((b"content-length", b"transfer-encoding")):
            message = "The request has a Content-Length and a Transfer-Encoding."
            detail = plain_detail(
                "bad_request", message, request_id_of(HTTPConnection(scope)), cure="Send one of them."
            )
            refused = answer_at(scope["path"], detail, 400, {"connection": "close"})
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)
