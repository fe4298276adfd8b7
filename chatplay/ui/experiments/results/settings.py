"""The cards of the Results tab about settings: which matters, the mean at each of its values, two of them together."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import streamlit as st

from chatplay.ui import chart_style as style
from chatplay.ui import state
from chatplay.ui.experiments import charts
from chatplay.ui.experiments import words as experiments_words
from chatplay.ui.experiments.charts import Mark
from chatplay.ui.experiments.results import words
from chatplay.ui.experiments.results.data import Board
from chatplay.ui.experiments.results.parts import (
    AXIS_FORMATS,
    NO_SCORE,
    card,
    draw_caveats,
    draw_empty,
    draw_numbers,
    rows_px,
    unit,
)

if TYPE_CHECKING:
    from chatplay.experiments.stats.table import Axis
    from chatplay.experiments.stats.values import Estimate, Metric, VarianceShares


def draw_settings(board: Board, metric: Metric) -> None:
    axes = board.axes
    with card("Which setting matters", "settings"):
        if not axes:
            draw_empty("Nothing varies among the arms. Give a setting several values to see what it changes.")
            return
        if metric not in board.metrics:
            draw_empty(NO_SCORE)
            return
        _draw_shares(board, metric)
    with card("The mean at each value", "effects"):
        _draw_effects(board, axes, metric)
    if len(axes) > 1:
        with card("Two settings together", "heat"):
            _draw_heat(board, axes, metric)


def _draw_shares(board: Board, metric: Metric) -> None:
    found = board.variance(metric)
    board.draw_kept(f"chart shares {metric}", lambda: _draw_shares_chart(found, metric))
    draw_caveats(board, found.caveats)
    draw_numbers(
        board,
        "settings",
        lambda: [
            {"source": words.source(one), "share": one.share, "low": one.low, "high": one.high}
            for one in found.shares
            if one.share is not None or one.source != "settings_together"
        ],
    )


def _draw_shares_chart(found: VarianceShares, metric: Metric) -> None:
    marks = [
        Mark(words.source(one), one.share, one.low, one.high, _share_text(one.share, one.low, one.high), n=found.trials)
        for one in found.shares
        if one.share is not None
    ]
    if marks:
        title = f"Share of the variance of {unit(metric)}"
        chart = charts.shares([_with_text(mark) for mark in marks], title=title)
        style.draw(chart, key="experiments_chart_shares", height=rows_px(len(marks)))


def _with_text(mark: Mark) -> Mark:
    return Mark(mark.name, mark.value, mark.low, mark.high, mark.note, mark.note, mark.n)


def _share_text(share: float | None, low: float | None, high: float | None) -> str:
    ends = "" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]"
    return "n/a" if share is None else f"{100 * share:.0f} %{ends}"


def _draw_effects(board: Board, axes: list[Axis], metric: Metric) -> None:
    board.draw_kept(f"chart effects {metric}", lambda: _draw_effect_charts(board, axes, metric))
    draw_numbers(
        board,
        "effects",
        lambda: [
            {"setting": experiments_words.level_name(axis.name), "value": mark.name, **_ends(mark)}
            for axis, marks in _effects(board, axes, metric)
            for mark in marks
        ],
    )


def _effects(board: Board, axes: list[Axis], metric: Metric) -> list[tuple[Axis, list[Mark]]]:
    rows: list[tuple[Axis, list[Mark]]] = []
    for axis in axes:
        means = board.level_means(axis, metric)
        rows.append((axis, [_mean_mark(axis.levels[one.level], metric, one.estimate) for one in means]))
    return rows


def _draw_effect_charts(board: Board, axes: list[Axis], metric: Metric) -> None:
    rows = _effects(board, axes, metric)
    ends = [end for _, marks in rows for mark in marks for end in (mark.low, mark.high, mark.value) if end is not None]
    for start in range(0, len(rows), 3):
        for column, (axis, marks) in zip(st.columns(min(3, len(rows))), rows[start : start + 3], strict=False):
            title = experiments_words.level_name(axis.name)
            chart = charts.effect(
                marks,
                title=words.AXIS_TITLES[metric],
                x_title=title,
                low=min(ends, default=0.0),
                high=max(ends, default=1.0),
                fmt=AXIS_FORMATS.get(metric, "~s"),
            )
            with column:
                style.draw(chart, key=f"experiments_chart_effect_{axis.name}", height=240)


def _mean_mark(name: str, metric: Metric, found: Estimate) -> Mark:
    text = words.estimate(metric, found)
    return Mark(name, found.value, found.low, found.high, words.number(metric, found.value), text, found.trials)


def _ends(mark: Mark) -> dict[str, Any]:
    return {"mean": mark.value, "low": mark.low, "high": mark.high, "trials": mark.n}


def _draw_heat(board: Board, axes: list[Axis], metric: Metric) -> None:
    down, across = _choose_two(board, axes)
    y_title, x_title = (experiments_words.level_name(axis.name) for axis in (down, across))

    def draw() -> None:
        named = [
            (row, column, _named(mark, f"{row}, {column}")) for row, column, mark in _cells(board, down, across, metric)
        ]
        chart = charts.heat(named, x_title=x_title, y_title=y_title, title=words.AXIS_TITLES[metric])
        style.draw(chart, key="experiments_chart_heat", height=60 + 44 * len(down.levels))

    board.draw_kept(f"chart heat {down.name} {across.name} {metric}", draw)
    draw_numbers(
        board,
        "heat",
        lambda: [
            {y_title: row, x_title: column, **_ends(mark)} for row, column, mark in _cells(board, down, across, metric)
        ],
    )


def _cells(board: Board, down: Axis, across: Axis, metric: Metric) -> list[tuple[str, str, Mark]]:
    return [
        (down.levels[one.row], across.levels[one.column], _mean_mark("", metric, one.estimate))
        for one in board.heat_cells(down, across, metric)
    ]


def _named(mark: Mark, name: str) -> Mark:
    return Mark(name, mark.value, mark.low, mark.high, f"{mark.note} (n {mark.n:,})", mark.text, mark.n)


def _choose_two(board: Board, axes: list[Axis]) -> tuple[Axis, Axis]:
    if len(axes) == 2:
        return axes[0], axes[1]
    pairs = list(combinations(range(len(axes)), 2))
    names = [experiments_words.level_name(axis.name) for axis in axes]
    first, second = st.selectbox(
        "Settings",
        pairs,
        format_func=lambda pair: f"{names[pair[0]]} and {names[pair[1]]}",
        key=state.experiments_key(f"heat_{board.experiment.id}"),
        width=320,
    )
    return axes[first], axes[second]
