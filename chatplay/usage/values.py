"""The values of the metrics and usage pages and of `/admin/usage`; unknown is None, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from chatplay.prices import Price
from db.usage_records import (
    AXES,
    CELL_METRICS,
    METRICS,
    Axis,
    Bin,
    By,
    CallDetail,
    CallRow,
    CellMetric,
    Choices,
    Distribution,
    Figure,
    FigureFilter,
    HourCell,
    Metric,
    ModelKey,
    Order,
    OutcomePoint,
    ParamFilter,
    PercentilePoint,
    SamplePoint,
    SettingsCell,
    SizeBin,
    UsageFilter,
    UsageRow,
    WeekHour,
)

__all__ = [
    "AXES",
    "CELL_METRICS",
    "METRICS",
    "TARGETS",
    "YEARS",
    "Axis",
    "Bin",
    "Binned",
    "BudgetScope",
    "BudgetState",
    "By",
    "CallDetail",
    "CallPage",
    "CallRow",
    "CellMetric",
    "Choices",
    "Distribution",
    "ExportFormat",
    "Figure",
    "FigureFilter",
    "FlightRecord",
    "Gap",
    "HourCell",
    "Metric",
    "ModelKey",
    "Order",
    "OutcomePoint",
    "ParamFilter",
    "PercentilePoint",
    "PriceEntry",
    "SamplePoint",
    "SettingsCell",
    "SizeBin",
    "Target",
    "Tile",
    "Tiles",
    "TrendPoint",
    "UsageFilter",
    "UsageRow",
    "WeekHour",
]

YEARS = range(2000, 2100)  # in which ranges may begin and end: no reckoning leaves the calendar, and no call is missed
ExportFormat = Literal["csv", "parquet"]
BudgetScope = Literal["person", "organisation"]


@dataclass(frozen=True)
class Target:
    """What was promised: at most `value`, or at least."""

    value: float
    at_most: bool

    def is_met(self, value: float) -> bool:
        return value <= self.value if self.at_most else value >= self.value


# The specification's success metrics.
TARGETS = {
    "ttft_p50_ms": Target(1500.0, at_most=True),
    "ttft_p95_ms": Target(1500.0, at_most=True),
    "error_rate": Target(0.02, at_most=True),
    "fallback_rate": Target(0.10, at_most=True),
    "prompts_per_chat": Target(3.0, at_most=False),
}


@dataclass(frozen=True)
class TrendPoint:
    """One bucket [start, end) of a sparkline."""

    start: datetime
    end: datetime
    value: float | None
    n: int


@dataclass(frozen=True)
class Tile:
    """One figure. `n` is what it is computed from (calls with it known; chats for prompts_per_chat).

    For rates `value` is 0 to 1 and `k` the calls counted, of `n`. `unknown`: calls of the range that could not be
    taken in, because the figure is not known of them. `value` is None when it is not known: rates, percentiles and
    ratios of nothing, sums where no call's figure is known. The sum of no calls is 0.
    """

    value: float | None
    n: int
    k: int | None = None
    unknown: int = 0
    trend: tuple[TrendPoint, ...] = ()
    target: Target | None = None

    @property
    def is_met(self) -> bool | None:
        """None without a target or a value."""
        return None if self.target is None or self.value is None else self.target.is_met(self.value)


@dataclass(frozen=True)
class Tiles:
    """The row on top of the metrics page; calls that still run are in none of them, ended ones within seconds."""

    calls: Tile
    prompt_tokens: Tile
    completion_tokens: Tile
    cost_usd: Tile
    ttft_p50_ms: Tile
    ttft_p95_ms: Tile
    error_rate: Tile
    fallback_rate: Tile
    prompts_per_chat: Tile


@dataclass(frozen=True)
class Binned:
    """A figure against a number of tokens: percentiles by bin, and a random sample of calls to scatter.

    `n`: calls behind the bins; `points` is all of them when there are few, else about a thousand.
    """

    bins: tuple[SizeBin, ...]
    points: tuple[SamplePoint, ...]
    n: int


@dataclass(frozen=True)
class CallPage:
    """A page of calls; `after` continues it, None at the end."""

    rows: tuple[CallRow, ...]
    after: str | None


@dataclass(frozen=True)
class Gap:
    """The wait before delta `seq` (the second has 2), and when that delta came; ms since the request was sent."""

    seq: int
    at_ms: float
    gap_ms: float
    is_stall: bool


@dataclass(frozen=True)
class FlightRecord:
    """All that is known of one call.

    `timeline`: each gap between deltas; a stall is a gap above `stall_ms` (four times the median, at least 100 ms).
    Before the first token a call waits here (`call.queue_ms`), connects and sends (`call.connect_ms`), and then the
    server works (`call.ttft_ms`, which holds neither of the two).
    """

    call: CallDetail
    timeline: tuple[Gap, ...]
    stall_ms: float | None
    stalls: int
    price: Price | None


@dataclass(frozen=True)
class PriceEntry:
    """A price from `valid_from` on, until the next of the same model; `model` "" is for all of the upstream."""

    id: int
    upstream: str
    model: str
    price: Price
    valid_from: datetime
    set_by: str | None
    in_force: bool


@dataclass(frozen=True)
class BudgetState:
    """A budget and where it stands this UTC month. `spent_usd` counts what is known; `unknown_calls` are not in it."""

    scope: BudgetScope
    subject_id: int
    subject: str
    monthly_usd: float
    spent_usd: float
    unknown_calls: int
    resets_at: datetime

    @property
    def share(self) -> float:
        """Spent of the whole; 1 and above is spent."""
        return self.spent_usd / self.monthly_usd if self.monthly_usd else 1.0

    @property
    def is_low(self) -> bool:
        """From 80 % on, a warning is due."""
        return self.share >= 0.8

    @property
    def is_spent(self) -> bool:
        return self.share >= 1.0
