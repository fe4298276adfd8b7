"""Personal access tokens: what scripts and notebooks show instead of a sign-in's cookie. Shown once, stored hashed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from chatplay.auth.person import Person, person_of
from chatplay.auth.rules import check_display_name
from chatplay.auth.tokens import new_token, token_hash
from chatplay.errors import BadInput, Conflict, NotFound
from chatplay.store import Store
from db import access
from db.access import TokenRecord
from db.paces import Paces

__all__ = ["SCOPES", "AccessTokens", "NewToken", "Scope", "TokenRecord"]
Scope = Literal["read", "chat", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_PREFIX = "cpat_"  # lets people and secret scanners see what it is
_MAX_TOKENS, _MAX_DAYS = 50, 3_660
_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class NewToken:
    """A token just made: `secret` is to be shown now and never again."""

    secret: str
    record: TokenRecord


class AccessTokens:
    """Made, listed and revoked by the person they belong to; they end with the account's rights."""

    def __init__(self, *, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def create(self, *, actor: Person, name: str, scopes: Iterable[str], days: int | None) -> NewToken:
        """Lasts `days` days, or until it is revoked (None). Raises BadInput naming the field, Conflict for too many."""
        chosen = _check_scopes(actor, scopes)
        now, secret = self._clock(), _PREFIX + new_token()
        with self._store.transaction() as conn:
            if access.count_tokens(conn, user_id=actor.id) >= _MAX_TOKENS:
                raise Conflict(f"You have {_MAX_TOKENS} access tokens.", cure="Revoke one that is not used any more.")
            record = access.add_token(
                conn,
                user_id=actor.id,
                name=_check_name(name),
                scopes=chosen,
                token_hash=token_hash(secret),
                ending=secret[-4:],
                expires_at=_expiry(now, days),
                now=now,
            )
        return NewToken(secret, record)

    def list_own(self, *, actor: Person) -> list[TokenRecord]:
        """The newest first, expired ones among them."""
        with self._store.reading() as conn:
            return access.list_tokens(conn, user_id=actor.id)

    def revoke(self, *, actor: Person, token_id: int) -> None:
        """From now on it opens nothing. Raises NotFound for what is not the person's own."""
        with self._store.transaction() as conn:
            if not access.end_token(conn, user_id=actor.id, token_id=token_id):
                raise NotFound("There is no such access token.", cure="It may have been revoked already.")

    def find_person(self, secret: str) -> tuple[Person, TokenRecord] | None:
        """Whose token this is: one indexed query, and once a minute a note that it was used."""
        return self.admit(secret, None)[0]

    def admit(self, secret: str, paces: Paces | None) -> tuple[tuple[Person, TokenRecord] | None, float]:
        """As `find_person`; with `paces` a request is counted in the same query, and the second is how many seconds
        it came too early.
        """
        now = self._clock()
        with self._store.reading() as conn:
            found, early_sec = access.find_token(conn, token_hash=token_hash(secret), now=now, paces=paces)
            if found is None:
                return None, early_sec
            record, token = found
            if token.last_used_at is None or now - token.last_used_at >= _USED_EVERY:
                access.set_last_used(conn, token_id=token.id, now=now)
        return (person_of(record), token), early_sec


def _check_scopes(actor: Person, scopes: Iterable[str]) -> list[str]:
    asked = set(scopes)
    if unknown := asked.difference(SCOPES):
        raise BadInput(
            f"There is no scope `{min(unknown)[:40]}`.", param="scopes", cure=f"Choose of {', '.join(SCOPES)}."
        )
    if not asked:
        raise BadInput("A token without a scope opens nothing.", param="scopes", cure="Choose at least one.")
    if "admin" in asked and not actor.is_administrator:
        raise BadInput("Only administrators have the scope `admin`.", param="scopes", cure="Leave it out.")
    return [scope for scope in SCOPES if scope in asked]


def _check_name(name: str) -> str:
    try:
        return check_display_name(name)
    except BadInput as error:
        raise BadInput("This name cannot be used for a token.", param="name", cure=error.cure) from None


def _expiry(now: datetime, days: int | None) -> datetime | None:
    if days is None:
        return None
    if not 1 <= days <= _MAX_DAYS:
        raise BadInput(f"A token lasts 1 to {_MAX_DAYS:,} days.", param="days", cure="Choose another expiry.")
    return now + timedelta(days=days)
