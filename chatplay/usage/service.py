"""What the metrics page, the usage page and `/admin/usage` ask: each question one or two queries, few rows.

Without a filter that needs the rows themselves (`UsageFilter.needs_rows`), answers come from the roll-up: the range
is widened to whole UTC hours, percentiles are off by at most 1 %. With one they are exact, and take as long as
reading the rows of the range. `tz` is an IANA name; BadInput when there is none such.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from chatplay.auth.person import Person
from chatplay.store import Store
from chatplay.usage.values import (
    Axis,
    Binned,
    By,
    CallPage,
    CellMetric,
    Choices,
    Distribution,
    ExportFormat,
    FlightRecord,
    HourCell,
    Metric,
    Order,
    OutcomePoint,
    PercentilePoint,
    SettingsCell,
    Tiles,
    UsageFilter,
    UsageRow,
)


class Usage:
    """See the module. One per process; safe from any thread. Raises StoreErrors."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    @staticmethod
    def restrict(filter: UsageFilter, person: Person) -> UsageFilter:
        """The filter as the person may ask it: everybody's calls are for administrators, others get their own."""
        raise NotImplementedError

    def list_choices(self, filter: UsageFilter) -> Choices:
        """Models, sources and experiments that occur in the range (its other fields are not looked at)."""
        raise NotImplementedError

    def tiles(self, filter: UsageFilter, tz: str) -> Tiles:
        """The figures on top, each with its trend in at most 60 buckets."""
        raise NotImplementedError

    def percentiles_over_time(self, filter: UsageFilter, metric: Metric, tz: str) -> tuple[PercentilePoint, ...]:
        """p50 and p95 by bucket and model, ordered by model and start; buckets without a value are left out.

        Buckets are hours up to 3 days, days (24 h from midnight UTC) up to 60, else weeks (from Monday UTC).
        """
        raise NotImplementedError

    def distribution(self, filter: UsageFilter, metric: Metric) -> tuple[Distribution, ...]:
        """All values by model, most calls first."""
        raise NotImplementedError

    def ttft_by_prompt_tokens(self, filter: UsageFilter) -> Binned:
        """ttft_ms against prompt tokens, in bins that double: [0, 32), [32, 64), ..."""
        raise NotImplementedError

    def speed_by_context(self, filter: UsageFilter) -> Binned:
        """Decode tokens per second against prompt and completion tokens together, in bins that double."""
        raise NotImplementedError

    def outcomes_over_time(self, filter: UsageFilter, tz: str) -> tuple[OutcomePoint, ...]:
        """Finish reasons and error classes by bucket (as percentiles_over_time), each with its n of the bucket's."""
        raise NotImplementedError

    def usage_table(self, filter: UsageFilter, by: By, tz: str) -> tuple[UsageRow, ...]:
        """What each model, person, organisation, source or day used: most calls first, days in order.

        The one source of the tables of tokens and cost, the Usage page and `/admin/usage`. At most 1,000 rows.
        A day is the viewer's; in zones that are no whole hour from UTC it is that of the hour's beginning.
        """
        raise NotImplementedError

    def settings_map(self, filter: UsageFilter, x: Axis, y: Axis, metric: CellMetric) -> tuple[SettingsCell, ...]:
        """The mean of `metric` for each pair of settings that occurs (at most 400, the most used).

        From the roll-up in ranges above 2 days, then of whole UTC days.
        """
        raise NotImplementedError

    def hour_of_week(self, filter: UsageFilter, tz: str) -> tuple[HourCell, ...]:
        """The load of each hour of the viewer's week; hours without a call are there with 0."""
        raise NotImplementedError

    def list_calls(
        self, filter: UsageFilter, *, order: Order = "newest", after: str | None = None, limit: int = 50
    ) -> CallPage:
        """The calls themselves, running ones too. `after` is the `after` of the page before; BadInput if it is not."""
        raise NotImplementedError

    def get_call(self, generation_id: UUID, *, user_id: int | None) -> FlightRecord:
        """One call; of anybody when `user_id` is None (administrators). Raises NotFound."""
        raise NotImplementedError

    def export(self, filter: UsageFilter, format: ExportFormat) -> Iterator[bytes]:
        """Every call of the range, oldest first, in pieces; nothing is held in memory as a whole.

        CSV is UTF-8 with a header; texts that a spreadsheet would run as a formula begin with an apostrophe.
        """
        raise NotImplementedError
