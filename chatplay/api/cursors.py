"""Places in lists that show what was touched last first, as texts that programs hand back unread."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query

from chatplay.errors import BadInput

Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]


def write_cursor(updated_at: datetime, id: UUID) -> str:
    """The place of the last line of a page."""
    return base64.urlsafe_b64encode(f"{updated_at.isoformat()} {id}".encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """The inverse of `write_cursor`. Raises BadInput for what it has not written."""
    try:
        at, _, id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        found = datetime.fromisoformat(at)
        if found.tzinfo is None:
            raise ValueError
        return found, UUID(id)
    except (ValueError, binascii.Error):
        raise BadInput(
            "This cursor is not one of ours.", param="cursor", cure="Use the `next_cursor` of the page before."
        ) from None
