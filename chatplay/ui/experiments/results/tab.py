"""The Results tab: who scored, against which arm, and what may be said of every arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.experiments.values import Experiment, Judge, Progress
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import gate, state
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments.results import cards, scores, settings, words
from chatplay.ui.experiments.results import data as figures
from chatplay.ui.experiments.results.data import Board
from chatplay.ui.markdown import message_markdown

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import Metric

_TICK_SEC = 5.0
_SLOW_TICK_SEC = 30.0
_MANY_TRIALS = 20_000


def draw(experiment: Experiment, token: str | None) -> None:
    """Moves by itself while trials run; a chosen baseline or figure draws only this tab anew."""
    with st.container(key="experiments_results"):
        st.fragment(_draw_live, run_every=_tick(experiment, token))(experiment, token)


def _tick(experiment: Experiment, token: str | None) -> float | None:
    if experiment.state != "running":
        return None
    progress = get_runtime().experiments.get_progress(**figures.about(experiment, token))
    return _TICK_SEC if progress.trials < _MANY_TRIALS else _SLOW_TICK_SEC


def _draw_live(experiment: Experiment, token: str | None) -> None:
    gate.recheck()
    try:
        whose = figures.about(experiment, token)
        judges = [one for one in get_runtime().experiments.list_judges(**whose) if not one.is_withdrawn]
        scored_by, place = _choose_scores(experiment, judges)
        with st.spinner("Reading the trials"):
            board = figures.load(experiment, whose, scored_by)
        if board.progress.state != experiment.state:
            st.rerun()
        _draw_progress(board.progress)
        if not len(board.results.table):
            _draw_nothing(board.progress)
            return
        with place:
            baseline, metric = _choose_view(board)
        _draw_cards(board, baseline, metric, judges)
    except ChatplayError as error:
        st.error(message_markdown(str(error)), icon=":material/database_off:")


def _draw_cards(board: Board, baseline: int, metric: Metric, judges: list[Judge]) -> None:
    cards.draw_arms(board)
    cards.draw_baseline(board, baseline, metric)
    settings.draw_settings(board, metric)
    cards.draw_frontier(board)
    scores.draw_votes(board, judges)
    scores.draw_judges(board, judges)


# ---- what is looked at -------------------------------------------------------------------------


def _choose_scores(experiment: Experiment, judges: list[Judge]) -> tuple[str, st.delta_generator.DeltaGenerator]:
    """Whose scores, and the place beside that choice."""
    options = figures.scores_of(experiment, judges)
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="experiments_view")
    with row:
        chosen = st.selectbox(
            "Scores",
            list(options),
            format_func=lambda name: options.get(name, name),
            **experiments_state.in_address("scores", _key(experiment, "scored_by"), {name: name for name in options}),
            width=220,
            help="Who scored the answers. Times, tokens and cost do not depend on it.",
        )
    return chosen or "rules", row


def _choose_view(board: Board) -> tuple[int, Metric]:
    labels = board.labels
    baseline = st.selectbox(
        "Baseline",
        range(len(labels)),
        format_func=lambda arm: labels[arm],
        **experiments_state.in_address(
            "baseline", _key(board.experiment, "baseline"), {str(arm + 1): arm for arm in range(len(labels))}
        ),
        width=300,
        help="The arm that all others are compared with.",
        disabled=len(labels) < 2,
    )
    metrics: list[Metric] = board.metrics or ["score"]
    metric: Metric = st.selectbox(
        "Figure",
        metrics,
        format_func=lambda name: words.TITLES[name],
        **experiments_state.in_address("figure", _key(board.experiment, "figure"), {name: name for name in metrics}),
        width=180,
        help="What the charts below are about.",
    )
    return baseline or 0, metric


def _key(experiment: Experiment, name: str) -> str:
    return state.experiments_key(f"{name}_{experiment.id}")


# ---- how much of it is there -------------------------------------------------------------------


def _draw_progress(progress: Progress) -> None:
    ended = progress.done + progress.failed
    if ended < progress.trials:
        text = f"{ended:,} of {fmt.many(progress.trials, 'trial')} have ended. "
        if progress.cancelled:
            text += f"{progress.cancelled:,} were cancelled. "
        moves = progress.state == "running" and progress.waiting + progress.running
        st.info(text + ("Figures move until the rest have." if moves else ""), icon=":material/hourglass_top:")
    if progress.failed:
        st.warning(
            f"{fmt.many(progress.failed, 'trial')} failed and no mean counts them. The Run tab says why.",
            icon=":material/error:",
        )


def _draw_nothing(progress: Progress) -> None:
    if progress.state == "running":
        st.caption("No trial has ended yet. Figures appear here with the first ones.")
    else:
        st.caption("No trial has ended. The Run tab shows how it stands.")
