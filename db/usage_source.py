"""Where an answer comes from: roll-up rows that cover the range with as few as possible, or the rows of the calls.

Either way it is a common table expression `r` of the same columns, so that each question is written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from db.schema.rollups import HISTOGRAMS, SUMS
from db.usage_records import FigureFilter, ModelKey, ParamFilter, UsageFilter
from db.usage_rollup import CALL_COLUMNS

HOUR, DAY, WEEK, PERIOD = 0, 1, 2, 3
EVERYBODY, ORGANISATION, PERSON = 0, 1, 2
ALL_MODELS, BY_MODEL, BY_SOURCE = 0, 1, 2
_STEP = {HOUR: timedelta(hours=1), DAY: timedelta(days=1), WEEK: timedelta(weeks=1), PERIOD: timedelta(weeks=4)}
_FIRST_PERIOD = datetime(1970, 1, 5, tzinfo=UTC)
_HOURS_UP_TO, _DAYS_UP_TO = timedelta(days=3), timedelta(days=60)


_WIDTHS = ("hour", "day", "week")


@dataclass(frozen=True)
class Span:
    """Whole hours, days, weeks or periods [begins, ends)."""

    level: int
    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class Source:
    """`sql` defines `r`; `params` are its bind values; `width` is the bucket of a series as date_trunc names it."""

    sql: str
    params: Mapping[str, Any]
    width: str


def floor_to(level: int, at: datetime) -> datetime:
    """The beginning of the UTC hour, day, week or period that `at` is in."""
    at = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if level == HOUR:
        return at
    day = at.replace(hour=0)
    if level == DAY:
        return day
    if level == WEEK:
        return day - timedelta(days=day.weekday())
    return _FIRST_PERIOD + (day - _FIRST_PERIOD) // _STEP[PERIOD] * _STEP[PERIOD]


def ceil_to(level: int, at: datetime) -> datetime:
    begins = floor_to(level, at)
    return begins if begins == at else begins + _STEP[level]


def step(level: int) -> timedelta:
    return _STEP[level]


def series_level(filter: UsageFilter) -> int:
    """The bucket of a series over the range: hours up to 3 days, days up to 60, else weeks."""
    length = filter.end - filter.start
    return HOUR if length <= _HOURS_UP_TO else DAY if length <= _DAYS_UP_TO else WEEK


def list_spans(start: datetime, end: datetime, *, coarsest: int, finest: int = HOUR) -> list[Span]:
    """[start, end), widened to whole `finest` buckets, as few spans of levels up to `coarsest` as cover it."""
    begins, ends = floor_to(finest, start), ceil_to(finest, end)
    if begins >= ends:
        return []
    if coarsest == finest:
        return [Span(finest, begins, ends)]
    inner_begins, inner_ends = ceil_to(coarsest, begins), floor_to(coarsest, ends)
    if inner_begins >= inner_ends:
        return list_spans(begins, ends, coarsest=coarsest - 1, finest=finest)
    head = list_spans(begins, inner_begins, coarsest=coarsest - 1, finest=finest)
    tail = list_spans(inner_ends, ends, coarsest=coarsest - 1, finest=finest)
    return [*head, Span(coarsest, inner_begins, inner_ends), *tail]


def rollup_source(
    filter: UsageFilter,
    *,
    coarsest: int = PERIOD,
    finest: int = HOUR,
    by_model: bool = False,
    by_source: bool = False,
    table: str = "usage_rollups",
    scope: int | None = None,
) -> Source:
    """Roll-up rows of the filter. `scope`: of all persons or organisations instead, told apart by `scope_id`."""
    subject, subject_id = _subject(filter)
    by_model = by_model or bool(filter.models)
    shape = BY_SOURCE if by_source or filter.sources or (by_model and (scope or subject) == PERSON) else int(by_model)
    coarsest = min(coarsest, WEEK) if shape == BY_SOURCE else coarsest
    # Nothing begins after the end of an open range: what reaches beyond it holds no more than the range does.
    end = ceil_to(coarsest, filter.end) if filter.is_open else filter.end
    spans = list_spans(filter.start, end, coarsest=coarsest, finest=finest)
    params: dict[str, Any] = {
        "levels": [span.level for span in spans],
        "begins": [span.begins for span in spans],
        "ends": [span.ends for span in spans],
        "scope": subject if scope is None else scope,
        "shape": shape,
    }
    conditions = ["u.scope = :scope", "u.shape = :shape", *_on_models(filter.models, params)]
    if scope is None:
        conditions.append("u.scope_id = :scope_id")
        params["scope_id"] = subject_id
    if filter.sources:
        conditions.append("u.source = ANY(:sources)")
        params["sources"] = list(filter.sources)
    spanned = "unnest(CAST(:levels AS int[]), CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[]))"
    sql = (
        f"r AS (SELECT u.* FROM {spanned} AS span(level, begins, ends) "
        f"JOIN {table} u ON u.level = span.level AND u.at >= span.begins AND u.at < span.ends "
        f"WHERE {' AND '.join(conditions)})"
    )
    return Source(sql, params, _WIDTHS[min(coarsest, WEEK)])


def call_source(filter: UsageFilter, *, coarsest: int = PERIOD, scope: int | None = None) -> Source:
    """The same from the rows of the ended calls: each is a roll-up row of its own. Chats count by the range."""
    conditions, params = call_conditions(filter)
    subject = {PERSON: "coalesce(u.user_id, 0)", ORGANISATION: "coalesce(u.organisation_id, 0)"}.get(scope or 0, "0")
    own = ", ".join(f"c.{name}" for name in SUMS if name not in ("chats", "chat_answers"))
    histograms = ", ".join(
        f"CASE WHEN c.{name} IS NOT NULL THEN ARRAY[CAST((1 << 20) + c.{name} AS bigint)] END AS {name}"
        for name in HISTOGRAMS
    )
    sql = f"""
    c AS (SELECT u.created_at, {subject} AS scope_id, {CALL_COLUMNS} FROM usage u WHERE u.ended_at IS NOT NULL
          AND {" AND ".join(conditions)}),
    r AS (SELECT c.created_at AS at, c.scope_id, c.upstream, c.model, c.source, {own},
          CAST(c.session_id IS NOT NULL AND row_number() OVER (PARTITION BY c.session_id ORDER BY c.created_at) = 1
               AS int) AS chats,
          CASE WHEN c.session_id IS NULL THEN 0 ELSE c.complete END AS chat_answers,
          CASE WHEN c.finish_reason IS NULL THEN '{{}}' ELSE jsonb_build_object(c.finish_reason, 1) END
              AS finish_reasons,
          CASE WHEN c.error_class IS NULL THEN '{{}}' ELSE jsonb_build_object(c.error_class, 1) END AS error_classes,
          {histograms} FROM c)"""
    return Source(sql, params, _WIDTHS[min(coarsest, WEEK)])


def call_conditions(filter: UsageFilter) -> tuple[list[str], dict[str, Any]]:
    """The filter over `usage u`, as SQL conditions and their bind values."""
    params: dict[str, Any] = {"start": filter.start, "end": filter.end}
    found = ["u.created_at >= :start AND u.created_at < :end", *_on_models(filter.models, params)]
    exact = {
        "user_id": filter.user_id,
        "organisation_id": filter.organisation_id,
        "experiment_id": filter.experiment_id,
    }
    for name, value in exact.items():
        if value is not None:
            found.append(f"u.{name} = :{name}")
            params[name] = value
    lists = {
        "source": filter.sources,
        "status": filter.statuses,
        "finish_reason": filter.finish_reasons,
        "error_class": filter.error_classes,
    }
    for name, values in lists.items():
        if values:
            found.append(f"u.{name} = ANY(:{name}s)")
            params[f"{name}s"] = list(values)
    for number, wanted in enumerate(filter.params):
        found += _on_param(wanted, f"param_{number}", params)
    for number, range_ in enumerate(filter.figures):
        found += _on_figure(range_, f"figure_{number}", params)
    if filter.week_hour is not None:
        local = "date_trunc('hour', u.created_at, 'UTC') AT TIME ZONE :cell_tz"
        found.append(f"extract(isodow FROM {local}) = :cell_day AND extract(hour FROM {local}) = :cell_hour")
        cell = filter.week_hour
        params |= {"cell_tz": cell.tz, "cell_day": cell.weekday + 1, "cell_hour": cell.hour}
    return found, params


def _subject(filter: UsageFilter) -> tuple[int, int]:
    if filter.user_id is not None:
        return PERSON, filter.user_id
    if filter.organisation_id is not None:
        return ORGANISATION, filter.organisation_id
    return EVERYBODY, 0


def _on_models(models: tuple[ModelKey, ...], params: dict[str, Any]) -> list[str]:
    if not models:
        return []
    params["upstreams"], params["models"] = [key.upstream for key in models], [key.model for key in models]
    return ["(u.upstream, u.model) IN (SELECT * FROM unnest(CAST(:upstreams AS text[]), CAST(:models AS text[])))"]


def _on_param(wanted: ParamFilter, name: str, params: dict[str, Any]) -> list[str]:
    params[name] = wanted.name
    if wanted.text is not None:
        params[f"{name}_text"] = wanted.text
        return [f"u.params ->> :{name} = :{name}_text"]
    if wanted.low is None and wanted.high is None:
        return [f"u.params ->> :{name} IS NULL"]
    is_number = f"jsonb_typeof(u.params -> :{name}) = 'number'"
    number = f"CASE WHEN {is_number} THEN CAST(u.params ->> :{name} AS double precision) END"
    return _between(number, name, wanted.low, wanted.high, "<=", params)


def _on_figure(wanted: FigureFilter, name: str, params: dict[str, Any]) -> list[str]:
    column = "u.prompt_tokens + u.completion_tokens" if wanted.figure == "context_tokens" else f"u.{wanted.figure}"
    return [f"{column} IS NOT NULL", *_between(column, name, wanted.low, wanted.high, "<", params)]


def _between(
    value: str, name: str, low: float | None, high: float | None, below: str, params: dict[str, Any]
) -> list[str]:
    params |= {f"{name}_low": low, f"{name}_high": high}
    found = [] if low is None else [f"{value} >= :{name}_low"]
    return found if high is None else [*found, f"{value} {below} :{name}_high"]
