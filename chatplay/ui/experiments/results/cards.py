"""The cards of the Results tab made from trials: arms, baseline, frontier; each says how it is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from chatplay.ui import chart_style as style
from chatplay.ui import files, state
from chatplay.ui import format as fmt
from chatplay.ui.experiments import charts
from chatplay.ui.experiments.charts import Mark, Place
from chatplay.ui.experiments.results import table as tables
from chatplay.ui.experiments.results import words
from chatplay.ui.experiments.results.data import Board
from chatplay.ui.experiments.results.parts import (
    AXIS_FORMATS,
    NO_SCORE,
    card,
    draw_behind,
    draw_caveats,
    draw_empty,
    rows_px,
    unit,
)
from chatplay.ui.experiments.results.table import Cell, Shown
from chatplay.ui.markdown import plain_markdown

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import Comparison, Frontier, FrontierArm, Metric

_OPEN_WORDS = {"unclear": "can't tell yet", "unknown": "nothing to compare"}
_MOST_NAMED = len(style.PALETTE)  # more dots than these could not be told apart by colour


def draw_arms(board: Board) -> None:
    with card("Arms", "arms"):
        board.draw_kept("table arms", lambda: tables.draw_arms(board))
        tables.draw_arms_csv(board)
        if "score" not in board.metrics:
            st.caption(NO_SCORE)
        found = [(board.labels[one.arm], one.caveats) for one in board.summaries() if one.trials]
        draw_caveats(board, [*words.caveats(found), *_say_unknown(board), *_say_cut_off(board)])


def _say_cut_off(board: Board) -> Iterator[str]:
    """Of these, length and time tell how much room there was."""
    for one in board.cut_off():
        answers = fmt.many(one.done, "answer")
        yield f"{board.labels[one.arm]}: {one.cut_off:,} of {answers} cut off, at Max tokens or a full context window."


def _say_unknown(board: Board) -> Iterator[str]:
    """What is missing beyond the trials that failed."""
    summaries = board.summaries()
    for metric in board.metrics:
        missing = sum(one.estimate(metric).unknown - one.agreement.same_share.unknown for one in summaries)
        if missing > 0:
            total = sum(one.trials for one in summaries)
            yield f"{words.TITLES[metric]} is not known for {missing:,} of {fmt.many(total, 'trial')}."


# ---- against the baseline ----------------------------------------------------------------------


def draw_baseline(board: Board, baseline: int, metric: Metric) -> None:
    with card("Against the baseline", "baseline"):
        if len(board.labels) < 2:
            draw_empty("There is one arm, so there is nothing to compare it with. Extend the experiment by another.")
            return
        everything = board.comparisons(baseline)
        compared = [one for one in everything if one.metric == metric]
        if not compared:
            draw_empty(NO_SCORE)
            return
        name, mean = board.labels[baseline], board.summaries()[baseline].estimate(metric).value
        st.caption(f"{words.TITLES[metric]} minus {plain_markdown(name)} ({words.number(metric, mean)}).")
        board.draw_kept(f"chart baseline {baseline} {metric}", lambda: _draw_differences(board, compared, metric))
        draw_caveats(board, words.caveats((board.labels[one.arm], one.caveats) for one in compared))
        draw_behind(
            board,
            "baseline",
            lambda: _draw_difference_numbers(board, compared, everything),
            title="Numbers, and the words for every figure",
        )


def _draw_differences(board: Board, compared: Sequence[Comparison], metric: Metric) -> None:
    chart = charts.intervals(
        [_difference_mark(board, one) for one in compared],
        title=f"Difference in {unit(metric)}",
        reference=0.0,
        names=board.labels,
        fmt="+" + AXIS_FORMATS.get(metric, "~s").replace("$", ""),
    )
    style.draw(chart, key="experiments_chart_baseline", height=rows_px(len(compared)))


def _draw_difference_numbers(board: Board, compared: Sequence[Comparison], everything: Sequence[Comparison]) -> None:
    tables.draw_table("baseline", [_difference_row(board, one) for one in compared])
    tables.draw_table("verdicts", _verdict_rows(board, everything))
    files.draw_csv("experiment-baseline", lambda: pd.DataFrame([_difference_columns(board, one) for one in everything]))


def _difference_mark(board: Board, one: Comparison) -> Mark:
    found = one.difference
    return Mark(
        name=board.labels[one.arm],
        value=found.value,
        low=found.low,
        high=found.high,
        note=words.brief(one.verdict.text),
        text=f"{words.difference(one.metric, found)}, {one.verdict.text}",
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
        row[words.TITLES[one.metric]] = _OPEN_WORDS.get(one.verdict.word, one.verdict.word)
    return list(by_arm.values())


def _difference_columns(board: Board, one: Comparison) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "arm": board.columns[one.arm],
        "baseline": board.columns[one.baseline],
        **tables.columns_of("difference", one.difference),
        "baseline_mean": one.baseline_mean,
        "p": one.p_value,
        "p_holm": one.p_adjusted,
        "verdict": one.verdict.text,
    }


# ---- quality against cost against latency ------------------------------------------------------


def draw_frontier(board: Board) -> None:
    with card("Quality, cost and latency", "frontier"):
        found = board.frontier()
        placed = [one for one in found.arms if one.on_frontier is not None]
        if len(placed) < 2 or len(found.objectives) < 2:
            draw_empty("It takes two arms with a score and a cost or a duration.")
            draw_caveats(board, found.caveats)
            return
        together = ", ".join(words.TITLES[metric].lower() for metric in found.objectives)
        st.caption(
            f"Percentages: how sure it is that no other arm beats this one in {together} together"
            f"{_of_cases(board, found.cases)}."
        )
        x, y = _choose_plane(_telling(placed, list(found.objectives)))
        board.draw_kept(f"chart frontier {x} {y}", lambda: _draw_plane(board, placed, x, y))
        draw_caveats(board, found.caveats)
        draw_behind(
            board,
            "frontier",
            lambda: _draw_frontier_numbers(board, found, placed),
            is_open=len(placed) > _MOST_NAMED,
        )


def _of_cases(board: Board, cases: int) -> str:
    """Where other cards hold more of them, their means differ from those here."""
    most = max((one.cases for one in board.summaries()), default=0)
    return f", over the {cases:,} of {most:,} cases in which all arms have them all" if cases < most else ""


def _draw_plane(board: Board, placed: Sequence[FrontierArm], x: Metric, y: Metric) -> None:
    chart = charts.frontier(
        [_place(board, one, x, y) for one in placed],
        x_title=words.AXIS_TITLES[x],
        y_title=words.AXIS_TITLES[y],
        names=board.labels,
        formats=(AXIS_FORMATS.get(x, "~s"), AXIS_FORMATS.get(y, "~s")),
    )
    told = len(placed) if len(placed) <= _MOST_NAMED else 0
    style.draw(chart, key="experiments_chart_frontier", height=300 + 30 * told)


def _draw_frontier_numbers(board: Board, found: Frontier, placed: Sequence[FrontierArm]) -> None:
    def draw() -> None:
        rows = sorted((_frontier_row(board, one) for one in placed), key=_by_probability)
        tables.draw_table("frontier", rows)

    board.draw_kept("table frontier", draw)
    files.draw_csv("experiment-frontier", lambda: pd.DataFrame([_frontier_columns(board, one) for one in found.arms]))


def _telling(placed: Sequence[FrontierArm], metrics: list[Metric]) -> list[Metric]:
    """Without figures in which all arms are the same, such as a cost of nothing, as long as two are left."""
    differing = [metric for metric in metrics if len({getattr(one, _FIELDS[metric]) for one in placed}) > 1]
    return differing if len(differing) > 1 else metrics


def _choose_plane(metrics: list[Metric]) -> tuple[Metric, Metric]:
    planes = {f"{words.TITLES[y]} against {words.TITLES[x].lower()}": (x, y) for y, x in combinations(metrics, 2)}
    if len(planes) == 1:
        return next(iter(planes.values()))
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
    sure = "" if one.probability is None else f"{100 * one.probability:.0f} %"
    name = board.labels[one.arm]
    return Place(name, getattr(one, _FIELDS[x]), getattr(one, _FIELDS[y]), sure, bool(one.on_frontier))


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
        "arm": board.columns[one.arm],
        "score": one.quality,
        "cost_usd": one.cost,
        "duration_ms": one.latency,
        "on_frontier": one.on_frontier,
        "probability": one.probability,
    }
