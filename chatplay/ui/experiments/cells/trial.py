"""One repeat of a cell: its answer, what every rule, person and judge said of it, and what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import Literal

import streamlit as st

from chatplay.experiments.scoring import describe_rule
from chatplay.experiments.values import Experiment, Trial, TrialState
from chatplay.ui import format as fmt
from chatplay.ui import state
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments.cells.call import ask_for_call, ask_for_code
from chatplay.ui.markdown import message_markdown, plain_markdown, safe_markdown

_ANSWER_PX = 300
_LONG_CHARS = 600
_CUT_OFF = "It is as long as Max tokens, or the context window, let it be."
_STATES: Mapping[TrialState, str] = {
    "waiting": "Waiting",
    "running": "Running",
    "failed": "Failed",
    "cancelled": "Cancelled",
}


def group(trials: Sequence[Trial]) -> dict[int, str]:
    """A letter for each trial with an answer, by its id: the same for equal answers, A the commonest."""
    texts = [trial.answer for trial in trials if trial.answer is not None]
    ranked = sorted(dict.fromkeys(texts), key=lambda text: -texts.count(text))
    letters = {text: _letter(place) for place, text in enumerate(ranked)}
    return {trial.id: letters[trial.answer] for trial in trials if trial.answer is not None}


def _letter(place: int) -> str:
    lap, letter = divmod(place, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(lap + 1) if lap else "")


def draw(experiment: Experiment, trial: Trial, letter: str | None) -> None:
    """`letter` is the same for repeats that gave the same answer."""
    with st.container(border=True, key=f"experiments_trial_{trial.id}"):
        _draw_head(trial, letter)
        _draw_answer(trial)
        if lines := list(_scores(experiment, trial)):
            st.markdown("  \n".join(lines))
        if (figures := _figures(trial)) is not None:
            st.caption(figures)
        if trial.generation_id is not None and not is_moving(trial):
            _draw_buttons(trial)


def is_moving(trial: Trial) -> bool:
    return trial.state in ("waiting", "running")


def _draw_head(trial: Trial, letter: str | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**Repeat {trial.repeat + 1}**", width="content")
        if letter is not None:
            st.badge(f"Answer {letter}", color="gray")
        if trial.state in _STATES:
            st.badge(_STATES[trial.state], color="red" if trial.state == "failed" else "gray")
        elif trial.passed is not None:
            look = (
                ("Passed", ":material/check:", "green") if trial.passed else ("Did not pass", ":material/close:", "red")
            )
            st.badge(look[0], icon=look[1], color="green" if trial.passed else "red")
        if trial.metrics is not None and trial.metrics.is_cut_off:
            st.badge("Cut off", color="orange", help=_CUT_OFF)
        if trial.attempt > 1:
            st.badge(f"Attempt {trial.attempt}", color="orange")


def _draw_answer(trial: Trial) -> None:
    if trial.answer is None:
        if trial.error:
            st.error(message_markdown(trial.error))
        return
    height: int | Literal["content"] = _ANSWER_PX if len(trial.answer) > _LONG_CHARS else "content"
    with st.container(height=height, border=False, key=f"experiments_answer_{trial.id}"):
        st.markdown(safe_markdown(trial.answer) if trial.answer.strip() else ":gray[The answer is empty.]")


def _scores(experiment: Experiment, trial: Trial) -> Iterator[str]:
    if trial.score is not None:
        yield f"Score by rules **{trial.score:.2f}**"
    for rule, scored in zip(experiment.plan.rules, trial.rule_scores, strict=False):
        score = fmt.UNKNOWN if scored.score is None else f"{scored.score:.2f}"
        why = f" {scored.reason}" if scored.reason else ""
        yield _marked(scored.passed, f"{describe_rule(rule)}: {score}.{why}")
    for hand in trial.hand_scores:
        yield _marked(None, f"By hand {hand.score:.2f}{f': {hand.note}' if hand.note else ''}")
    for one in trial.judgements:
        if one.state == "done" and one.against_id is None:
            score = f"{one.score:.2f}" if one.score is not None else "gave no verdict"
            name = f"Judge {one.judge}{' (withdrawn)' if one.is_withdrawn else ''}"
            yield _marked(None, f"{name} {score}{f': {one.reason}' if one.reason else ''}")


def _marked(passed: bool | None, text: str) -> str:
    icon = {True: ":green[:material/check:] ", False: ":red[:material/close:] ", None: ""}[passed]
    return f"{icon}{plain_markdown(' '.join(text.split()))}"


def _figures(trial: Trial) -> str | None:
    found = trial.metrics
    if found is None:
        return None
    count = fmt.tokens(found.completion_tokens, estimated=found.tokens_estimated)
    parts = (
        f"TTFT {fmt.duration(found.ttft_ms)}",
        fmt.speed(found.tokens_per_second),
        count,
        fmt.duration(found.duration_ms),
        fmt.cost(found.cost_usd).replace("$", "\\$"),
    )
    return " · ".join(parts)


def _draw_buttons(trial: Trial) -> None:
    with st.container(horizontal=True, gap="small"):
        for label, icon, ask in (
            ("Flight recorder", "flight", ask_for_call),
            ("Get code", "code", ask_for_code),
        ):
            st.button(
                label,
                icon=f":material/{icon}:",
                type="tertiary",
                on_click=experiments_state.act,
                args=(ask, trial.id),
                key=state.experiments_key(f"{icon}_{trial.id}"),
            )
