"""What is asked of the usage rows and what comes back: frozen records, shared by queries, services and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

Metric = Literal["ttft_ms", "tokens_per_second", "duration_ms", "itl_p95_ms"]
METRICS: tuple[Metric, ...] = ("ttft_ms", "tokens_per_second", "duration_ms", "itl_p95_ms")
Figure = Literal[
    "ttft_ms",
    "tokens_per_second",
    "end_to_end_tokens_per_second",
    "duration_ms",
    "itl_p50_ms",
    "itl_p95_ms",
    "itl_max_ms",
    "queue_ms",
    "prompt_tokens",
    "completion_tokens",
    "context_tokens",
    "cost_usd",
]
Axis = Literal["temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty"]
AXES: tuple[Axis, ...] = ("temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty")
CellMetric = Literal[
    "ttft_ms", "tokens_per_second", "duration_ms", "itl_p95_ms", "completion_tokens", "cost_usd", "error_rate"
]
CELL_METRICS: tuple[CellMetric, ...] = (
    "ttft_ms",
    "tokens_per_second",
    "duration_ms",
    "itl_p95_ms",
    "completion_tokens",
    "cost_usd",
    "error_rate",
)
By = Literal["model", "person", "organisation", "source", "day"]
Order = Literal["newest", "slowest_first_token", "longest", "slowest_decode", "most_expensive"]
OutcomeKind = Literal["finish_reason", "error_class"]


class ModelKey(NamedTuple):
    """A model of an upstream; the name alone may exist on several."""

    upstream: str
    model: str


@dataclass(frozen=True)
class ParamFilter:
    """Calls whose parameter `name` was within [low, high], or equal to `text`; all None: was not set."""

    name: str
    low: float | None = None
    high: float | None = None
    text: str | None = None


@dataclass(frozen=True)
class FigureFilter:
    """Calls whose figure was within [low, high); unknown figures are in no range. None is open."""

    figure: Figure
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class WeekHour:
    """One cell of hour_of_week: 0 is Monday, in the viewer's zone."""

    weekday: int
    hour: int
    tz: str


@dataclass(frozen=True)
class UsageFilter:
    """Which calls: begun within [start, end), both aware. An empty tuple or None leaves that field open.

    `user_id` None is everybody's and is for administrators only (`Usage.restrict`). The fields from `params` on
    cannot be answered from the roll-ups: with one of them set, the rows themselves are read, which is slower.
    """

    user_id: int | None
    start: datetime
    end: datetime
    organisation_id: int | None = None
    models: tuple[ModelKey, ...] = ()
    sources: tuple[str, ...] = ()
    params: tuple[ParamFilter, ...] = ()
    statuses: tuple[str, ...] = ()
    experiment_id: UUID | None = None
    finish_reasons: tuple[str, ...] = ()
    error_classes: tuple[str, ...] = ()
    figures: tuple[FigureFilter, ...] = ()
    week_hour: WeekHour | None = None
    is_open: bool = False  # nothing begins after `end` (it is now or later), as `Usage` finds out

    @property
    def bare(self) -> UsageFilter:
        """The same range of the same person, organisation or everybody, without any other filter."""
        return UsageFilter(
            self.user_id, self.start, self.end, organisation_id=self.organisation_id, is_open=self.is_open
        )

    @property
    def needs_rows(self) -> bool:
        """Whether only the rows themselves can answer."""
        drilled = self.params or self.statuses or self.finish_reasons or self.error_classes or self.figures
        both = self.user_id is not None and self.organisation_id is not None
        return bool(drilled or self.experiment_id or self.week_hour or both)


@dataclass(frozen=True)
class PercentilePoint:
    """One model in one bucket [start, end). `n`: calls with the figure known."""

    start: datetime
    end: datetime
    model: ModelKey
    p50: float
    p95: float
    n: int


class Bin(NamedTuple):  # there are thousands, and a tuple is made many times faster than a frozen dataclass
    """`n` calls with a value within [low, high); `upto`: the share of all below `high` (ECDF), 0 to 1."""

    low: float
    high: float
    n: int
    upto: float


