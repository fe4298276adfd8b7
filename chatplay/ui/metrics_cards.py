"""A card per chart of the metrics page: what it shows, the chart, its numbers as a table and as CSV, and what was
picked in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from chatplay.params import get_spec
from chatplay.ui import chart_style as style
from chatplay.ui import charts, state
from chatplay.ui import format as fmt
from chatplay.ui.people import plain
from chatplay.usage.definitions import DEFINITIONS
from chatplay.usage.service import Usage
from chatplay.usage.values import (
    AXES,
    CELL_METRICS,
    METRICS,
    TARGETS,
    Axis,
    By,
    CellMetric,
    Metric,
    ModelKey,
    ParamFilter,
    UsageFilter,
    UsageRow,
    WeekHour,
)

METRIC_TITLES: dict[str, str] = {
    "ttft_ms": "TTFT, ms",
    "tokens_per_second": "Decode speed, tok/s",
    "duration_ms": "Duration, ms",
    "itl_p95_ms": "Inter-token latency p95, ms",
    "completion_tokens": "Completion tokens",
    "cost_usd": "Cost, US dollars",
    "error_rate": "Error rate",
}
_NOTHING = "No call in this range has this figure."
_MOST_BARS = 20
_PERCENTILES = {"p50": "p50", "p95": "p95", "n": "Calls"}


@dataclass(frozen=True)
class Board:
    """What every card needs: whom to ask, which calls, in whose time."""

    usage: Usage
    filter: UsageFilter
    tz: ZoneInfo
    may_see_people: bool
    models: tuple[ModelKey, ...] = ()  # all of the range, so that each keeps its colour in every chart


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
    metric, shown = _head_with_percentiles("Latency and speed over time", "over_time")
    rows = board.usage.percentiles_over_time(board.filter, metric, board.tz.key)
    if not rows:
        _draw_nothing()
        return
    target = TARGETS["ttft_p95_ms"].value if metric == "ttft_ms" else None
    title = f"{METRIC_TITLES[metric]} ({' and '.join(shown)})"
    chart = charts.percentiles(rows, title=title, tz=board.tz, shown=shown, known=board.models, target=target)
    event = style.draw(chart, key="metrics_chart_over_time", selections=(charts.PICK, charts.BRUSH))
    _table(
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
            keys = charts.model_labels([*board.models, *(one.model for one in rows)])
            models = tuple(key for key, label in keys.items() if label == picked["model"])
            narrowed = replace(board.filter, start=row.start, end=row.end, models=models)
            _drill("over_time", picked, narrowed, f"{picked['model']}, {_span(row.start, row.end, board.tz)}")


def draw_distribution(board: Board) -> None:
    metric = _head_with_metric("How it is spread over the calls", "distribution")
    rows = board.usage.distribution(board.filter, metric)
    if not rows:
        _draw_nothing()
        return
    style.draw(
        charts.distribution(rows, title=METRIC_TITLES[metric], known=board.models), key="metrics_chart_distribution"
    )
    steps = [(row.model, step.low, step.high, step.n, step.upto) for row in rows for step in row.bins]
    _table(
        "distribution", pd.DataFrame(steps, columns=["Model", "From", "Below", "Calls", "Share at or below"]), board.tz
    )


def draw_ttft_by_prompt(board: Board) -> None:
    _head("TTFT against prompt tokens", DEFINITIONS["ttft_ms"])
    _draw_binned(board, "ttft_by_prompt", "Prompt tokens", METRIC_TITLES["ttft_ms"])


def draw_speed_by_context(board: Board) -> None:
    _head("Decode speed against context length", DEFINITIONS["tokens_per_second"])
    _draw_binned(board, "speed_by_context", "Prompt and completion tokens", METRIC_TITLES["tokens_per_second"])


def _draw_binned(board: Board, name: str, x_title: str, y_title: str) -> None:
    ask = board.usage.ttft_by_prompt_tokens if name == "ttft_by_prompt" else board.usage.speed_by_context
    binned = ask(board.filter)
    if not binned.bins:
        _draw_nothing()
        return
    if len(binned.points) < binned.n:
        st.caption(f"Points: {len(binned.points):,} of {binned.n:,} calls, chosen at random. Lines: all of them.")
    chart = charts.against_tokens(binned, x_title=x_title, y_title=y_title, known=board.models)
    event = style.draw(chart, key=f"metrics_chart_{name}", selections=(charts.PICK,))
    columns = {"low": "Tokens from", "high": "Below"} | _PERCENTILES
    _table(name.replace("_", "-"), charts.frame(binned.bins, columns), board.tz)
    for picked in _picked(event):
        if _is_new(name, picked):
            st.query_params["call"] = picked["call"]
            st.rerun()


def draw_outcomes(board: Board) -> None:
    _head("How calls ended", "Finish reasons of answers, and error classes of calls that failed, each with its calls.")
    kind = _choose("outcomes", "Shown", {"finish_reason": "Finish reasons", "error_class": "Errors"})
    rows = [row for row in board.usage.outcomes_over_time(board.filter, board.tz.key) if row.kind == kind]
    if not rows:
        _draw_nothing("No call in this range failed." if kind == "error_class" else _NOTHING)
        return
    event = style.draw(charts.outcomes(rows, tz=board.tz), key=f"metrics_chart_{kind}", selections=(charts.PICK,))
    columns = {"start": "From", "end": "Until", "name": "Ended", "n": "Calls", "of": "Of"}
    _table("outcomes", charts.frame(rows, columns), board.tz)
    for picked in _picked(event):
        start = _moment(picked["time"], board.tz)
        row = next((one for one in rows if abs(one.start - start) < timedelta(minutes=1)), None)
        if row is not None:
            narrowed = replace(board.filter, start=row.start, end=row.end)
            if kind == "finish_reason":
                narrowed = replace(narrowed, finish_reasons=(picked["name"],))
            else:
                narrowed = replace(narrowed, error_classes=(picked["name"],))
            _drill("outcomes", picked, narrowed, f"{picked['name']}, {_span(row.start, row.end, board.tz)}")


def draw_amounts(board: Board) -> None:
    _head("Tokens and cost", f"{DEFINITIONS['cost_usd']} {DEFINITIONS['prompt_tokens']}")
    with st.container(horizontal=True, gap="small"):
        by_titles = {"model": "By model", "source": "By source", "day": "By day"}
        if board.may_see_people:
            by_titles |= {"person": "By person"}
        by: By = _choose("amounts_by", "By", by_titles)
        measure = _choose("amounts_measure", "Measure", {"tokens": "Tokens", "cost": "Cost"})
    rows = board.usage.usage_table(board.filter, by, board.tz.key, percentiles=by != "person")
    if not rows:
        _draw_nothing()
        return
    if measure == "cost" and all(row.cost_usd is None for row in rows):
        _draw_nothing(
            "No price is known for these models, so their cost is unknown. Administrators set prices on Usage."
        )
    else:
        shown = _longest(rows, measure)
        if len(shown) < len(rows):
            st.caption(f"The {len(shown)} largest of {len(rows):,}; the table has them all.")
        style.draw(charts.amounts(shown, measure=measure), key="metrics_chart_amounts", height=_bars_height(len(shown)))
    _table("tokens-and-cost", usage_frame(rows), board.tz)


def draw_settings_map(board: Board) -> None:
    _head("What settings change", DEFINITIONS["settings_map"])
    with st.container(horizontal=True, gap="small"):
        names: dict[str, str] = {axis: get_spec(axis).label for axis in AXES}
        x: Axis = _select("map_x", "Across", names, "temperature")
        y: Axis = _select("map_y", "Down", names, "top_p")
        metric: CellMetric = _select("map_metric", "Shown", {m: METRIC_TITLES[m] for m in CELL_METRICS}, "ttft_ms")
    if x == y:
        _draw_nothing("Choose two different settings.")
        return
    cells = board.usage.settings_map(board.filter, x, y, metric)
    if not cells:
        _draw_nothing()
        return
    chart = charts.settings_map(cells, x_title=names[x], y_title=names[y], title=METRIC_TITLES[metric])
    event = style.draw(chart, key="metrics_chart_settings", selections=(charts.PICK,))
    columns = {"x": names[x], "y": names[y], "value": METRIC_TITLES[metric], "n": "Calls with it", "calls": "Calls"}
    _table("settings-map", charts.frame(cells, columns), board.tz)
    for picked in _picked(event):
        params = tuple(_exactly(name, charts.setting_of(picked[place])) for name, place in ((x, "x"), (y, "y")))
        narrowed = replace(board.filter, params=(*board.filter.params, *params))
        title = f"{names[x].lower()} {picked['x']}, {names[y].lower()} {picked['y']}"
        _drill("settings", picked, narrowed, title)


def draw_hours(board: Board) -> None:
    _head("When calls are made", DEFINITIONS["hour_of_week"])
    cells = board.usage.hour_of_week(board.filter, board.tz.key)
    if not any(cell.calls for cell in cells):
        _draw_nothing("No call in this range.")
        return
    event = style.draw(charts.hours(cells), key="metrics_chart_hours", selections=(charts.PICK,))
    columns = {
        "weekday": "Weekday (0 is Monday)",
        "hour": "Hour",
        "calls": "Calls",
        "failed": "Failed",
        "hours": "Hours",
    }
    _table("hours", charts.frame(cells, columns | {"hours": "Such hours"}), board.tz)
    for picked in _picked(event):
        weekday, hour = charts.WEEKDAYS.index(picked["day"]), int(picked["hour"])
        narrowed = replace(board.filter, week_hour=WeekHour(weekday, hour, board.tz.key))
        _drill("hours", picked, narrowed, f"{picked['day']} {picked['hour']}:00 to {hour + 1:02d}:00")


# ---- parts -------------------------------------------------------------------------------------


def _head(title: str, definition: str) -> None:
    st.subheader(title, anchor=False, help=definition)


def _head_with_metric(title: str, name: str) -> Metric:
    _head(title, f"{DEFINITIONS['percentiles']} {' '.join(DEFINITIONS[metric] for metric in METRICS)}")
    short = {"ttft_ms": "TTFT", "tokens_per_second": "tok/s", "duration_ms": "Duration", "itl_p95_ms": "ITL p95"}
    metric: Metric = _choose(name, "Figure", short)
    return metric


def _head_with_percentiles(title: str, name: str) -> tuple[Metric, tuple[str, ...]]:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        with st.container(width="content"):
            metric = _head_with_metric(title, name)
        both = {"p50": ("p50",), "p95": ("p95",), "p50, p95": ("p50", "p95")}
        shown = _choose(f"{name}_shown", "Percentiles", {key: key for key in both})
    return metric, both[shown]


def _choose(name: str, label: str, options: dict[str, str]) -> Any:
    return st.segmented_control(
        label,
        list(options),
        format_func=options.__getitem__,
        default=next(iter(options)),
        required=True,
        key=state.metrics_key(name),
        label_visibility="collapsed",
    )


def _select(name: str, label: str, options: dict[str, str], default: str) -> Any:
    names = list(options)
    return st.selectbox(
        label, names, index=names.index(default), format_func=options.__getitem__, key=state.metrics_key(name)
    )


def _draw_nothing(why: str = _NOTHING) -> None:
    with st.container(height=style.HEIGHT_PX, border=False, vertical_alignment="center", horizontal_alignment="center"):
        st.caption(why, text_alignment="center")


def _table(name: str, rows: pd.DataFrame, tz: ZoneInfo) -> None:
    """The chart's numbers; whole and unrounded in the CSV."""
    data = rows.copy()
    for column in data.columns:
        if len(data) and isinstance(data[column].iloc[0], datetime):
            data[column] = pd.to_datetime(data[column], utc=True).dt.tz_convert(tz)
        elif len(data) and isinstance(data[column].iloc[0], tuple):
            data[column] = [f"{key[1]} @ {key[0]}" for key in data[column]]
    with st.expander("Numbers"):
        st.dataframe(data, hide_index=True, height=min(38 + 35 * len(data), 320))
        st.download_button(
            "CSV",
            lambda: data.to_csv(index=False).encode(),
            file_name=f"metrics-{name}.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key=f"metrics_csv_{name}",
        )


def usage_frame(rows: Sequence[UsageRow]) -> pd.DataFrame:
    """Rows of usage under the names people read; sums are of what is known, and what is not is beside them."""
    return charts.frame(
        rows,
        {
            "label": "Of",
            "calls": "Calls",
            "failed": "Failed",
            "fallbacks": "Fallbacks",
            "prompt_tokens": "Prompt tokens",
            "completion_tokens": "Completion tokens",
            "tokens_unknown": "Calls without tokens",
            "cost_usd": "Cost, US dollars",
            "cost_unknown": "Calls without cost",
            "ttft_p50_ms": "TTFT p50, ms",
            "ttft_p95_ms": "TTFT p95, ms",
            "tokens_per_second_p50": "tok/s p50",
            "chats": "Chats",
        },
    )


def _longest(rows: Sequence[UsageRow], measure: str) -> list[UsageRow]:
    def size(row: UsageRow) -> float:
        return (row.cost_usd or 0.0) if measure == "cost" else row.prompt_tokens + row.completion_tokens

    return sorted(rows, key=size, reverse=True)[:_MOST_BARS]


def _bars_height(bars: int) -> int:
    return max(style.HEIGHT_PX, 24 * bars + 60)


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
