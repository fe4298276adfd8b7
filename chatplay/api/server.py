"""What surrounds Streamlit in one server: our routes, the headers, and the services' start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from chatplay import runtime
from chatplay.api.app import PREFIXES, api_routes
from chatplay.api.auth_routes import auth_mount
from chatplay.api.closing import act_first_when_asked_to_end
from chatplay.api.compression import remember_more
from chatplay.api.middleware import HiddenPaths, OneLength, OwnPagesOnly, SecurityHeaders, policy_for
from chatplay.api.page import page_routes
from chatplay.api.prometheus import CountRequests, MetricsDoor, RequestCounts
from chatplay.api.terminal import end_with_the_terminal, hang_up_ends_like_terminate
from chatplay.auth.client import came_by_tls
from chatplay.auth.setup import base_url, make_link
from chatplay.errors import ChatplayError, ConfigError, Conflict, StoreUnavailable
from chatplay.logs import configure_logging
from chatplay.presence import Presence
from chatplay.settings import ROOT

_HIDDEN = ("/_stcore/agent",)
_PAGES = tuple(sorted(file.stem for file in (ROOT / "pages").glob("[a-z]*.py") if file.stem != "welcome"))


def routes(page: str) -> list[BaseRoute]:
    """Every path that is not one of Streamlit's; `page`: what is answered where a page is asked for."""
    return [
        *page_routes(page, _PAGES),
        auth_mount(runtime.get_runtime),
        *api_routes(runtime.get_runtime, max_body_bytes=_max_body_bytes, find_runtime=runtime.find_runtime),
        Route("/welcome", _to_welcome, methods=["GET"]),
    ]


def _max_body_bytes() -> int:
    return runtime.get_settings().api_max_body_kb * 1024


async def _to_welcome(_request: Request) -> RedirectResponse:
    """The page of this name is the first one, and Streamlit gives that one only the address /."""
    return RedirectResponse("/", status_code=307)


def middleware(page: str) -> list[Middleware]:
    """Around every response; `page`: the one whose own inline scripts the policy has to allow."""
    counts = RequestCounts()
    return [
        Middleware(CountRequests, counts=counts),
        Middleware(SecurityHeaders, policy=policy_for(page), is_secure=_is_secure),
        Middleware(OneLength),
        Middleware(HiddenPaths, prefixes=_HIDDEN, own=(*PREFIXES, "/auth")),
        Middleware(OwnPagesOnly, get_settings=runtime.get_settings),
        Middleware(MetricsDoor, counts=counts, get_settings=runtime.get_settings, find_runtime=runtime.find_runtime),
    ]


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[dict[str, Any]]:
    """Start the services before the first request, stop them after the last."""
    hang_up_ends_like_terminate()
    send_at_once()
    remember_more()
    believe_only_trusted_proxies()
    goodbye = contextlib.ExitStack()
    await to_thread.run_sync(_start, goodbye)
    hearing = asyncio.create_task(act_first_when_asked_to_end(_end_answers))
    watching = asyncio.create_task(end_with_the_terminal())
    try:
        yield {}
    finally:
        hearing.cancel()
        watching.cancel()
        await to_thread.run_sync(goodbye.close)


def _end_answers() -> None:
    if (running := runtime.find_runtime()) is not None:
        running.generations.hub.end_all()


def _start(goodbye: contextlib.ExitStack) -> None:
    """A database that is away is reported and tried again by the first visitor; wrong settings end the start."""
    try:
        settings = runtime.get_settings()
        configure_logging(settings)
        presence = Presence(settings)
        presence.enter()
        goodbye.callback(presence.leave)
        goodbye.callback(runtime.stop)
        services = runtime.get_runtime()
    except ConfigError as error:
        print(f"\n{error.message}\n{error.cure}\n", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        return
    except ChatplayError as error:
        cure = "`make validate` says why." if isinstance(error, StoreUnavailable) else error.cure
        print(f"\n{error.message}\n{cure}\nThe next visitor makes it try again.\n", file=sys.stderr, flush=True)
        return
    for warning in services.settings.warnings():
        print(f"Note: {warning}", flush=True)
    print(f"\nChat Playground: {base_url(services.settings)}", flush=True)
    print_set_up_link(services)


def print_set_up_link(services: runtime.Runtime) -> None:
    """Only while nobody exists."""
    try:  # another app on these data may stand in its own terminal with a link that is still to be used
        link = make_link(services.set_up, services.settings, replaces=False)
    except Conflict:  # people exist
        return
    print(f"\nFirst start. Create the administrator here, the link works once:\n\n    {link}\n", flush=True)


def believe_only_trusted_proxies() -> None:
    """Leaves X-Forwarded-* to `auth/client.py`, which believes TRUSTED_PROXIES.

    uvicorn believes whatever comes from this machine, where a tunnel may end, and is set up before our code is read.
    """
    ProxyHeadersMiddleware.__call__ = _as_it_came  # type: ignore[method-assign]


async def _as_it_came(self: ProxyHeadersMiddleware, scope: Any, receive: Any, send: Any) -> None:
    await self.app(scope, receive, send)


def send_at_once(descriptors: Path = Path("/dev/fd")) -> None:
    """Switches Nagle's algorithm off for the connections to come.

    asyncio does so for the sockets it makes itself; with Streamlit's, which says "TCP by default" instead of "TCP",
    a token waits up to 40 ms until the browser has acknowledged the one before. Accepted sockets inherit it.
    """
    for name in os.listdir(descriptors) if descriptors.exists() else ():
        with contextlib.suppress(OSError, ValueError):
            copy = os.dup(int(name))
            try:
                with socket.socket(fileno=copy) as sock:
                    copy = -1  # closed with the socket
                    if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM:
                        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            finally:
                if copy != -1:
                    os.close(copy)


def _is_secure(request: HTTPConnection) -> bool:
    try:
        settings = runtime.get_settings()
    except ConfigError:
        return request.url.scheme == "https"
    peer = request.client.host if request.client is not None else None
    proto = request.headers.get("x-forwarded-proto")
    return settings.cookie_secure or came_by_tls(request.url.scheme, proto, peer, settings.trusted_proxies)
