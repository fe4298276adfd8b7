"""Personal access tokens, stored as SHA-256 only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    Connection,
    DateTime,
    LargeBinary,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from db.accounts import UserRecord, user_columns, user_record
from db.paces import Paces, PersonQuery
from db.schema import access_tokens, organisations, users


@dataclass(frozen=True)
class TokenRecord:
    """A token as its owner may see it. `ending`: its last characters."""

    id: int
    user_id: int
    name: str
    scopes: tuple[str, ...]
    ending: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


_COLUMNS = (
    access_tokens.c.id,
    access_tokens.c.user_id,
    access_tokens.c.name,
    access_tokens.c.scopes,
    access_tokens.c.ending,
    access_tokens.c.created_at,
    access_tokens.c.expires_at,
    access_tokens.c.last_used_at,
)


def add_token(
    conn: Connection,
    *,
    user_id: int,
    name: str,
    scopes: Sequence[str],
    token_hash: bytes,
    ending: str,
    expires_at: datetime | None,
    now: datetime,
) -> TokenRecord:
    values = {
        "user_id": user_id,
        "name": name,
        "scopes": list(scopes),
        "token_hash": token_hash,
        "ending": ending,
        "created_at": now,
        "expires_at": expires_at,
    }
    return _token(conn.execute(insert(access_tokens).values(**values).returning(*_COLUMNS)).one())


def list_tokens(conn: Connection, *, user_id: int) -> list[TokenRecord]:
    """The person's tokens, the newest first; those that have expired too."""
    query = select(*_COLUMNS).where(access_tokens.c.user_id == user_id)
    return [_token(row) for row in conn.execute(query.order_by(access_tokens.c.id.desc()))]


def count_tokens(conn: Connection, *, user_id: int) -> int:
    query = select(func.count()).select_from(access_tokens).where(access_tokens.c.user_id == user_id)
    return conn.execute(query).scalar_one()


# Put together once: every request asks it.
_BY_TOKEN = PersonQuery(
    select(*user_columns(), *(column.label(f"token_{column.name}") for column in _COLUMNS))
    .select_from(access_tokens)
    .join(users, users.c.id == access_tokens.c.user_id)
    .join(organisations, organisations.c.id == users.c.organisation_id)
    .where(
        access_tokens.c.token_hash == bindparam("hash", type_=LargeBinary),
        or_(access_tokens.c.expires_at.is_(None), access_tokens.c.expires_at > bindparam("now", type_=DateTime(True))),
        users.c.is_active,
    )
)


def find_token(
    conn: Connection, *, token_hash: bytes, now: datetime, paces: Paces | None = None
) -> tuple[tuple[UserRecord, TokenRecord] | None, float]:
    """The active person behind a token that has not expired, and the token. With `paces` the request is counted, and
    the second is how many seconds it came too early.
    """
    row, early_sec = _BY_TOKEN.ask(conn, {"hash": token_hash, "now": now}, paces)
    if row is None:
        return None, early_sec
    return (user_record(row), _token([getattr(row, f"token_{column.name}") for column in _COLUMNS])), early_sec


def set_last_used(conn: Connection, *, token_id: int, now: datetime) -> None:
    conn.execute(update(access_tokens).where(access_tokens.c.id == token_id).values(last_used_at=now))


_GOOD = text("""
    SELECT c.token_hash FROM (
        SELECT token_hash, user_id FROM access_tokens
        WHERE token_hash = ANY(:hashes) AND (expires_at IS NULL OR expires_at > :now)
        UNION ALL
        SELECT token_hash, user_id FROM auth_sessions
        WHERE token_hash = ANY(:hashes) AND expires_at > :now AND last_seen_at > :idle_since
    ) c JOIN users u ON u.id = c.user_id WHERE u.is_active AND NOT u.must_change_password
""").bindparams(bindparam("hashes", type_=ARRAY(LargeBinary)))


def list_good(conn: Connection, *, hashes: Collection[bytes], now: datetime, idle_since: datetime) -> frozenset[bytes]:
    """Those of these tokens and sign-ins that still let somebody in."""
    values = {"hashes": list(hashes), "now": now, "idle_since": idle_since}
    return frozenset(map(bytes, conn.execute(_GOOD, values).scalars()))


def end_token(conn: Connection, *, user_id: int, token_id: int) -> bool:
    """False when the person has no such token."""
    own = (access_tokens.c.id == token_id) & (access_tokens.c.user_id == user_id)
    return conn.execute(delete(access_tokens).where(own)).rowcount == 1


def end_tokens(conn: Connection, *, user_id: int) -> int:
    """How many of this person's tokens ended."""
    return conn.execute(delete(access_tokens).where(access_tokens.c.user_id == user_id)).rowcount


def _token(row: Sequence[object]) -> TokenRecord:
    values = dict(zip(TokenRecord.__dataclass_fields__, row, strict=True))
    return TokenRecord(**{**values, "scopes": tuple(values["scopes"])})  # type: ignore[arg-type]
