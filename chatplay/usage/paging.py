"""Where a page of calls ended, as a short text for an address or a button."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from uuid import UUID

from chatplay.errors import BadInput
from chatplay.usage.values import Order
from db.usage_calls import Place


def write_place(place: Place) -> str:
    """Opaque, safe in an address."""
    value = place.value.isoformat() if isinstance(place.value, datetime) else place.value
    return base64.urlsafe_b64encode(json.dumps([value, str(place.generation_id)]).encode()).decode()


def read_place(text: str, order: Order) -> Place:
    """The inverse for a list in this order. Raises BadInput."""
    try:
        value, generation_id = json.loads(base64.urlsafe_b64decode(text.encode()))
        known = datetime.fromisoformat(value) if order == "newest" else float(value)
        return Place(known, UUID(generation_id))
    except (ValueError, TypeError, AttributeError):
        raise BadInput("The list cannot be continued from there.", param="after", cure="Begin at its top.") from None
