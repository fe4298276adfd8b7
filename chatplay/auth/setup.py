"""The first start: a one-time link whose page creates the first administrator, and no other way in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from chatplay.auth.passwords import Passwords
from chatplay.auth.rules import check_display_name, check_new_password, check_username
from chatplay.auth.tokens import new_token, token_hash
from chatplay.errors import Conflict, NotAllowed
from chatplay.settings import Settings
from chatplay.store import Store
from db import accounts, sign_ins

DEFAULT_ORGANISATION = "Default"  # the first migration makes it
_LINK_LIFETIME = timedelta(days=7)


class SetUp:
    """Open while nobody exists: the first token that is used ends all others."""

    def __init__(self, *, store: Store, passwords: Passwords, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock

    def is_needed(self) -> bool:
        with self._store.reading() as conn:
            return not accounts.has_users(conn)

    def make_token(self, *, replaces: bool = True) -> str:
        """A new token; `replaces`: the only one that works from now on. Raises Conflict when people exist."""
        token = new_token()
        with self._store.transaction() as conn:
            accounts.lock_first_administrator(conn)
            _refuse_when_done(accounts.has_users(conn))
            if replaces:
                sign_ins.delete_tickets(conn, purpose="set_up")
            sign_ins.add_ticket(
                conn, token_hash=token_hash(token), purpose="set_up", expires_at=self._clock() + _LINK_LIFETIME
            )
        return token

    def check(self, token: str) -> None:
        """Raises Conflict when people exist, NotAllowed for a token that is made up, too old or replaced."""
        with self._store.reading() as conn:
            _refuse_when_done(accounts.has_users(conn))
            known = sign_ins.has_ticket(conn, token_hash=token_hash(token), purpose="set_up", now=self._clock())
        if not known:
            raise _unknown_link()

    def create_administrator(
        self, *, token: str, username: str, display_name: str, password: str, repeated: str
    ) -> int:
        """The first administrator's id. Raises BadInput, Conflict (somebody was faster), NotAllowed."""
        username, display_name = check_username(username), check_display_name(display_name)
        password_hash = self._passwords.hash(check_new_password(password, repeated, username=username))
        with self._store.transaction() as conn:
            accounts.lock_first_administrator(conn)
            _refuse_when_done(accounts.has_users(conn))
            if sign_ins.take_ticket(conn, token_hash=token_hash(token), purpose="set_up", now=self._clock()) is None:
                raise _unknown_link()
            user_id = accounts.add_user(
                conn,
                organisation_id=accounts.get_or_add_organisation(conn, name=DEFAULT_ORGANISATION),
                username=username,
                display_name=display_name,
                password_hash=password_hash,
                role="administrator",
                must_change_password=False,
            )
        assert user_id is not None  # nobody existed, and others wait for the lock
        return user_id


def make_link(set_up: SetUp, settings: Settings, *, replaces: bool = True) -> str:
    """The link to print in the terminal; `replaces`: those printed before stop working. Raises Conflict when people
    exist.
    """
    return f"{base_url(settings)}/auth/setup?token={set_up.make_token(replaces=replaces)}"


def base_url(settings: Settings) -> str:
    """How a person at this machine or behind the proxy reaches the app, without a slash at the end."""
    if settings.public_url is not None:
        return settings.public_url
    host = "localhost" if settings.host in ("0.0.0.0", "::", "") else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _refuse_when_done(has_users: bool) -> None:
    if has_users:
        raise Conflict(
            "The set-up is done: an administrator exists.",
            cure="Sign in, or ask an administrator for an account.",
        )


def _unknown_link() -> NotAllowed:
    return NotAllowed(
        "This set-up link does not work any more.",
        cure="Use the link the terminal printed last, or print a new one with `make setup-link`.",
    )
