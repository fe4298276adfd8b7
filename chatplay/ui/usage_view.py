"""What the metrics page shows, as its address says it: a view can be shared, bookmarked and reloaded.

The address is the one place where the filters live; widgets are set from it before they are drawn and write to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import filterfalse
from math import isfinite
from uuid import UUID
from zoneinfo import ZoneInfo

from chatplay import params as parameters
from chatplay.errors import BadInput
from chatplay.usage.values import ModelKey, ParamFilter, UsageFilter

PRESETS: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "180d": timedelta(days=180),
}
CUSTOM = "custom"
FIRST_DAY = date(2000, 1, 1)
DEFAULT_RANGE = "7d"
STATUSES = ("complete", "stopped", "failed", "interrupted")


@dataclass(frozen=True)
class View:
    """The filters as a reader set them. `first` and `last` (days, both included) are those of a custom range.

    `everybody` is a wish; only administrators' is granted.
    """

    span: str = DEFAULT_RANGE
    first: date | None = None
    last: date | None = None
    everybody: bool = False
    models: tuple[ModelKey, ...] = ()
    sources: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    params: tuple[ParamFilter, ...] = ()
    experiment_id: UUID | None = None

    def days(self, today: date) -> tuple[date, date] | None:
        """Those of a custom range, as far as there are calls to see: an address may name any, also a day that has
        begun only where it was written.
        """
        if self.span != CUSTOM or not self.first or not self.last:
            return None
        return min(max(self.first, FIRST_DAY), today), min(max(self.last, FIRST_DAY), today)

    def bounds(self, now: datetime, tz: ZoneInfo) -> tuple[datetime, datetime]:
        """Begin and end, aware; whole days of the viewer's zone when custom."""
        if days := self.days(now.astimezone(tz).date()):
            begin, last = (datetime.combine(day, time(), tzinfo=tz) for day in days)
            return begin, last + timedelta(days=1)
        return now - PRESETS.get(self.span, PRESETS[DEFAULT_RANGE]), now

    def filter(self, *, user_id: int | None, now: datetime, tz: ZoneInfo) -> UsageFilter:
        start, end = self.bounds(now, tz)
        return UsageFilter(
            user_id=user_id,
            start=start,
            end=end,
            models=self.models,
            sources=self.sources,
            statuses=self.statuses,
            params=self.params,
            experiment_id=self.experiment_id,
        )


def read(query: Mapping[str, Sequence[str]]) -> View:
    """The view an address names. What can't be read is left out: an old link shows more, never an error."""
    query = {name: list(filterfalse(parameters.unsendable_character, values)) for name, values in query.items()}
    view = View(
        span=_one(query, "range", DEFAULT_RANGE),
        first=_day(_one(query, "from")),
        last=_day(_one(query, "to")),
        everybody=_one(query, "who") == "all",
        models=tuple(key for item in query.get("model", ()) if (key := _model(item))),
        sources=tuple(query.get("source", ())),
        statuses=tuple(item for item in query.get("status", ()) if item in STATUSES),
        params=tuple(found for item in query.get("param", ()) if (found := find_param(item))),
        experiment_id=_uuid(_one(query, "experiment")),
    )
    if view.first and view.last and view.first <= view.last:
        return replace(view, span=CUSTOM)
    return replace(view, first=None, last=None, span=view.span if view.span in PRESETS else DEFAULT_RANGE)


def write(view: View) -> dict[str, list[str]]:
    """The inverse of `read`; what is at its default is left out."""
    query: dict[str, list[str]] = {}
    if view.span == CUSTOM and view.first and view.last:
        query |= {"from": [view.first.isoformat()], "to": [view.last.isoformat()]}
    elif view.span != DEFAULT_RANGE:
        query["range"] = [view.span]
    if view.everybody:
        query["who"] = ["all"]
    lists = {
        "model": [f"{key.upstream}/{key.model}" for key in view.models],
        "source": list(view.sources),
        "status": list(view.statuses),
        "param": [param_text(item) for item in view.params],
        "experiment": [str(view.experiment_id)] if view.experiment_id else [],
    }
    return query | {name: values for name, values in lists.items() if values}


def param_text(item: ParamFilter) -> str:
    """`temperature:0.2`, `temperature:0.2..1`, `seed:not set`; what `parse_param` reads."""
    if item.text is not None:
        return f"{item.name}:{item.text}"
    if item.low is None and item.high is None:
        return f"{item.name}:not set"
    low, high = ("" if edge is None else parameters.number_text(edge) for edge in (item.low, item.high))
    return f"{item.name}:{low}" if item.low == item.high else f"{item.name}:{low}..{high}"


def parse_param(text: str) -> ParamFilter:
    """One filter on a parameter as typed: `temperature:0.2` or `temperature=0.2..1`. Raises BadInput with the cure."""
    name, mark, value = text.replace("=", ":", 1).partition(":")
    spec = parameters.get_spec(name.strip())
    value = value.strip()
    if not mark or not value:
        raise BadInput(f"`{text}` names no value.", param="param", cure=f"Write {spec.name}:0.2 or {spec.name}:0.2..1.")
    if value == "not set":
        return ParamFilter(spec.name)
    if spec.kind in ("text", "list"):
        return ParamFilter(spec.name, text=value)
    low, dots, high = value.partition("..")
    try:
        first = _finite(low) if low else None
        last = (_finite(high) if high else None) if dots else first
    except ValueError:
        raise BadInput(
            f"`{value}` is no number and no range.", param="param", cure=f"Write {spec.name}:0.2 or {spec.name}:0.2..1."
        ) from None
    return ParamFilter(spec.name, low=first, high=last)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def find_param(text: str) -> ParamFilter | None:
    try:
        return parse_param(text)
    except BadInput:
        return None


def _one(query: Mapping[str, Sequence[str]], name: str, default: str = "") -> str:
    values = query.get(name)
    return values[0] if values else default


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _model(text: str) -> ModelKey | None:
    upstream, slash, model = text.partition("/")
    return ModelKey(upstream, model) if slash and upstream and model else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
