"""People and their organisations: who there is, what they may do, and the rule that an administrator remains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db.schema import organisations, users

_FIRST_ADMINISTRATOR_LOCK = 0x63686174_5345_5455  # two people at set-up at once: one waits, then sees the other


@dataclass(frozen=True)
class UserRecord:
    """A person as stored, without the password's hash. `preferences` is the JSON object as it is."""

    id: int
    organisation_id: int
    organisation: str
    username: str
    display_name: str
    role: str
    is_active: bool
    must_change_password: bool
    preferences: Mapping[str, Any]
    created_at: datetime
    last_sign_in_at: datetime | None


@dataclass(frozen=True)
class Credentials:
    """What is needed to check a password, and no more."""

    user_id: int
    is_active: bool
    password_hash: str = field(repr=False)


def user_columns() -> list[Any]:
    """The columns of a `UserRecord`, for queries that join `users` and `organisations`."""
    return [
        users.c.id,
        users.c.organisation_id,
        organisations.c.name.label("organisation"),
        users.c.username,
        users.c.display_name,
        users.c.role,
        users.c.is_active,
        users.c.must_change_password,
        users.c.preferences,
        users.c.created_at,
        users.c.last_sign_in_at,
    ]


def user_record(row: Row[*tuple[Any, ...]]) -> UserRecord:
    """The record in a row that holds `user_columns()`, whatever else it holds."""
    return UserRecord(**{name: getattr(row, name) for name in UserRecord.__dataclass_fields__})


def _select_users() -> Select[Any]:
    return select(*user_columns()).join(organisations, organisations.c.id == users.c.organisation_id)


def find_user(conn: Connection, *, user_id: int) -> UserRecord | None:
    row = conn.execute(_select_users().where(users.c.id == user_id)).one_or_none()
    return None if row is None else user_record(row)


def find_credentials(conn: Connection, *, username: str) -> Credentials | None:
    """Of the one person with this name, upper and lower case alike."""
    query = select(users.c.id.label("user_id"), users.c.is_active, users.c.password_hash)
    row = conn.execute(query.where(func.lower(users.c.username) == username.lower())).one_or_none()
    return None if row is None else Credentials(**row._mapping)


def find_password_hash(conn: Connection, *, user_id: int) -> str | None:
    return conn.execute(select(users.c.password_hash).where(users.c.id == user_id)).scalar_one_or_none()


def list_users(conn: Connection) -> list[UserRecord]:
    """Everybody, the active first, then by name."""
    query = _select_users().order_by(users.c.is_active.desc(), func.lower(users.c.username))
    return [user_record(row) for row in conn.execute(query)]


def list_organisations(conn: Connection) -> list[str]:
    return list(conn.execute(select(organisations.c.name).order_by(organisations.c.id)).scalars())


def has_users(conn: Connection) -> bool:
    return bool(conn.execute(select(exists(select(users.c.id)))).scalar_one())


def lock_first_administrator(conn: Connection) -> None:
    """Hold others who would create the first administrator until this transaction ends."""
    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _FIRST_ADMINISTRATOR_LOCK})


def get_or_add_organisation(conn: Connection, *, name: str) -> int:
    """Its id; created when there is none of this name."""
    conn.execute(insert(organisations).values(name=name).on_conflict_do_nothing())
    organisation_id: int = conn.execute(select(organisations.c.id).where(organisations.c.name == name)).scalar_one()
    return organisation_id


def add_user(
    conn: Connection,
    *,
    organisation_id: int,
    username: str,
    display_name: str,
    password_hash: str,
    role: str,
    must_change_password: bool,
) -> int | None:
    """The new person's id, None when the name is taken in any spelling."""
    statement = insert(users).values(
        organisation_id=organisation_id,
        username=username,
        display_name=display_name,
        password_hash=password_hash,
        role=role,
        must_change_password=must_change_password,
    )
    return conn.execute(statement.on_conflict_do_nothing().returning(users.c.id)).scalar_one_or_none()


def set_password(conn: Connection, *, user_id: int, password_hash: str, must_change_password: bool) -> None:
    _update(conn, user_id, password_hash=password_hash, must_change_password=must_change_password)


def set_display_name(conn: Connection, *, user_id: int, display_name: str) -> None:
    _update(conn, user_id, display_name=display_name)


def set_preferences(conn: Connection, *, user_id: int, preferences: Mapping[str, Any]) -> None:
    _update(conn, user_id, preferences=dict(preferences))


def set_role(conn: Connection, *, user_id: int, role: str) -> None:
    _update(conn, user_id, role=role)


def set_active(conn: Connection, *, user_id: int, is_active: bool) -> None:
    _update(conn, user_id, is_active=is_active)


def set_last_sign_in(conn: Connection, *, user_id: int, at: datetime) -> None:
    conn.execute(update(users).where(users.c.id == user_id).values(last_sign_in_at=at))


def lock_active_administrators(conn: Connection) -> list[int]:
    """Their ids; nobody else can demote or deactivate one of them until this transaction ends."""
    query = select(users.c.id).where(users.c.role == "administrator", users.c.is_active)
    return list(conn.execute(query.order_by(users.c.id).with_for_update()).scalars())


def _update(conn: Connection, user_id: int, **values: object) -> None:
    conn.execute(update(users).where(users.c.id == user_id).values(updated_at=func.now(), **values))
