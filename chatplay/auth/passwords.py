"""Hashes and checks passwords with streamlit-authenticator's bcrypt, of any length and at an equal pace."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import cached_property
from typing import Protocol

from chatplay.auth.rules import MAX_PASSWORD_CHARS, normal_password

# Of a password nobody knows, at the cost streamlit-authenticator uses: the time an unknown name takes.
_NOBODYS_HASH = "$2b$12$90nnRw1kLQXU9K23Wna7fezvhyFEdYLk0Njty.Ojfg4dWDXPNKek2"


class Hasher(Protocol):
    """As streamlit-authenticator's `Hasher`: bcrypt refuses more than 72 bytes."""

    def hash(self, password: str) -> str: ...
    def check_pw(self, password: str, hashed_password: str) -> bool: ...


class Passwords:
    """`hash` a password to store, `check` one that was typed. Each takes about 0.2 s, on purpose.

    Without a `hasher`: streamlit-authenticator's, loaded with the first password, because that takes a second and
    brings Streamlit along; workers and most commands never see one.
    """

    def __init__(self, hasher: Hasher | None = None) -> None:
        self._given = hasher

    def hash(self, password: str) -> str:
        return self._hasher.hash(_digest(password))

    def check(self, password: str, password_hash: str | None) -> bool:
        """False for `password_hash=None` too, after the same work."""
        matches = self._hasher.check_pw(_digest(password), password_hash or _NOBODYS_HASH)
        return matches and password_hash is not None

    @cached_property
    def _hasher(self) -> Hasher:
        if self._given is not None:
            return self._given
        from streamlit_authenticator.utilities import Hasher as BcryptHasher

        hasher: Hasher = BcryptHasher()
        return hasher


def _digest(password: str) -> str:
    """44 characters that stand for all of `password`. Keyed, so that plain SHA-256 lists from elsewhere do not fit."""
    normal = normal_password(password[: 2 * MAX_PASSWORD_CHARS]).encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.digest(b"chatplay password 1", normal, hashlib.sha256)).decode()
