"""A filter as a short text for an address, so that a download can be asked for what a page shows."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import astuple
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from chatplay.errors import BadInput
from chatplay.params import unsendable_character
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
        if any(map(unsendable_character, _texts(astuple(found)))):
            raise ValueError
    except (ValidationError, ValueError, KeyError, OSError):
        cure = "Take the address from the page's download button."
        raise BadInput("This filter cannot be read.", param="filter", cure=cure) from None
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _texts(one)
