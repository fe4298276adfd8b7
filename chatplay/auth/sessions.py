"""Who is signed in where: opened by a ticket, looked up in every script run, ended everywhere at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatplay.auth.person import Person, person_of
from chatplay.auth.tokens import new_token, token_hash
from chatplay.settings import Settings
from chatplay.store import Store
from db import accounts, sign_ins
from db.paces import Paces

_SEEN_EVERY = timedelta(minutes=1)
_MAX_AGENT_CHARS = 300


@dataclass(frozen=True)
class Device:
    """A browser somebody is signed in with. `id` names it for `end_device`; it is no secret that signs in."""

    id: str
    user_agent: str | None
    address: str | None
    signed_in_at: datetime
    last_seen_at: datetime
    is_this_one: bool


class Sessions:
    """A sign-in lasts SIGN_IN_DAYS at most and ends when unused for SIGN_IN_IDLE_HOURS.

    A clock that is put back signs nobody out and makes no sign-in last longer than that from then on. One that jumps
    ahead counts as time that has passed: people sign in again.
    """

    def __init__(self, *, store: Store, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._lifetime = timedelta(days=settings.sign_in_days)
        self._idle = timedelta(hours=settings.sign_in_idle_hours)

    @property
    def lifetime_sec(self) -> int:
        return int(self._lifetime.total_seconds())

    def open(self, *, user_id: int, address: str | None, user_agent: str | None, replaces: str | None = None) -> str:
        """The new sign-in's token, for the cookie. `replaces`: the token this browser had before, which ends."""
        token, now = new_token(), self._clock()
        with self._store.transaction() as conn:
            if replaces is not None:
                sign_ins.end_sign_in(conn, token_hash=token_hash(replaces))
            sign_ins.add_sign_in(
                conn,
                token_hash=token_hash(token),
                user_id=user_id,
                now=now,
                expires_at=now + self._lifetime,
                address=address,
                user_agent=_clean(user_agent),
            )
            accounts.set_last_sign_in(conn, user_id=user_id, at=now)
        return token

    def find_person(self, token: str | None) -> Person | None:
        """The person signed in with `token`: one indexed query, and once a minute a note that they were seen."""
        return self.admit(token, None)[0] if token else None

    def admit(self, token: str | None, paces: Paces | None) -> tuple[Person | None, float]:
        """As `find_person`; with `paces` a request is counted in the same query, and the second is how many seconds
        it came too early.
        """
        hashed, now = token_hash(token or ""), self._clock()
        with self._store.reading() as conn:
            found, early_sec = sign_ins.find_signed_in(
                conn, token_hash=hashed, now=now, idle_since=now - self._idle, paces=paces
            )
            if found is None:
                return None, early_sec
            record, seen_at = found
            if abs(now - seen_at) >= _SEEN_EVERY:
                sign_ins.set_last_seen(conn, token_hash=hashed, now=now, latest_end=now + self._lifetime)
        return person_of(record), early_sec

    def end(self, token: str) -> None:
        with self._store.transaction() as conn:
            sign_ins.end_sign_in(conn, token_hash=token_hash(token))

    def end_everywhere(self, *, user_id: int) -> int:
        """How many sign-ins ended, this one included."""
        with self._store.transaction() as conn:
            return sign_ins.end_sign_ins(conn, user_id=user_id)

    def list_devices(self, *, user_id: int, token: str | None) -> list[Device]:
        """Where this person is signed in, the one used last first; `token` marks the one that asks."""
        now, own = self._clock(), token_hash(token or "")
        with self._store.reading() as conn:
            found = sign_ins.list_sign_ins(conn, user_id=user_id, now=now, idle_since=now - self._idle)
        return [_device(record, is_this_one=record.token_hash == own) for record in found]

    def end_device(self, *, user_id: int, device_id: str) -> None:
        """End one of this person's own sign-ins; another person's is left alone."""
        with self._store.transaction() as conn:
            sign_ins.end_sign_in(conn, token_hash=bytes.fromhex(device_id), user_id=user_id)

    def clean_up(self) -> int:
        """Remove rows that count for nothing any more; how many there were."""
        now = self._clock()
        with self._store.transaction() as conn:
            return sign_ins.delete_expired(
                conn, now=now, idle_since=now - self._idle, forget_before=now - timedelta(days=2)
            )


def _device(record: sign_ins.SignInRecord, *, is_this_one: bool) -> Device:
    return Device(
        id=record.token_hash.hex(),
        user_agent=record.user_agent,
        address=record.address,
        signed_in_at=record.created_at,
        last_seen_at=record.last_seen_at,
        is_this_one=is_this_one,
    )


def _clean(user_agent: str | None) -> str | None:
    """As text PostgreSQL takes: no NUL, no lone surrogate, not endless."""
    if user_agent is None:
        return None
    return user_agent.replace("\x00", "").encode("utf-8", "replace").decode()[:_MAX_AGENT_CHARS]
