"""Checks a typed name and password: counted, at an equal pace for known and unknown names, one answer for all."""

from __future__ import annotations

from chatplay.auth.attempts import Attempts
from chatplay.auth.passwords import Passwords
from chatplay.auth.rules import is_username
from chatplay.errors import SignInRefused
from chatplay.store import Store
from db import accounts


class SignIn:
    """The password check behind the sign-in form."""

    def __init__(self, *, store: Store, passwords: Passwords, attempts: Attempts) -> None:
        self._store = store
        self._passwords = passwords
        self._attempts = attempts

    def check(self, *, username: str, password: str, address: str | None) -> int:
        """The person's id. Raises SignInRefused, with `retry_after_sec` when there is a wait."""
        username = username.strip()
        if not username or not password:
            raise SignInRefused("A username and a password are needed.", cure="Fill in both.")
        self._attempts.begin(username=username, address=address)
        found = self._find(username)
        right = self._passwords.check(password, found.password_hash if found is not None else None)
        if found is None or not right or not found.is_active:
            raise SignInRefused(
                "The username or the password is not right.",
                cure="Try again. An administrator can reset a forgotten password.",
            )
        self._attempts.succeeded(username=username, address=address)
        return found.user_id

    def _find(self, username: str) -> accounts.Credentials | None:
        if not is_username(username):
            return None
        with self._store.reading() as conn:
            return accounts.find_credentials(conn, username=username)
