"""`/auth/*`: turn a ticket into a cookie, sign out, say who is signed in, and the first start's link."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from chatplay.api.edge import Edge, Prefix
from chatplay.api.errors import HANDLERS
from chatplay.auth.client import came_by_tls, client_address
from chatplay.auth.tokens import BROWSER_COOKIE, SESSION_COOKIE
from chatplay.errors import NotAllowed, NotSignedIn
from chatplay.runtime import Runtime

T = TypeVar("T")
_MAX_BODY_BYTES = 65_536


def auth_mount(get_runtime: Callable[[], Runtime]) -> BaseRoute:
    """The routes, to stand beside Streamlit's own. Paths under /auth that do not exist answer 404 as JSON."""
    routes = _Routes(get_runtime)
    app = Starlette(
        routes=[
            Route("/auth/accept", routes.accept, methods=["GET"]),
            Route("/auth/sign-out", routes.sign_out, methods=["GET", "POST"]),
            Route("/auth/whoami", routes.whoami, methods=["GET"]),
            Route("/auth/setup", routes.setup, methods=["GET"]),
        ],
        exception_handlers=HANDLERS,
    )
    app.router.redirect_slashes = False
    return Prefix("/auth", Edge(app, max_body_bytes=lambda: _MAX_BODY_BYTES))


class _Routes:
    def __init__(self, get_runtime: Callable[[], Runtime]) -> None:
        self._get_runtime = get_runtime
        self._limiter: CapacityLimiter | None = None

    async def _run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """On a thread, with places of our own: Streamlit serves its assets from the common ones."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(8)
        return await to_thread.run_sync(functools.partial(function, *args, **kwargs), limiter=self._limiter)

    async def accept(self, request: Request) -> Response:
        """Ticket in, cookie out, on to where the person was going. GET ?ticket="""
        _same_site_only(request)
        runtime = await self._run(self._get_runtime)
        return await self._run(_accept, runtime, request)

    async def sign_out(self, request: Request) -> Response:
        """End the sign-in of this browser, if any, and show the sign-in screen."""
        _same_site_only(request)
        runtime = await self._run(self._get_runtime)
        if (token := request.cookies.get(SESSION_COOKIE)) is not None:
            await self._run(runtime.sessions.end, token)
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(
            SESSION_COOKIE, path="/", httponly=True, samesite="strict", secure=_secure(runtime, request)
        )
        return response

    async def whoami(self, request: Request) -> Response:
        """JSON: id, username, display_name, role, organisation. 401 when nobody is signed in."""
        runtime = await self._run(self._get_runtime)
        person = await self._run(runtime.sessions.find_person, request.cookies.get(SESSION_COOKIE))
        if person is None:
            raise NotSignedIn("Nobody is signed in.", cure="Sign in at / and try again.")
        shown = ("id", "username", "display_name", "role", "organisation")
        return _no_store(JSONResponse({name: getattr(person, name) for name in shown}))

    async def setup(self, request: Request) -> Response:
        """The link of the first start: on to the page that creates the administrator, or says why not. GET ?token="""
        token = request.query_params.get("token", "")
        return _no_store(RedirectResponse(f"/?setup={quote(token)}", status_code=303))


def _accept(runtime: Runtime, request: Request) -> Response:
    browser = request.cookies.get(BROWSER_COOKIE)
    ticket = request.query_params.get("ticket", "")
    accepted = runtime.tickets.accept(ticket, browser=browser) if browser is not None else None
    if accepted is None:
        return _no_store(RedirectResponse("/?sign_in=again", status_code=303))
    token = runtime.sessions.open(
        user_id=accepted.user_id,
        address=_address(runtime, request),
        user_agent=request.headers.get("user-agent"),
        replaces=request.cookies.get(SESSION_COOKIE),
    )
    runtime.sessions.clean_up()
    response = RedirectResponse(accepted.return_to, status_code=303)
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=runtime.sessions.lifetime_sec,
        path="/",
        httponly=True,
        samesite="strict",
        secure=_secure(runtime, request),
    )
    return _no_store(response)


def _same_site_only(request: Request) -> None:
    """Refuse what another site sets off: it must neither sign somebody in nor out. Raises NotAllowed."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign_origin = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if site in ("cross-site", "same-site") or foreign_origin:
        raise NotAllowed("Another site asked for this.", cure="Open the app itself and do it there.")


def _peer(request: Request) -> str | None:
    return request.client.host if request.client is not None else None


def _address(runtime: Runtime, request: Request) -> str | None:
    networks = runtime.settings.trusted_proxies
    return client_address(_peer(request), request.headers.get("x-forwarded-for"), networks)


def _secure(runtime: Runtime, request: Request) -> bool:
    settings, proto = runtime.settings, request.headers.get("x-forwarded-proto")
    return settings.cookie_secure or came_by_tls(request.url.scheme, proto, _peer(request), settings.trusted_proxies)


def _no_store(response: Response) -> Response:
    response.headers["cache-control"] = "no-store"
    return response
