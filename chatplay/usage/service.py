"""What the metrics page, the usage page and `/admin/usage` ask: each question one or two queries, few rows.

Without a filter that needs the rows themselves (`UsageFilter.needs_rows`), answers come from the roll-up: the range
is widened to whole UTC hours. With one, the rows of the range are read, which takes as long as there are many.
Percentiles are off by at most 1 % either way. `tz` is an IANA name; BadInput when there is none such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chatplay.auth.person import Person
from chatplay.errors import BadInput, NotFound
from chatplay.store import Connection, Store
from chatplay.usage import exporting, flight, paging
from chatplay.usage.price_table import find_price
from chatplay.usage.tiles import make_tiles
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
from db import usage_calls, usage_counts, usage_figures, usage_settings


class Usage:
    """See the module. One per process; safe from any thread. Raises StoreErrors. `now` is aware."""

    def __init__(self, *, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    @staticmethod
    def restrict(filter: UsageFilter, person: Person) -> UsageFilter:
        """The filter as the person may ask it: everybody's calls are for administrators, others get their own."""
        return filter if person.is_administrator else replace(filter, user_id=person.id, organisation_id=None)

    def has_calls(self) -> bool:
        """Whether anybody has made a model call, ever. For administrators."""
        with self._store.reading() as conn:
            return usage_calls.has_calls(conn)

    def list_choices(self, filter: UsageFilter) -> Choices:
        """Models, sources and experiments of the range, for the filter's person or organisation (no other field)."""
        with self._asking(filter) as (conn, filter):
            return usage_counts.get_choices(conn, filter)

    def tiles(self, filter: UsageFilter, tz: str) -> Tiles:
        """The figures on top, each with its trend in at most 73 buckets, those without a call included."""
        _check_zone(tz)
        with self._asking(filter) as (conn, filter):
            return make_tiles(
                filter,
                counts=usage_counts.list_counts(conn, filter),
                whole=usage_figures.find_percentiles(conn, filter, metric="ttft_ms"),
                trend=usage_figures.list_percentiles(conn, filter, metric="ttft_ms"),
            )

    def percentiles_over_time(self, filter: UsageFilter, metric: Metric, tz: str) -> tuple[PercentilePoint, ...]:
        """p50 and p95 by bucket and model, ordered by model and start; buckets without a value are left out.

        Buckets are hours up to 3 days, days (24 h from midnight UTC) up to 60, else weeks (from Monday UTC). The
        first and the last hold only what is in the range.
        """
        _check_zone(tz)
        with self._asking(filter) as (conn, filter):
            return tuple(usage_figures.list_percentile_points(conn, filter, metric=metric))

    def distribution(self, filter: UsageFilter, metric: Metric) -> tuple[Distribution, ...]:
        """All values by model, most calls first."""
        with self._asking(filter) as (conn, filter):
            return tuple(usage_figures.list_distributions(conn, filter, metric=metric))

    def ttft_by_prompt_tokens(self, filter: UsageFilter) -> Binned:
        """ttft_ms against prompt tokens, in bins that double: [0, 32), [32, 64), ..."""
        with self._asking(filter) as (conn, filter):
            bins = usage_figures.list_size_bins(conn, filter, figure="ttft_by_size")
            n = sum(one.n for one in bins)
            return Binned(tuple(bins), tuple(usage_calls.list_points(conn, filter, tokens="prompt", n=n)), n)

    def speed_by_context(self, filter: UsageFilter) -> Binned:
        """Decode tokens per second against prompt and completion tokens together, in bins that double."""
        with self._asking(filter) as (conn, filter):
            bins = usage_figures.list_size_bins(conn, filter, figure="speed_by_size")
            n = sum(one.n for one in bins)
            return Binned(tuple(bins), tuple(usage_calls.list_points(conn, filter, tokens="context", n=n)), n)

    def outcomes_over_time(self, filter: UsageFilter, tz: str) -> tuple[OutcomePoint, ...]:
        """Finish reasons and error classes by bucket (as percentiles_over_time), each with its n of the bucket's."""
        _check_zone(tz)
        with self._asking(filter) as (conn, filter):
            return tuple(usage_counts.list_outcomes(conn, filter))

    def usage_table(self, filter: UsageFilter, by: By, tz: str, *, percentiles: bool = True) -> tuple[UsageRow, ...]:
        """What each model, person, organisation, source or day used: most calls first, days in order.

        The one source of the tables of tokens and cost, the Usage page and `/admin/usage`. At most 1,000 rows, of
        days the latest. A day is the viewer's; in zones that are no whole hour from UTC it is that of the hour's
        beginning. Days have no percentiles; by person they are the slow part, `percentiles=False` leaves them out.
        """
        _check_zone(tz)
        with self._asking(filter) as (conn, filter):
            return tuple(usage_counts.list_usage(conn, filter, by=by, tz=tz, percentiles=percentiles))

    def settings_map(self, filter: UsageFilter, x: Axis, y: Axis, metric: CellMetric) -> tuple[SettingsCell, ...]:
        """The mean of `metric` for each pair of settings that occurs (at most 400, the most used).

        Of everybody or an organisation in ranges above 2 days it comes from the roll-up, then of whole UTC days.
        """
        if x == y:
            raise BadInput("The two settings are the same.", param="y", cure="Choose two that differ.")
        with self._asking(filter) as (conn, filter):
            return tuple(usage_settings.list_settings_cells(conn, filter, x=x, y=y, metric=metric))

    def hour_of_week(self, filter: UsageFilter, tz: str) -> tuple[HourCell, ...]:
        """The load of each hour of the viewer's week that the range holds; hours without a call are there with 0."""
        _check_zone(tz)
        with self._asking(filter) as (conn, filter):
            return tuple(usage_counts.list_week_hours(conn, filter, tz=tz))

    def list_calls(
        self, filter: UsageFilter, *, order: Order = "newest", after: str | None = None, limit: int = 50
    ) -> CallPage:
        """The calls themselves, running ones too; in other orders than newest only those that have the figure.

        `after` is the `after` of the page before; BadInput if it is not.
        """
        place = None if after is None else paging.read_place(after, order)
        with self._store.reading() as conn:
            rows, ended = usage_calls.list_calls(conn, filter, order=order, after=place, limit=limit)
        return CallPage(tuple(rows), None if ended is None else paging.write_place(ended))

    def get_call(self, generation_id: UUID, *, user_id: int | None) -> FlightRecord:
        """One call; of anybody when `user_id` is None (administrators). Raises NotFound."""
        with self._store.reading() as conn:
            call = usage_calls.find_call(conn, generation_id=generation_id, user_id=user_id)
            if call is None:
                raise NotFound("There is no such call.", cure="Its address may be incomplete.")
            price = find_price(conn, upstream=call.upstream, model=call.model, at=call.created_at)
        return flight.make_record(call, price)

    def export(self, filter: UsageFilter, format: ExportFormat) -> Iterator[bytes]:
        """Every call of the range, oldest first, in pieces; nothing is held in memory as a whole.

        CSV is UTF-8 with a header; texts that a spreadsheet would run as a formula begin with an apostrophe.
        """
        return exporting.export(self._store, filter, format)

    @contextmanager
    def _asking(self, filter: UsageFilter) -> Iterator[tuple[Connection, UsageFilter]]:
        """A connection, and the filter, which says so when its end has not come yet."""
        with self._store.reading() as conn:
            yield conn, replace(filter, is_open=filter.end >= self._now())


def _check_zone(tz: str) -> None:
    try:
        ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        cure = "Use an IANA name such as Europe/Berlin, or UTC."
        raise BadInput(f"There is no time zone {tz!r}.", param="tz", cure=cure) from None
