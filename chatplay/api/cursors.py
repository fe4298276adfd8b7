"""Places in lists, as texts that programs hand back unread."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query

from chatplay.errors import BadInput
from chatplay.experiments.values import TrialPlace

Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]
_TRIAL = re.compile(r"(\d{1,9}) (\d{1,9}) (\d{1,9})", re.ASCII)


def write_cursor(updated_at: datetime, id: UUID) -> str:
    """The place of the last line of a page that shows what was touched last first."""
    return _written(f"{updated_at.isoformat()} {id}")


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """The inverse of `write_cursor`. Raises BadInput for what it has not written."""
    try:
        at, _, id = _read(cursor).partition(" ")
        found = datetime.fromisoformat(at)
        if found.tzinfo is None:
            raise ValueError
        return found, UUID(id)
    except ValueError:
        raise _not_ours() from None


def write_trial_cursor(place: TrialPlace) -> str:
    """The place of the last trial of a page."""
    return _written(f"{place.case} {place.arm} {place.repeat}")


def read_trial_cursor(cursor: str) -> TrialPlace:
    """The inverse of `write_trial_cursor`. Raises BadInput for what it has not written."""
    found = _TRIAL.fullmatch(_read(cursor))
    if found is None:
        raise _not_ours()
    return TrialPlace(*map(int, found.groups()))


def _written(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def _read(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor.encode()).decode()
    except ValueError:
        raise _not_ours() from None


def _not_ours() -> BadInput:
    return BadInput("This cursor is not one of ours.", param="cursor", cure="Use the `next_cursor` of the page before.")
