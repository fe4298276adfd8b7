"""The time range that a route is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chatplay.errors import BadInput
from chatplay.usage.values import YEARS, UsageFilter

_DAYS = 30
_LONGEST = timedelta(days=3_660)


def read_range(start: datetime | None, end: datetime | None) -> UsageFilter:
    """Everybody's calls in the range. A time without a zone is UTC. Raises BadInput."""
    until = _aware(end, "end") if end else datetime.now(UTC)
    since = _aware(start, "start") if start else until - timedelta(days=_DAYS)
    if not timedelta() < until - since <= _LONGEST:
        raise BadInput(
            "The range has no length, or too much.", param="start", cure=f"Choose 1 to {_LONGEST.days:,} days."
        )
    return UsageFilter(user_id=None, start=since, end=until)


def _aware(moment: datetime, param: str) -> datetime:
    if moment.year not in YEARS:
        cure = f"Choose a year from {YEARS[0]} to {YEARS[-1]}."
        raise BadInput(f"The year {moment.year} is out of reach.", param=param, cure=cure)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
