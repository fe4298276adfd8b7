"""The cards of the Results tab made from trials: arms, baseline, settings, frontier; each says how it is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from chatplay.ui import chart_style as style
from chatplay.ui import experiments_charts as charts
from chatplay.ui import experiments_results_table as tables
from chatplay.ui import experiments_results_words as words
from chatplay.ui import experiments_words, state
from chatplay.ui.experiments_charts import Mark, Place
from chatplay.ui.experiments_results_data import Board
from chatplay.ui.experiments_results_table import Cell, Shown
from chatplay.ui.markdown import plain_markdown

if TYPE_CHECKING:
    from chatplay.experiments.stats.table import Axis
    from chatplay.experiments.stats.values import Comparison, Estimate, FrontierArm, Metric

_AXIS_FORMATS = {"score": ".2~f", "passed": ".0%", "cost_usd": "$~g"}
_NO_SCORE = "No answer has a score of this kind yet. Choose other scores above, or score answers on the Review tab."
_MOST_ROWS = 12
_MOST_NAMED = 12  # more dots than these would hide each other's names


def draw_arms(board: Board) -> None:
    with card("Arms", "arms"):
        tables.draw_arms(board)
        if "score" not in board.metrics:
            st.caption(_NO_SCORE)
        found = [(board.labels[one.arm], one.caveats) for one in board.summaries() if one.trials]
        draw_caveats([*words.caveats(found), *_say_unknown(board)])


def _say_unknown(board: Board) -> Iterator[str]:
    """What is missing beyond the trials that failed."""
    summaries = board.summaries()
    for metric in board.metrics:
        missing = sum(one.estimate(metric).unknown - one.agreement.same_share.unknown for one in summaries)
        if missing > 0:
            total = sum(one.trials for one in summaries)
            yield f"{words.TITLES[metric]} is not known for {missing:,} of {experiments_words.many(total, 'trial')}."


# ---- against the baseline ----------------------------------------------------------------------


def draw_baseline(board: Board, baseline: int, metric: Metric) -> None:
    with card("Against the baseline", "baseline"):
        if len(board.labels) < 2:
            draw_empty("There is one arm, so there is nothing to compare it with. Extend the experiment by another.")
            return
        everything = board.comparisons(baseline)
        compared = [one for one in everything if one.metric == metric]
        if not compared:
            draw_empty(_NO_SCORE)
            return
        name, mean = board.labels[baseline], next((one.baseline_mean for one in compared), None)
        st.caption(f"{words.TITLES[metric]} minus {plain_markdown(name)} ({words.number(metric, mean)}).")
        marks = [_difference_mark(board, one) for one in compared]
        style.draw(
            charts.intervals(
                marks,
                title=f"Difference in {_unit(metric)}",
                reference=0.0,
                names=board.labels,
                fmt="+" + _AXIS_FORMATS.get(metric, "~s").replace("$", ""),
            ),
            key="experiments_chart_baseline",
            height=_rows_px(len(marks)),
        )
        draw_caveats(words.caveats((board.labels[one.arm], one.caveats) for one in compared))
        with st.expander("Numbers, and the words for every figure"):
            tables.draw_table("baseline", [_difference_row(board, one) for one in compared])
            tables.draw_table("verdicts", _verdict_rows(board, everything))
            tables.draw_csv("baseline", pd.DataFrame([_difference_columns(board, one) for one in everything]))


def _unit(metric: Metric) -> str:
    title = "percentage of trials that passed" if metric == "passed" else words.AXIS_TITLES[metric]
    return title[0].lower() + title[1:] if title[:4] != "TTFT" else title


def _difference_mark(board: Board, one: Comparison) -> Mark:
    found = one.difference
    return Mark(
        name=board.labels[one.arm],
        value=found.value,
        low=found.low,
        high=found.high,
        note=one.verdict.text,
        text=words.difference(one.metric, found),
        n=found.trials,
        is_settled=words.is_settled(one),
    )


def _difference_row(board: Board, one: Comparison) -> dict[str, Cell]:
    found = one.difference
    return {
        "Arm": board.labels[one.arm],
        "In words": one.verdict.text,
        "Difference": Shown(found.value, words.difference(one.metric, found)),
        "p, Holm": Shown(one.p_adjusted, words.p_value(one.p_adjusted)),
        "p alone": Shown(one.p_value, words.p_value(one.p_value)),
        "Cases": Shown(found.cases, f"{found.cases:,}"),
        "n": Shown(found.trials, f"{found.trials:,}"),
    }


def _verdict_rows(board: Board, everything: Sequence[Comparison]) -> list[dict[str, Cell]]:
    by_arm: dict[int, dict[str, Cell]] = {}
    for one in everything:
        row = by_arm.setdefault(one.arm, {"Arm": board.labels[one.arm]})
        row[words.TITLES[one.metric]] = one.verdict.word if words.is_settled(one) else "can't tell yet"
    return list(by_arm.values())


def _difference_columns(board: Board, one: Comparison) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "arm": board.labels[one.arm],
        "baseline": board.labels[one.baseline],
        **tables.columns_of("difference", one.difference),
        "baseline_mean": one.baseline_mean,
        "p": one.p_value,
        "p_holm": one.p_adjusted,
        "verdict": one.verdict.text,
    }


# ---- which setting matters ---------------------------------------------------------------------


def draw_settings(board: Board, metric: Metric) -> None:
    axes = board.axes
    with card("Which setting matters", "settings"):
        if not axes:
            draw_empty("Nothing varies among the arms. Give a setting several values to see what it changes.")
            return
        if metric not in board.metrics:
            draw_empty(_NO_SCORE)
            return
        _draw_shares(board, metric)
    with card("The mean at each value", "effects"):
        _draw_effects(board, axes, metric)
    if len(axes) > 1:
        with card("Two settings together", "heat"):
            _draw_heat(board, axes, metric)


def _draw_shares(board: Board, metric: Metric) -> None:
    found = board.variance(metric)
    marks = [
        Mark(words.source(one), one.share, one.low, one.high, _share_text(one.share, one.low, one.high), n=found.trials)
        for one in found.shares
        if one.share is not None
    ]
    if marks:
        title = f"Share of the variance of {_unit(metric)}"
        chart = charts.shares([_with_text(mark) for mark in marks], title=title)
        style.draw(chart, key="experiments_chart_shares", height=_rows_px(len(marks)))
    draw_caveats(found.caveats)
    rows = [{"source": words.source(one), "share": one.share, "low": one.low, "high": one.high} for one in found.shares]
    _numbers("settings", rows)


def _with_text(mark: Mark) -> Mark:
    return Mark(mark.name, mark.value, mark.low, mark.high, mark.note, mark.note, mark.n)


def _share_text(share: float | None, low: float | None, high: float | None) -> str:
    ends = "" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]"
    return "n/a" if share is None else f"{100 * share:.0f} %{ends}"


def _draw_effects(board: Board, axes: list[Axis], metric: Metric) -> None:
    rows: list[tuple[Axis, list[Mark]]] = []
    for axis in axes:
        means = board.level_means(axis, metric)
        rows.append((axis, [_mean_mark(axis.levels[one.level], metric, one.estimate) for one in means]))
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
                fmt=_AXIS_FORMATS.get(metric, "~s"),
            )
            with column:
                style.draw(chart, key=f"experiments_chart_effect_{axis.name}", height=240)
    flat = [
        {"setting": experiments_words.level_name(axis.name), "value": mark.name, **_ends(mark)}
        for axis, marks in rows
        for mark in marks
    ]
    _numbers("effects", flat)


def _mean_mark(name: str, metric: Metric, found: Estimate) -> Mark:
    text = words.estimate(metric, found)
    return Mark(name, found.value, found.low, found.high, words.number(metric, found.value), text, found.trials)


def _ends(mark: Mark) -> dict[str, Any]:
    return {"mean": mark.value, "low": mark.low, "high": mark.high, "trials": mark.n}


def _draw_heat(board: Board, axes: list[Axis], metric: Metric) -> None:
    down, across = _choose_two(board, axes)
    cells = [
        (down.levels[one.row], across.levels[one.column], _mean_mark("", metric, one.estimate))
        for one in board.heat_cells(down, across, metric)
    ]
    named = [(row, column, _named(mark, f"{row}, {column}")) for row, column, mark in cells]
    y_title, x_title = (experiments_words.level_name(axis.name) for axis in (down, across))
    chart = charts.heat(named, x_title=x_title, y_title=y_title, title=words.AXIS_TITLES[metric])
    style.draw(chart, key="experiments_chart_heat", height=60 + 44 * len(down.levels))
    _numbers("heat", [{y_title: row, x_title: column, **_ends(mark)} for row, column, mark in cells])


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


# ---- quality against cost against latency ------------------------------------------------------


def draw_frontier(board: Board) -> None:
    with card("Quality, cost and latency", "frontier"):
        found = board.frontier()
        placed = [one for one in found.arms if one.on_frontier is not None]
        if len(placed) < 2 or len(found.objectives) < 2:
            draw_empty("It takes two arms with a score and a cost or a duration.")
            draw_caveats(found.caveats)
            return
        x, y = _choose_plane(list(found.objectives))
        places = [_place(board, one, x, y) for one in placed]
        chart = charts.frontier(
            places if len(places) <= _MOST_NAMED else [_nameless(one) for one in places],
            x_title=words.AXIS_TITLES[x],
            y_title=words.AXIS_TITLES[y],
            names=board.labels,
            formats=(_AXIS_FORMATS.get(x, "~s"), _AXIS_FORMATS.get(y, "~s")),
        )
        style.draw(chart, key="experiments_chart_frontier")
        draw_caveats(found.caveats)
        with st.expander("Numbers", expanded=len(places) > _MOST_NAMED):
            rows = sorted((_frontier_row(board, one) for one in placed), key=_by_probability)
            tables.draw_table("frontier", rows)
            tables.draw_csv("frontier", pd.DataFrame([_frontier_columns(board, one) for one in found.arms]))


def _choose_plane(metrics: list[Metric]) -> tuple[Metric, Metric]:
    planes = {f"{words.TITLES[y]} against {words.TITLES[x].lower()}": (x, y) for y, x in combinations(metrics, 2)}
    chosen = st.segmented_control(
        "Shown",
        list(planes),
        default=next(iter(planes)),
        required=True,
        key=state.experiments_key(f"plane_{len(planes)}"),
        label_visibility="collapsed",
    )
    return planes.get(chosen or "", next(iter(planes.values())))


_FIELDS = {"score": "quality", "cost_usd": "cost", "duration_ms": "latency"}


def _place(board: Board, one: FrontierArm, x: Metric, y: Metric) -> Place:
    sure = "" if one.probability is None else f", {100 * one.probability:.0f} %"
    name = board.labels[one.arm]
    return Place(name, getattr(one, _FIELDS[x]), getattr(one, _FIELDS[y]), f"{name}{sure}", bool(one.on_frontier))


def _nameless(one: Place) -> Place:
    return Place(one.name, one.x, one.y, one.text.rpartition(", ")[2] if one.on_frontier else "", one.on_frontier)


def _frontier_row(board: Board, one: FrontierArm) -> dict[str, Cell]:
    sure = "n/a" if one.probability is None else f"{100 * one.probability:.1f} %"
    return {
        "Arm": board.labels[one.arm],
        "On the frontier": "yes" if one.on_frontier else "no",
        "How sure": Shown(one.probability, sure),
        "Score": Shown(one.quality, words.number("score", one.quality)),
        "Cost": Shown(one.cost, words.number("cost_usd", one.cost)),
        "Duration": Shown(one.latency, words.number("duration_ms", one.latency)),
    }


def _by_probability(row: dict[str, Cell]) -> float:
    sure = row["How sure"]
    return -(sure.value or 0.0) if isinstance(sure, Shown) else 0.0


def _frontier_columns(board: Board, one: FrontierArm) -> dict[str, Any]:
    return {
        "arm": board.labels[one.arm],
        "score": one.quality,
        "cost_usd": one.cost,
        "duration_ms": one.latency,
        "on_frontier": one.on_frontier,
        "probability": one.probability,
    }


# ---- what all cards share ----------------------------------------------------------------------


@contextmanager
def card(title: str, name: str) -> Iterator[None]:
    """A card with its title, its definition on hover, and how its figures are computed."""
    with st.container(border=True, key=f"experiments_card_{name}"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.subheader(title, anchor=False, help=words.DEFINITIONS[name], width="content")
            with st.popover("How is this computed", type="tertiary", key=state.experiments_key(f"how_{name}")):
                st.markdown(words.HOW[name])
        yield


def draw_empty(why: str) -> None:
    st.caption(why)


def draw_caveats(said: Iterable[str]) -> None:
    for one in said:
        st.caption(f":material/info: {plain_markdown(one)}")


def _numbers(name: str, rows: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame(rows)
    with st.expander("Numbers"):
        st.dataframe(frame, hide_index=True, height="content" if len(frame) <= _MOST_ROWS else 400)
        tables.draw_csv(name, frame)


def _rows_px(rows: int) -> int:
    return 60 + charts.ROW_PX * rows
