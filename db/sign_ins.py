"""Sign-ins, one-time tickets and failed attempts; every secret is stored as its SHA-256 only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, DateTime, LargeBinary, bindparam, delete, func, insert, select, text, update

from db.accounts import UserRecord, user_columns, user_record
from db.paces import Paces, PersonQuery
from db.schema import auth_attempts, auth_sessions, auth_tickets, organisations, users


@dataclass(frozen=True)
class SignInRecord:
    """One browser somebody is signed in with."""

    token_hash: bytes
    user_id: int
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None


@dataclass(frozen=True)
class TicketRecord:
    user_id: int | None
    return_to: str | None


@dataclass(frozen=True)
class AttemptRecord:
    """`locked_until` is None when the next attempt may come at once."""

    failures: int
    locked_until: datetime | None


# ---- sign-ins ----------------------------------------------------------------------------------


def add_sign_in(
    conn: Connection,
    *,
    token_hash: bytes,
    user_id: int,
    now: datetime,
    expires_at: datetime,
    address: str | None,
    user_agent: str | None,
) -> None:
    conn.execute(
        insert(auth_sessions).values(
            token_hash=token_hash,
            user_id=user_id,
            created_at=now,
            last_seen_at=now,
            expires_at=expires_at,
            address=address,
            user_agent=user_agent,
        )
    )


# Put together once: every request and every run of a page asks it.
_BY_TOKEN = PersonQuery(
    select(*user_columns(), auth_sessions.c.last_seen_at)
    .select_from(auth_sessions)
    .join(users, users.c.id == auth_sessions.c.user_id)
    .join(organisations, organisations.c.id == users.c.organisation_id)
    .where(
        auth_sessions.c.token_hash == bindparam("hash", type_=LargeBinary),
        auth_sessions.c.expires_at > bindparam("now", type_=DateTime(True)),
        auth_sessions.c.last_seen_at > bindparam("idle_since", type_=DateTime(True)),
        users.c.is_active,
    )
)


def find_signed_in(
    conn: Connection, *, token_hash: bytes, now: datetime, idle_since: datetime, paces: Paces | None = None
) -> tuple[tuple[UserRecord, datetime] | None, float]:
    """The active person behind a sign-in that has neither ended nor idled out, and when it was last seen. With `paces`
    the request is counted, and the second is how many seconds it came too early.
    """
    row, early_sec = _BY_TOKEN.ask(conn, {"hash": token_hash, "now": now, "idle_since": idle_since}, paces)
    return (None if row is None else (user_record(row), row.last_seen_at)), early_sec


def set_last_seen(conn: Connection, *, token_hash: bytes, now: datetime, latest_end: datetime) -> None:
    """`latest_end`: the sign-in ends then at the latest, whatever clock it was opened by."""
    expires_at = func.least(auth_sessions.c.expires_at, latest_end)
    own = auth_sessions.c.token_hash == token_hash
    conn.execute(update(auth_sessions).where(own).values(last_seen_at=now, expires_at=expires_at))


def list_sign_ins(conn: Connection, *, user_id: int, now: datetime, idle_since: datetime) -> list[SignInRecord]:
    """Those that still count, the one seen last first."""
    query = select(auth_sessions).where(
        auth_sessions.c.user_id == user_id,
        auth_sessions.c.expires_at > now,
        auth_sessions.c.last_seen_at > idle_since,
    )
    rows = conn.execute(query.order_by(auth_sessions.c.last_seen_at.desc()))
    return [SignInRecord(**row._mapping) for row in rows]


def end_sign_in(conn: Connection, *, token_hash: bytes, user_id: int | None = None) -> None:
    """`user_id`: only when it is this person's."""
    statement = delete(auth_sessions).where(auth_sessions.c.token_hash == token_hash)
    conn.execute(statement if user_id is None else statement.where(auth_sessions.c.user_id == user_id))


def end_sign_ins(conn: Connection, *, user_id: int, except_token_hash: bytes | None = None) -> int:
    """How many of this person's sign-ins ended; tickets on their way to become one end too."""
    conn.execute(delete(auth_tickets).where(auth_tickets.c.user_id == user_id))
    statement = delete(auth_sessions).where(auth_sessions.c.user_id == user_id)
    if except_token_hash is not None:
        statement = statement.where(auth_sessions.c.token_hash != except_token_hash)
    return conn.execute(statement).rowcount


# ---- tickets -----------------------------------------------------------------------------------


def add_ticket(
    conn: Connection,
    *,
    token_hash: bytes,
    purpose: str,
    expires_at: datetime,
    user_id: int | None = None,
    browser_hash: bytes | None = None,
    return_to: str | None = None,
) -> None:
    conn.execute(
        insert(auth_tickets).values(
            token_hash=token_hash,
            purpose=purpose,
            user_id=user_id,
            browser_hash=browser_hash,
            return_to=return_to,
            expires_at=expires_at,
        )
    )


