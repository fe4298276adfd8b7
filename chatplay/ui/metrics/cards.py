"""A card per chart of the metrics page: what it shows, the chart, its numbers as a table and as CSV, and what was
picked in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from chatplay.params import get_spec
from chatplay.ui import chart_style as style
from chatplay.ui import charts, charts_bars, charts_cells, state, usage_tables
from chatplay.ui import format as fmt
from chatplay.ui.chart_models import Cast, relabel
from chatplay.ui.metrics import drill as metrics_drill
from chatplay.ui.metrics import parts
from chatplay.ui.people import plain
from chatplay.usage.ahead import Answers
from chatplay.usage.definitions import DEFINITIONS
from chatplay.usage.service import Usage
from chatplay.usage.values import (
    AXES,
    CELL_METRICS,
    TARGETS,
    Axis,
    By,
    CellMetric,
    FigureFilter,
    ModelKey,
    ParamFilter,
    UsageFilter,
    UsageRow,
    WeekHour,
)

_MOST_BARS = 10


@dataclass(frozen=True)
class Board:
    """What every card needs: whom to ask and who may have asked already, which calls, in whose time."""

    usage: Usage
    answers: Answers
    filter: UsageFilter
    tz: ZoneInfo
    may_see_people: bool
    cast: Cast  # the models of the range, so that each keeps its colour in every chart


def draw(board: Board) -> None:
    """All cards, two beside each other where the screen has room."""
    for pair in (
        (draw_over_time, draw_distribution),
        (draw_ttft_by_prompt, draw_speed_by_context),
        (draw_outcomes, draw_amounts),
        (draw_settings_map, draw_hours),
    ):
        for column, card in zip(st.columns(2), pair, strict=True):
            with column, st.container(border=True):
                card(board)


def draw_over_time(board: Board) -> None:
    metric, shown = parts.head_with_percentiles("Latency and speed over time", "over_time")
    rows = board.answers.get(board.usage.percentiles_over_time, board.filter, metric, board.tz.key)
    if not rows:
        parts.draw_nothing()
        return
    target = TARGETS["ttft_p95_ms"].value if metric == "ttft_ms" else None
    title = f"{parts.METRIC_TITLES[metric]} ({' and '.join(shown)})"
    chart = charts.percentiles(rows, title=title, tz=board.tz, shown=shown, cast=board.cast, target=target)
    height = _height_for(board, (row.model for row in rows))
    event = style.draw(chart, key="metrics_chart_over_time", selections=(charts.PICK, charts.BRUSH), height=height)
    parts.draw_table(
        "over-time",
        charts.frame(
            rows, {"start": "From", "end": "Until", "model": "Model", "p50": "p50", "p95": "p95", "n": "Calls"}
        ),
        board.tz,
    )
    if (brushed := _brushed(event, board.tz)) is not None:
        _drill("over_time", brushed, replace(board.filter, start=brushed[0], end=brushed[1]), _span(*brushed, board.tz))
    for picked in _picked(event):
        start = _moment(picked["time"], board.tz)
        row = next((one for one in rows if abs(one.start - start) < timedelta(minutes=1)), None)
        if row is not None:
            models = _models_of(board, (one.model for one in rows), picked["model"])
            narrowed = replace(metrics_drill.within(board.filter, row.start, row.end), models=models)
            _drill("over_time", picked, narrowed, f"{picked['model']}, {_span(row.start, row.end, board.tz)}")


def draw_distribution(board: Board) -> None:
    metric = parts.head_with_metric("How it is spread over the calls", "distribution")
    rows = board.answers.get(board.usage.distribution, board.filter, metric)
    if not rows:
        parts.draw_nothing()
        return
    chart = charts.distribution(rows, title=parts.METRIC_TITLES[metric], cast=board.cast)
    height = _height_for(board, (row.model for row in rows))
    event = style.draw(chart, key="metrics_chart_distribution", selections=(charts.PICK,), height=height)
    parts.draw_table(
        "distribution-by-model", charts.frame(rows, {"model": "Model"} | parts.PERCENTILES), board.tz, "By model"
    )
    steps = [(row.model, step.low, step.high, step.n, step.upto) for row in rows for step in row.bins]
    parts.draw_table(
        "distribution", pd.DataFrame(steps, columns=["Model", "From", "Below", "Calls", "Share at or below"]), board.tz
    )
    for picked in _picked(event):
        models = _models_of(board, (row.model for row in rows), picked["model"])
        step = FigureFilter(metric, picked["low"], picked["value"])
        narrowed = replace(board.filter, models=models, figures=(*board.filter.figures, step))
        between = f"{fmt.four_digits(picked['low'])} to {fmt.four_digits(picked['value'])}"
        _drill("distribution", picked, narrowed, f"{picked['model']}, {parts.METRIC_TITLES[metric]} {between}")


def draw_ttft_by_prompt(board: Board) -> None:
    parts.head("TTFT against prompt tokens", DEFINITIONS["ttft_ms"])
    _draw_binned(board, "ttft_by_prompt", "Prompt tokens", parts.METRIC_TITLES["ttft_ms"])


def draw_speed_by_context(board: Board) -> None:
    parts.head("Speed against context length", DEFINITIONS["tokens_per_second"])
    _draw_binned(board, "speed_by_context", "Prompt and answer tokens", parts.METRIC_TITLES["tokens_per_second"])


def _draw_binned(board: Board, name: str, x_title: str, y_title: str) -> None:
    ask = board.usage.ttft_by_prompt_tokens if name == "ttft_by_prompt" else board.usage.speed_by_context
    binned = board.answers.get(ask, board.filter)
    if not binned.bins:
        parts.draw_nothing()
        return
    if len(binned.points) < binned.n:
        st.caption(f"Points: {len(binned.points):,} of {binned.n:,} calls, chosen at random. Lines: all of them.")
    chart = charts.against_tokens(binned, x_title=x_title, y_title=y_title, cast=board.cast)
    height = _height_for(board, (point.model for point in binned.points))
    event = style.draw(chart, key=f"metrics_chart_{name}", selections=(charts.PICK,), height=height)
    columns = {"low": "Tokens from", "high": "Below"} | parts.PERCENTILES
    parts.draw_table(name.replace("_", "-"), charts.frame(binned.bins, columns), board.tz)
    for picked in _picked(event):
        if _is_new(name, picked):
            st.query_params["call"] = picked["call"]
            st.rerun()


def draw_outcomes(board: Board) -> None:
    parts.head(
        "How calls ended", "Finish reasons of answers, and error classes of calls that failed, each with its calls."
    )
    kind = parts.choose("outcomes", "Shown", {"finish_reason": "Finish reasons", "error_class": "Errors"})
    outcomes = board.answers.get(board.usage.outcomes_over_time, board.filter, board.tz.key)
    rows = [row for row in outcomes if row.kind == kind]
    if not rows:
        parts.draw_nothing("No call in this range failed." if kind == "error_class" else parts.NOTHING)
        return
    event = style.draw(charts_bars.outcomes(rows, tz=board.tz), key=f"metrics_chart_{kind}", selections=(charts.PICK,))
    columns = {"start": "From", "end": "Until", "name": "Ended", "n": "Calls", "of": "Of"}
    parts.draw_table("outcomes", charts.frame(rows, columns), board.tz)
    for picked in _picked(event):
        start = _moment(picked["time"], board.tz)
        row = next((one for one in rows if abs(one.start - start) < timedelta(minutes=1)), None)
        if row is not None:
            narrowed = metrics_drill.within(board.filter, row.start, row.end)
            if kind == "finish_reason":
                narrowed = replace(narrowed, finish_reasons=(picked["name"],))
            else:
                narrowed = replace(narrowed, error_classes=(picked["name"],))
            _drill("outcomes", picked, narrowed, f"{picked['name']}, {_span(row.start, row.end, board.tz)}")


def draw_amounts(board: Board) -> None:
    parts.head("Tokens and cost", f"{DEFINITIONS['cost_usd']} {DEFINITIONS['prompt_tokens']}")
    with st.container(horizontal=True, gap="small"):
        by_titles = {"model": "By model", "source": "By source", "day": "By day"}
        if board.may_see_people:
            by_titles |= {"person": "By person"}
        by: By = parts.choose("amounts_by", "By", by_titles)
        measure = parts.choose("amounts_measure", "Measure", {"tokens": "Tokens", "cost": "Cost"})
    rows: Sequence[UsageRow] = board.answers.get(
        board.usage.usage_table, board.filter, by, board.tz.key, percentiles=False
    )
    if not rows:
        parts.draw_nothing()
        return
    rows = relabel(rows, board.cast.known) if by == "model" else rows
    if measure == "cost" and all(row.cost_usd is None for row in rows):
        parts.draw_nothing(
            "No price is known for these models, so their cost is unknown. Administrators set prices on Usage."
        )
    else:
        for picked in _picked(_draw_bars(rows, by, measure)):
            _drill_amount(board, by, next((row for row in rows if row.key == picked["key"]), None))
    parts.draw_table("tokens-and-cost", usage_tables.amounts_frame(rows), board.tz)


def _draw_bars(rows: Sequence[UsageRow], by: By, measure: charts_bars.Measure) -> Any:
    """Days along the calendar; of anything else the largest, a bar each."""
    pick = (charts.PICK,)
    if by == "day":
        chart = charts_bars.amounts_by_day(rows, measure=measure)
        return style.draw(chart, key="metrics_chart_amounts_by_day", selections=pick)
    shown = _longest(rows, measure)
    if len(shown) < len(rows):
        st.caption(f"The {len(shown)} largest of {len(rows):,}; the table has them all.")
    chart, height = charts_bars.amounts(shown, measure=measure), max(style.HEIGHT_PX, 24 * len(shown) + 120)
    return style.draw(chart, key="metrics_chart_amounts", height=height, selections=pick)


def draw_settings_map(board: Board) -> None:
    parts.head("What settings change", DEFINITIONS["settings_map"])
    with st.container(horizontal=True, gap="small"):
        names: dict[str, str] = {axis: get_spec(axis).label for axis in AXES}
        x: Axis = parts.select("map_x", "Across", names, "temperature")
        y: Axis = parts.select("map_y", "Down", names, "top_p")
        metric: CellMetric = parts.select(
            "map_metric", "Shown", {m: parts.METRIC_TITLES[m] for m in CELL_METRICS}, "ttft_ms"
        )
    if x == y:
        parts.draw_nothing("Choose two different settings.")
        return
    cells = board.answers.get(board.usage.settings_map, board.filter, x, y, metric)
    if not cells:
        parts.draw_nothing()
        return
    title = parts.METRIC_TITLES[metric]
    st.caption(f"The colour is {title}; the number is how many calls the cell holds.")
    chart = charts_cells.settings_map(cells, x_title=names[x], y_title=names[y], title=title)
    event = style.draw(chart, key="metrics_chart_settings", selections=(charts.PICK,))
    columns = {
        "x": names[x],
        "y": names[y],
        "value": title,
        "n": "Calls with it",
        "calls": "Calls",
    }
    parts.draw_table("settings-map", charts.frame(cells, columns), board.tz)
    for picked in _picked(event):
        params = tuple(_exactly(name, charts_cells.setting_of(picked[place])) for name, place in ((x, "x"), (y, "y")))
        narrowed = replace(board.filter, params=(*board.filter.params, *params))
        pair = f"{names[x].lower()} {picked['x']}, {names[y].lower()} {picked['y']}"
        _drill("settings", picked, narrowed, pair)


def draw_hours(board: Board) -> None:
    parts.head("When calls are made", DEFINITIONS["hour_of_week"])
    cells = board.answers.get(board.usage.hour_of_week, board.filter, board.tz.key)
    if not any(cell.calls for cell in cells):
        parts.draw_nothing("No call in this range.")
        return
    event = style.draw(charts_cells.hours(cells), key="metrics_chart_hours", selections=(charts.PICK,))
    columns = {"hour": "Hour", "calls": "Calls", "failed": "Failed", "hours": "Such hours"}
    table = charts.frame(cells, columns)
    table.insert(0, "Day", [charts_cells.WEEKDAYS[cell.weekday] for cell in cells])
    parts.draw_table("hours", table, board.tz)
    for picked in _picked(event):
        weekday, hour = charts_cells.WEEKDAYS.index(picked["day"]), int(picked["hour"])
        narrowed = replace(board.filter, week_hour=WeekHour(weekday, hour, board.tz.key))
        _drill("hours", picked, narrowed, f"{picked['day']} {picked['hour']}:00 to {hour + 1:02d}:00")


# ---- parts -------------------------------------------------------------------------------------


def _models_of(board: Board, drawn: Iterable[ModelKey], label: str) -> tuple[ModelKey, ...]:
    """What a chart calls `label`."""
    return tuple(key for key, name in board.cast.labels(drawn).items() if name == label)


def _drill_amount(board: Board, by: By, row: UsageRow | None) -> None:
    narrowed = None if row is None else metrics_drill.of_row(board.filter, by, row.key, board.tz)
    if row is not None and narrowed is not None:
        _drill("amounts", {"by": by, "key": row.key}, narrowed, row.label)


def _longest(rows: Sequence[UsageRow], measure: str) -> list[UsageRow]:
    def size(row: UsageRow) -> float:
        return (row.cost_usd or 0.0) if measure == "cost" else row.prompt_tokens + row.completion_tokens

    return sorted(rows, key=size, reverse=True)[:_MOST_BARS]


def _height_for(board: Board, models: Iterable[ModelKey]) -> int:
    return style.HEIGHT_PX + style.legend_height(board.cast.looks(models).legend)


def _picked(event: Any) -> list[dict[str, Any]]:
    chosen = event.selection.get(charts.PICK) if event else None
    return list(chosen or [])


def _brushed(event: Any, tz: ZoneInfo) -> tuple[datetime, datetime] | None:
    """The brushed range; the browser reads the wall times of the chart as its own, so they come back by its zone."""
    span = (event.selection.get(charts.BRUSH) or {}).get("time") if event else None
    if not span:
        return None
    low, high = sorted(span)
    return _moment(low, tz), _moment(high, tz)


def _moment(at: float | str, tz: ZoneInfo) -> datetime:
    """A time as the chart gives it back (ms by the browser's zone, or the text it was given) on the viewer's clock."""
    if isinstance(at, str):
        return datetime.fromisoformat(at).replace(tzinfo=tz)
    return datetime.fromtimestamp(at / 1000, fmt.zone(st.context.timezone)).replace(tzinfo=tz)


def _span(start: datetime, end: datetime, tz: ZoneInfo) -> str:
    return f"{fmt.exact(start, tz=tz)} to {fmt.exact(end, tz=tz)}"


def _exactly(name: str, value: float | None) -> ParamFilter:
    return ParamFilter(name, low=value, high=value)


def _is_new(chart: str, selection: Any) -> bool:
    """A selection stays in the chart; it is acted on once."""
    page = state.metrics()
    if page.picked.get(chart) == selection:
        return False
    page.picked[chart] = selection
    return True


def _drill(chart: str, selection: Any, narrowed: UsageFilter, title: str) -> None:
    if _is_new(chart, selection):
        page = state.metrics()
        page.drill, page.drill_title, page.after = narrowed, plain(title), []