@dataclass(frozen=True)
class Distribution:
    """All known values of one model: bins in ascending order, about 2 % wide, empty ones left out."""

    model: ModelKey
    p50: float
    p95: float
    n: int
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class SizeBin:
    """Calls with between `low` and `high` (not included) tokens; `n` of them had the figure."""

    low: int
    high: int
    p50: float
    p95: float
    n: int


class SamplePoint(NamedTuple):
    """One call of a random sample."""

    generation_id: UUID
    model: ModelKey
    tokens: int
    value: float


@dataclass(frozen=True)
class OutcomePoint:
    """`n` of the bucket's `of` ended calls had this finish reason or error class."""

    start: datetime
    end: datetime
    kind: OutcomeKind
    name: str
    n: int
    of: int


@dataclass(frozen=True)
class UsageRow:
    """What one model, person, organisation, source or day used. Sums are of what is known.

    `key` is stable (ids, `upstream/model`, an ISO date), `label` is for people. `cost_usd` is None when no call's
    cost is known; `cost_unknown`, `tokens_unknown`: calls that are not in the sums. `chats`: chats begun.
    """

    key: str
    label: str
    calls: int
    failed: int
    fallbacks: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    tokens_estimated: int
    tokens_unknown: int
    cost_usd: float | None
    cost_unknown: int
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    tokens_per_second_p50: float | None
    chats: int


@dataclass(frozen=True)
class SettingsCell:
    """The mean of the metric over `n` calls made with x and y; None where the parameter was not sent.

    `value` is None when none of the calls has the figure. `calls` counts all with this pair.
    """

    x: float | None
    y: float | None
    value: float | None
    n: int
    calls: int


@dataclass(frozen=True)
class HourCell:
    """`calls` begun in this hour of the week (0 is Monday) over the `hours` such hours within the range.

    `minute`: where the viewer's hours begin, 30 or 45 in zones that are no whole hour from UTC, else 0.
    """

    weekday: int
    hour: int
    minute: int
    calls: int
    failed: int
    hours: int


@dataclass(frozen=True)
class CallRow:
    """One call in a list. None is unknown."""

    generation_id: UUID
    created_at: datetime
    user_id: int | None
    person: str | None
    session_id: UUID | None
    experiment_id: UUID | None
    source: str
    upstream: str
    model: str
    status: str
    finish_reason: str | None
    error_class: str | None
    streamed: bool | None
    fallback: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    tokens_estimated: bool | None
    ttft_ms: float | None
    tokens_per_second: float | None
    duration_ms: float | None
    cost_usd: float | None
    params: Mapping[str, Any]


@dataclass(frozen=True)
class CallDetail:
    """Every column kept of one call, as stored."""

    generation_id: UUID
    user_id: int | None
    person: str | None
    organisation_id: int | None
    organisation: str | None
    session_id: UUID | None
    chat_exists: bool
    source: str
    provider: str
    upstream: str
    model: str
    model_used: str | None
    engine_type: str | None
    params: Mapping[str, Any]
    sent: Mapping[str, Any] | None
    fingerprint: str | None
    experiment_id: UUID | None
    status: str
    finish_reason: str | None
    error_class: str | None
    error_message: str | None
    streamed: bool | None
    fallback_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    tokens_estimated: bool | None
    ttft_ms: float | None
    itl_p50_ms: float | None
    itl_p95_ms: float | None
    itl_max_ms: float | None
    gaps_ms: Sequence[float] | None
    queue_ms: float | None
    connect_ms: float | None
    duration_ms: float | None
    tokens_per_second: float | None
    end_to_end_tokens_per_second: float | None
    bytes_received: int | None
    cost_usd: float | None
    request_id: str | None
    system_fingerprint: str | None
    retry_of: UUID | None
    attempt: int
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Choices:
    """What the filters can offer: what occurs in the range for this person, in order of calls."""

    models: tuple[ModelKey, ...]
    sources: tuple[str, ...]
    experiments: tuple[UUID, ...]