def take_ticket(
    conn: Connection, *, token_hash: bytes, purpose: str, now: datetime, browser_hash: bytes | None = None
) -> TicketRecord | None:
    """The ticket, used up by this call; None when it is unknown, used, too old or another browser's."""
    statement = delete(auth_tickets).where(
        auth_tickets.c.token_hash == token_hash,
        auth_tickets.c.purpose == purpose,
        auth_tickets.c.expires_at > now,
        auth_tickets.c.browser_hash.is_not_distinct_from(browser_hash),
    )
    row = conn.execute(statement.returning(auth_tickets.c.user_id, auth_tickets.c.return_to)).one_or_none()
    return None if row is None else TicketRecord(**row._mapping)


def has_ticket(conn: Connection, *, token_hash: bytes, purpose: str, now: datetime) -> bool:
    query = select(auth_tickets.c.purpose).where(
        auth_tickets.c.token_hash == token_hash, auth_tickets.c.purpose == purpose, auth_tickets.c.expires_at > now
    )
    return conn.execute(query).first() is not None


def delete_tickets(conn: Connection, *, purpose: str) -> None:
    conn.execute(delete(auth_tickets).where(auth_tickets.c.purpose == purpose))


# ---- failed attempts ---------------------------------------------------------------------------

# Counted before the password is looked at, so that a hundred guesses sent at once are a hundred, not one.
_COUNT = text("""
    INSERT INTO auth_attempts AS a (key, failures, last_failed_at, locked_until)
    VALUES (:key, 1, :now, :now + make_interval(secs => (:waits)[1]))
    ON CONFLICT (key) DO UPDATE SET
        failures = CASE WHEN a.last_failed_at < :forget_before THEN 1 ELSE a.failures + 1 END,
        last_failed_at = :now,
        locked_until = :now + make_interval(secs => (:waits)[
            CASE WHEN a.last_failed_at < :forget_before THEN 1
                 ELSE least(a.failures + 1, cardinality(:waits)) END])
    WHERE a.locked_until IS NULL OR a.locked_until <= :now OR a.last_failed_at > :now + interval '1 minute'
    RETURNING a.failures, a.locked_until
""")


def count_attempt(
    conn: Connection, *, key: str, now: datetime, forget_before: datetime, waits_sec: list[float]
) -> AttemptRecord | None:
    """Count one attempt under `key` in a single statement; None, and not counted, while it is locked.

    After the n-th failure the next attempt has to wait `waits_sec[n - 1]` seconds (the last entry from then on).
    A count whose last failure is before `forget_before` starts again at one. A lock that begins in the future was
    made by a clock that has been put back since: it counts no more, the failures do.
    """
    values = {"key": key, "now": now, "forget_before": forget_before, "waits": waits_sec}
    row = conn.execute(_COUNT, values).one_or_none()
    return None if row is None else AttemptRecord(**row._mapping)


def find_attempts(conn: Connection, *, key: str) -> AttemptRecord | None:
    query = select(auth_attempts.c.failures, auth_attempts.c.locked_until).where(auth_attempts.c.key == key)
    row = conn.execute(query).one_or_none()
    return None if row is None else AttemptRecord(**row._mapping)


def forget_attempts(conn: Connection, *, key: str) -> None:
    conn.execute(delete(auth_attempts).where(auth_attempts.c.key == key))


def forget_attempts_like(conn: Connection, *, prefix: str) -> None:
    """All whose key begins with `prefix`."""
    conn.execute(delete(auth_attempts).where(auth_attempts.c.key.startswith(prefix, autoescape=True)))


def take_back_attempt(conn: Connection, *, key: str) -> None:
    """The attempt counted last was none: the password was right."""
    values = {"failures": auth_attempts.c.failures - 1, "locked_until": None}
    conn.execute(update(auth_attempts).where(auth_attempts.c.key == key, auth_attempts.c.failures > 0).values(values))


# ---- housekeeping ------------------------------------------------------------------------------


def delete_expired(conn: Connection, *, now: datetime, idle_since: datetime, forget_before: datetime) -> int:
    """Rows removed that count for nothing any more: ended sign-ins, old tickets, forgotten attempts."""
    ended = (auth_sessions.c.expires_at <= now) | (auth_sessions.c.last_seen_at <= idle_since)
    unlocked = auth_attempts.c.locked_until.is_(None) | (auth_attempts.c.locked_until <= now)
    forgotten = (  # those that an attempt holds are left to it: it may wait for another one
        select(auth_attempts.c.key)
        .where(auth_attempts.c.last_failed_at < forget_before, unlocked)
        .with_for_update(skip_locked=True)
    )
    statements = (
        delete(auth_sessions).where(ended),
        delete(auth_tickets).where(auth_tickets.c.expires_at <= now),
        delete(auth_attempts).where(auth_attempts.c.key.in_(forgotten)),
    )
    return sum(conn.execute(statement).rowcount for statement in statements)
