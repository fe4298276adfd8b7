"""One cell opened: what was asked, every repeat side by side with its scores, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from chatplay.errors import ChatplayError, NotFound
from chatplay.experiments.values import Cell, Experiment, Trial
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import gate, state, text_diff
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments.cells import call as cells_call
from chatplay.ui.experiments.cells import trial as cells_trial
from chatplay.ui.experiments.results.data import about
from chatplay.ui.experiments.review.item import draw_facts
from chatplay.ui.experiments.words import arm_names
from chatplay.ui.markdown import message_markdown, plain_markdown

_BESIDE = 3
_TICK_SEC = 2.0
_LONGEST_DIFF_CHARS = 60_000


@dataclass(frozen=True)
class Spot:
    """A cell of the table of cases: places counted from 0."""

    case: int
    arm: int


def asked(experiment: Experiment) -> Spot | None:
    """The cell that the address names, if there is such a one."""
    case, arm = (_place(st.query_params.get(name)) for name in ("case", "arm"))
    if case is None or not 0 <= case < experiment.cases:
        return None
    return Spot(case, arm if arm is not None and 0 <= arm < len(experiment.arms) else 0)


def open_cell(spot: Spot) -> None:
    """In a callback."""
    st.query_params["case"], st.query_params["arm"] = str(spot.case + 1), str(spot.arm + 1)


def close_cell() -> None:
    """In a callback."""
    for name in ("case", "arm"):
        st.query_params.pop(name, None)


def draw(experiment: Experiment, token: str | None, spot: Spot) -> None:
    _draw_way(experiment, spot)
    try:
        cell = get_runtime().experiments.get_cell(**about(experiment, token), arm=spot.arm, case=spot.case)
    except NotFound as error:
        st.error(message_markdown(str(error)))
        return
    _draw_asked(cell)
    if not cell.trials:
        st.caption("This arm does not ask this case.")
        return
    groups = cells_trial.group(cell.trials)
    _draw_summary(experiment, cell, groups)
    for start in range(0, len(cell.trials), _BESIDE):
        columns = st.columns(min(_BESIDE, len(cell.trials)))
        for column, trial in zip(columns, cell.trials[start : start + _BESIDE], strict=False):
            with column:
                cells_trial.draw(experiment, trial, groups.get(trial.id))
    _draw_differences(experiment, token, cell)
    if experiment.state == "running" and any(map(cells_trial.is_moving, cell.trials)):
        _look_again(experiment, token, spot, cell)
    cells_call.draw_if_asked(experiment, token, cell)


@st.fragment(run_every=_TICK_SEC)
def _look_again(experiment: Experiment, token: str | None, spot: Spot, shown: Cell) -> None:
    """Draws the page anew once a trial of the cell that is shown has moved on."""
    gate.recheck()
    try:
        cell = get_runtime().experiments.get_cell(**about(experiment, token), arm=spot.arm, case=spot.case)
    except ChatplayError:  # said when the page is drawn next
        return
    if [trial.state for trial in cell.trials] != [trial.state for trial in shown.trials]:
        st.rerun()


# ---- where it is -------------------------------------------------------------------------------


def _draw_way(experiment: Experiment, spot: Spot) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="experiments_cell_way"):
        st.button("All cases", icon=":material/arrow_back:", on_click=close_cell, key=state.experiments_key("to_cases"))
        _draw_step("Previous case", "keyboard_arrow_up", "k", Spot(spot.case - 1, spot.arm), spot.case > 0)
        _draw_step(
            "Next case", "keyboard_arrow_down", "j", Spot(spot.case + 1, spot.arm), spot.case + 1 < experiment.cases
        )
        key = state.experiments_key("cell_arm")
        state.set_widget_value(key, spot.arm)
        labels = arm_names(experiment.arms)
        st.selectbox(
            "Arm",
            range(len(labels)),
            format_func=lambda arm: labels[arm],
            key=key,
            on_change=lambda: open_cell(Spot(spot.case, state.widget_value(key))),
            width=320,
        )


def _draw_step(label: str, icon: str, shortcut: str, to: Spot, is_there: bool) -> None:
    st.button(
        label,
        icon=f":material/{icon}:",
        shortcut=shortcut,
        disabled=not is_there,
        on_click=open_cell,
        args=(to,),
        key=state.experiments_key(f"cell_{shortcut}"),
    )


def _draw_asked(cell: Cell) -> None:
    draw_facts(cell.case)
    with st.expander("What was asked"):
        if cell.system_prompt:
            st.caption("System prompt")
            st.text(cell.system_prompt)
            st.caption("Prompt")
        st.text(cell.prompt)


# ---- all repeats together ----------------------------------------------------------------------


def _draw_summary(experiment: Experiment, cell: Cell, groups: Mapping[int, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(_summary(cell, groups), width="content")
        if experiment.is_mine:
            st.button(
                "Run this cell again",
                icon=":material/replay:",
                on_click=experiments_state.act,
                args=(_rerun, experiment, cell),
                disabled=any(map(cells_trial.is_moving, cell.trials)),
                help="All repeats are asked again; the new answers take the place of these.",
                key=state.experiments_key("rerun_cell"),
            )


def _summary(cell: Cell, groups: Mapping[int, str]) -> str:
    letters = sorted(set(groups.values()))
    if not groups:
        return "No answer yet."
    if len(letters) == 1:
        return f"{fmt.many(len(groups), 'answer')}, all the same." if len(groups) > 1 else "One answer."
    counts = ", ".join(f"{letter} {list(groups.values()).count(letter)} times" for letter in letters)
    return plain_markdown(f"{len(letters)} different answers: {counts}.".replace(" 1 times", " once"))


def _rerun(experiment: Experiment, cell: Cell) -> None:
    get_runtime().experiments.rerun_cell(
        user_id=state.person().id, experiment_id=experiment.id, arm=cell.arm.number, case=cell.case.number
    )
    experiments_state.tell_if_paused(experiment)


# ---- what differs ------------------------------------------------------------------------------


def _draw_differences(experiment: Experiment, token: str | None, cell: Cell) -> None:
    """Any two answers to this case, also of two arms; computed only while it is asked for."""
    if not st.toggle("Show differences between two answers", key=state.experiments_key("cell_diff")):
        return
    labels = arm_names(experiment.arms)
    first, other, second = st.columns(3)
    left = _choose_repeat("Repeat", _answered(cell), 0, "left", first)
    arm = other.selectbox(
        "With arm",
        range(len(labels)),
        index=cell.arm.number,
        format_func=lambda number: labels[number],
        key=state.experiments_key(f"diff_arm_{cell.arm.number}"),
    )
    beside = cell
    if arm != cell.arm.number:
        beside = get_runtime().experiments.get_cell(**about(experiment, token), arm=arm, case=cell.case.number)
    right = _choose_repeat("Its repeat", _answered(beside), int(beside is cell), f"right_{arm}", second)
    if left is None or right is None:
        st.caption("There are no two answers to compare yet.")
    elif max(len(left), len(right)) > _LONGEST_DIFF_CHARS:
        st.caption("One of these answers is too long to be compared word by word.")
    elif left == right:
        st.caption("The answers are the same.")
    else:
        text_diff.draw(left, right)


def _answered(cell: Cell) -> list[Trial]:
    return [trial for trial in cell.trials if trial.answer is not None]


def _choose_repeat(
    label: str, trials: list[Trial], first: int, name: str, place: st.delta_generator.DeltaGenerator
) -> str | None:
    repeats = [trial.repeat for trial in trials]
    if not repeats:
        return None
    chosen = place.selectbox(
        label,
        repeats,
        index=min(first, len(repeats) - 1),
        format_func=lambda repeat: f"Repeat {repeat + 1}",
        key=state.experiments_key(f"diff_{name}"),
    )
    return next(trial.answer for trial in trials if trial.repeat == chosen)


def _place(text: str | None) -> int | None:
    return int(text) - 1 if text and text.isdecimal() and len(text) < 8 else None
