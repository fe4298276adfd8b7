"""Who is signed in, as pages and routes see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from db.accounts import UserRecord

Role = Literal["analyst", "administrator"]
ROLES: tuple[Role, ...] = ("analyst", "administrator")


@dataclass(frozen=True)
class Preferences:
    """How a person likes things shown. `time_zone` is an IANA name; None follows the browser."""

    time_zone: str | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """What was stored; anything unknown or of the wrong kind counts as not set."""
        zone = stored.get("time_zone")
        return cls(time_zone=zone if isinstance(zone, str) else None)

    def to_json(self) -> dict[str, Any]:
        return {"time_zone": self.time_zone}


@dataclass(frozen=True)
class Person:
    """A person of this playground. `organisation` is the name of theirs."""

    id: int
    username: str
    display_name: str
    role: str
    organisation_id: int
    organisation: str
    preferences: Preferences
    is_active: bool
    must_change_password: bool
    created_at: datetime
    last_sign_in_at: datetime | None

    @property
    def is_administrator(self) -> bool:
        return self.role == "administrator"


def person_of(record: UserRecord) -> Person:
    return Person(
        id=record.id,
        username=record.username,
        display_name=record.display_name,
        role=record.role,
        organisation_id=record.organisation_id,
        organisation=record.organisation,
        preferences=Preferences.from_json(record.preferences),
        is_active=record.is_active,
        must_change_password=record.must_change_password,
        created_at=record.created_at,
        last_sign_in_at=record.last_sign_in_at,
    )
