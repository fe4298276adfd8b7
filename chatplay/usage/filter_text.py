"""A filter as a short text for an address, so that a download can be asked for what a page shows."""

from __future__ import annotations

import base64
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from chatplay.errors import BadInput
from chatplay.usage.values import UsageFilter

_KIND = TypeAdapter(UsageFilter)
_MOMENT = TypeAdapter(AwareDatetime)


def write_filter(filter: UsageFilter) -> str:
    """Opaque, safe in an address."""
    return base64.urlsafe_b64encode(_KIND.dump_json(filter, exclude_defaults=True)).decode()


def read_filter(text: str) -> UsageFilter:
    """The inverse; whose calls it may ask for is still to be checked (`Usage.restrict`). Raises BadInput."""
    try:
        found = _KIND.validate_json(base64.urlsafe_b64decode(text.encode()))
        for moment in (found.start, found.end):
            _MOMENT.validate_python(moment)
        if found.week_hour is not None:
            ZoneInfo(found.week_hour.tz)
    except (ValidationError, ValueError, KeyError, OSError):
        cure = "Take the address from the page's download button."
        raise BadInput("This filter cannot be read.", param="filter", cure=cure) from None
    return found
