"""Slows down and locks guessing, per account and per address; the counts live in PostgreSQL and outlive restarts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatplay.errors import SignInRefused
from chatplay.settings import Settings
from chatplay.store import Connection, Store
from chatplay.waits import wait_text
from db import sign_ins

_ADDRESS_FACTOR = 4  # a whole team may sit behind one address
_DOUBLINGS = 4  # a lock grows to 16 times SIGN_IN_LOCK_MINUTES, not for ever
_FORGET = timedelta(hours=24)
_ADDRESS = "address:"


@dataclass(frozen=True)
class Policy:
    """`waits_sec[n - 1]`: how long the next attempt waits after the n-th failure in a row."""

    waits_sec: tuple[float, ...]


def account_policy(settings: Settings) -> Policy:
    """The first failure is free, then 1, 2, 4, ... s, then locks that double."""
    free = settings.sign_in_max_failures - 1
    slow = [0.0, *(float(min(2**n, 30)) for n in range(max(0, free - 1)))][:free]
    return Policy((*slow, *_locks(settings)))


def address_policy(settings: Settings) -> Policy:
    """Nothing is slowed down until far too many failed, then the same locks."""
    return Policy((*[0.0] * (settings.sign_in_max_failures * _ADDRESS_FACTOR - 1), *_locks(settings)))


def _locks(settings: Settings) -> list[float]:
    return [settings.sign_in_lock_minutes * 60.0 * 2**n for n in range(_DOUBLINGS + 1)]


class Attempts:
    """Counts an attempt before the password is looked at and takes it back when it was right."""

    def __init__(self, *, store: Store, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._account = account_policy(settings)
        self._address = address_policy(settings)

    def begin(self, *, username: str, address: str | None) -> None:
        """Raises SignInRefused (with the wait in seconds) while the account or the address has to wait.

        What is refused tests no password: it counts against neither of the two.
        """
        now = self._clock()
        with self._store.transaction() as conn:
            if address is not None:
                wait_sec = _count(conn, _address_key(address), self._address, now)
                if wait_sec is not None:
                    raise too_many_from_there(wait_sec)
            wait_sec = _count(conn, _account_key(username), self._account, now)
            if wait_sec is not None:
                raise too_many(wait_sec)

    def succeeded(self, *, username: str, address: str | None) -> None:
        with self._store.transaction() as conn:
            if address is not None:  # before the account, as `begin` locks them
                sign_ins.take_back_attempt(conn, key=_address_key(address))
            sign_ins.forget_attempts(conn, key=_account_key(username))

    def let_in(self, *, username: str) -> None:
        """The password was reset: its new owner need not wait. All addresses are forgotten with the account, since
        nobody can tell from which one the person who was locked out came.
        """
        with self._store.transaction() as conn:
            sign_ins.forget_attempts_like(conn, prefix=_ADDRESS)
            sign_ins.forget_attempts(conn, key=_account_key(username))


def _count(conn: Connection, key: str, policy: Policy, now: datetime) -> float | None:
    """Counts an attempt; how many seconds it came too early, and then it does not count."""
    counted = sign_ins.count_attempt(
        conn, key=key, now=now, forget_before=now - _FORGET, waits_sec=list(policy.waits_sec)
    )
    if counted is not None:
        return None
    found = sign_ins.find_attempts(conn, key=key)
    until = found.locked_until if found is not None else None
    return (until - now).total_seconds() if until is not None else 1.0


def too_many(wait_sec: float) -> SignInRefused:
    """The refusal for a name that has to wait; it says nothing about whether the name exists."""
    return _too_many("Too many sign-in attempts failed.", "An administrator can reset a forgotten password.", wait_sec)


def too_many_from_there(wait_sec: float) -> SignInRefused:
    """The refusal for an address that has to wait, whatever the name."""
    return _too_many(
        "Too many sign-in attempts failed from your network address, which others may share.",
        "It ends sooner when an administrator resets a password.",
        wait_sec,
    )


def _too_many(what: str, way_out: str, wait_sec: float) -> SignInRefused:
    wait_sec = max(1.0, wait_sec)
    return SignInRefused(what, cure=f"Wait {wait_text(wait_sec)}, then try again. {way_out}", retry_after_sec=wait_sec)


def _account_key(username: str) -> str:
    return "account:" + ascii(username.lower())[:100]  # ascii(): NUL and lone surrogates do not fit into text


def _address_key(address: str) -> str:
    return _ADDRESS + ascii(address)[:100]
