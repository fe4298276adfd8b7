"""Who asks: a browser's cookie or a personal access token, through one function to the same person."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from fastapi import Depends, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import HTTPConnection

from chatplay.api.audience import Seat
from chatplay.api.services import Rt, Services, Threads
from chatplay.auth.access_tokens import Scope
from chatplay.auth.client import came_by_tls, client_address
from chatplay.auth.person import Person
from chatplay.auth.tokens import SESSION_COOKIE, token_hash
from chatplay.errors import NotAllowed, NotSignedIn
from chatplay.limits import Paces
from chatplay.runtime import Runtime

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_bearer = HTTPBearer(
    auto_error=False, scheme_name="Access token", description="A personal access token from the Account page."
)
_cookie = APIKeyCookie(
    name=SESSION_COOKIE, auto_error=False, scheme_name="Sign-in", description="The cookie of a browser's sign-in."
)


@dataclass(frozen=True)
class Caller:
    """The person a request comes from and what it may do. A cookie has all scopes of the person's role."""

    person: Person
    scopes: frozenset[Scope]
    by: Literal["cookie", "token"]

    @property
    def user_id(self) -> int:
        return self.person.id

    @property
    def role(self) -> str:
        return self.person.role


def resolve(runtime: Runtime, connection: HTTPConnection, scope: Scope) -> Caller:
    """The caller, counted against the limits and found to have `scope`. Blocks; routes run it on a thread.

    An Authorization header counts before a cookie. Raises NotSignedIn, NotAllowed, TooManyRequests.
    """
    found, early_sec = _find(runtime, connection, runtime.limits.paces(address_of(runtime, connection)))
    runtime.limits.judge(early_sec)
    return _checked(runtime, connection, found, scope)


def recognise(runtime: Runtime, connection: HTTPConnection, scope: Scope) -> Caller:
    """As `resolve`, and not counted: to look again at whoever is connected for long."""
    return _checked(runtime, connection, _find(runtime, connection, None)[0], scope)


Seating = Callable[[], AbstractContextManager[Seat]]


def seating(
    services: Services,
    runtime: Runtime,
    connection: HTTPConnection,
    caller: Caller,
    scope: Scope,
    held: ExitStack | None = None,
) -> Seating:
    """Makes a place among those who stay connected, kept as long as `scope` is the caller's; the one `held` for it
    where there is one.
    """

    def sit() -> AbstractContextManager[Seat]:
        if held is not None:
            held.close()
        ask = functools.partial(recognise, runtime, connection, scope)
        return services.audience.seat(runtime, caller.user_id, credential_of(connection), ask)

    return sit


def _checked(runtime: Runtime, connection: HTTPConnection, found: Caller | None, scope: Scope) -> Caller:
    if found is None:
        raise NotSignedIn(
            "Nobody is signed in.",
            cure="Send `Authorization: Bearer` with an access token from the Account page, or sign in at / first.",
        )
    if found.by == "cookie":
        _check_origin(runtime, connection)
    check_scope(found, scope)
    return found


def check_scope(caller: Caller, scope: Scope) -> None:
    """Raises NotAllowed when the caller's role or token does not reach so far."""
    if caller.person.must_change_password:
        raise NotAllowed("A password of your own is needed first.", cure="Sign in at / and choose one.")
    if scope == "admin" and not caller.person.is_administrator:
        raise NotAllowed("Only administrators can do this.", cure="Ask one of them.")
    if scope not in caller.scopes:
        raise NotAllowed(
            f"This access token lacks the scope `{scope}`.", cure="Make one that has it on the Account page."
        )


def address_of(runtime: Runtime, connection: HTTPConnection) -> str | None:
    """Where the request really comes from."""
    peer = connection.client.host if connection.client is not None else None
    return client_address(peer, connection.headers.get("x-forwarded-for"), runtime.settings.trusted_proxies)


def _find(runtime: Runtime, connection: HTTPConnection, paces: Paces | None) -> tuple[Caller | None, float]:
    """Who asks. With `paces` the request is counted, and the second is how many seconds it came too early."""
    header = connection.headers.get("authorization")
    if header is not None:
        kind, _, secret = header.partition(" ")
        found, early_sec = runtime.access_tokens.admit(secret.strip() if kind.lower() == "bearer" else "", paces)
        caller = Caller(found[0], frozenset(found[1].scopes), "token") if found else None  # type: ignore[arg-type]
        return caller, early_sec
    person, early_sec = runtime.sessions.admit(connection.cookies.get(SESSION_COOKIE), paces)
    return (Caller(person, frozenset(get_args(Scope)), "cookie") if person else None), early_sec


def credential_of(connection: HTTPConnection) -> bytes:
    """What `_find` looks for, as it is stored."""
    header = connection.headers.get("authorization")
    secret = connection.cookies.get(SESSION_COOKIE, "") if header is None else header.partition(" ")[2].strip()
    return token_hash(secret)


def _check_origin(runtime: Runtime, connection: HTTPConnection) -> None:
    """A cookie travels by itself: what it may change, only a page of our own may ask for."""
    changes = connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE_METHODS
    if changes and not _same_origin(runtime, connection):
        raise NotAllowed(
            "Another site's page asked for this, or none that says so.",
            cure="Ask from a page of this app (its Origin is checked), or use an access token.",
        )


def _same_origin(runtime: Runtime, connection: HTTPConnection) -> bool:
    origin = connection.headers.get("origin", "")
    settings, peer = runtime.settings, connection.client.host if connection.client is not None else None
    if settings.public_url is not None and origin == _origin_of(settings.public_url):
        return True
    proto = connection.headers.get("x-forwarded-proto")
    tls = came_by_tls(connection.url.scheme, proto, peer, settings.trusted_proxies)
    return origin == f"{'https' if tls else 'http'}://{connection.headers.get('host', '')}"


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Needs:
    """The dependency of every route behind the door: the caller, who must have `scope`."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(
        self,
        connection: HTTPConnection,
        services: Threads,
        rt: Rt,
        _token: Annotated[object, Security(_bearer)] = None,
        _sign_in: Annotated[object, Security(_cookie)] = None,
    ) -> Caller:
        return await services.run(resolve, rt, connection, self.scope)


Reader = Annotated[Caller, Depends(Needs("read"))]
Chatter = Annotated[Caller, Depends(Needs("chat"))]
Administrator = Annotated[Caller, Depends(Needs("admin"))]
