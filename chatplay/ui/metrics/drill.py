"""Which calls a point, a bar or a cell of a chart stands for, as a filter."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from chatplay.usage.values import By, ModelKey, UsageFilter

_NOBODY = "0"  # how a row of usage names calls whose person is not known


def within(filter: UsageFilter, start: datetime, end: datetime) -> UsageFilter:
    """The part of the filter's range in [start, end), as the charts count it.

    A chart's first bucket begins before the range does, and holds only what is in it: whole hours where it comes
    from the roll-up.
    """
    begins = filter.start
    if not filter.needs_rows:
        begins -= timedelta(minutes=begins.minute, seconds=begins.second, microseconds=begins.microsecond)
    return replace(filter, start=max(start, begins), end=min(end, filter.end))


def of_row(filter: UsageFilter, by: By, key: str, tz: ZoneInfo) -> UsageFilter | None:
    """The calls of a row of the usage table; None where no filter can name them."""
    match by:
        case "model":
            upstream, _, model = key.partition("/")
            return replace(filter, models=(ModelKey(upstream, model),))
        case "source":
            return replace(filter, sources=(key,))
        case "person":
            return None if key == _NOBODY else replace(filter, user_id=int(key))
        case "day":
            begins = datetime.combine(date.fromisoformat(key), time(), tzinfo=tz)
            return within(filter, begins, begins + timedelta(days=1))
        case _:
            return None
