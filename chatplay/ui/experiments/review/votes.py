"""Blind votes: two answers to the same case, without names and in random places; which one is better?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.experiments.values import Experiment, PairItem
from chatplay.runtime import get_runtime
from chatplay.ui import gate, state
from chatplay.ui.experiments.review.item import draw_case, draw_end, draw_steps
from chatplay.ui.experiments.review.queue import Queue, act, votes
from chatplay.ui.markdown import message_markdown, safe_markdown

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import Winner

# Not arrow keys: those move what was clicked last, such as the choice above.
_CHOICES: tuple[tuple[Winner, str, str], ...] = (
    ("left", "Left is better", "1"),
    ("right", "Right is better", "2"),
    ("tie", "As good", "3"),
    ("neither", "Both are bad", "4"),
)
_MANY_PAIRS = 100_000  # counted up to here


def draw(experiment: Experiment) -> None:
    """As a fragment: a vote draws only this."""
    gate.recheck()
    queue = votes(experiment)
    try:
        item = queue.current()
    except ChatplayError as error:
        st.error(message_markdown(str(error)), icon=":material/database_off:")
        return
    if item is None:
        draw_end(queue, _why_none(experiment))
        return
    given = queue.verdict(item)
    chosen = next((label for winner, label, _ in _CHOICES if winner == given), "")
    st.markdown(f"Your vote: **{chosen}**." if chosen else f"Which answer is better? {_left(item)} to vote on.")
    draw_case(item.case, item.prompt)
    for column, side, answer in zip(
        st.columns(2), ("left", "right"), (item.left_answer, item.right_answer), strict=True
    ):
        with column, st.container(border=True, height="stretch", key=f"experiments_side_{side}"):
            st.caption(f"{side.capitalize()} answer")
            st.markdown(safe_markdown(answer) if answer.strip() else ":gray[The answer is empty.]")
    _draw_choices(experiment, queue, item)


def _why_none(experiment: Experiment) -> str:
    if len(experiment.arms) < 2:
        return "Votes compare two arms, and this experiment has one."
    return "No pair is left to vote on. The Results tab shows what the votes say; equal answers are never shown."


def _left(item: PairItem) -> str:
    count = item.left + 1
    return f"{count:,} pairs" if 1 < count < _MANY_PAIRS else "One pair" if count == 1 else f"Over {count:,} pairs"


def _draw_choices(experiment: Experiment, queue: Queue[PairItem], item: PairItem) -> None:
    with st.container(horizontal=True, gap="small", key="experiments_review_scale"):
        for winner, label, shortcut in _CHOICES:
            st.button(
                label,
                shortcut=shortcut,
                type="primary" if queue.verdict(item) == winner else "secondary",
                on_click=act,
                args=(_vote, experiment, queue, item, winner),
                key=state.experiments_key(f"vote_{winner}"),
            )
        draw_steps(queue, item)


def _vote(experiment: Experiment, queue: Queue[PairItem], item: PairItem, winner: Winner) -> None:
    get_runtime().experiments.add_vote(
        user_id=state.person().id,
        experiment_id=experiment.id,
        left_trial_id=item.left_trial_id,
        right_trial_id=item.right_trial_id,
        winner=winner,
    )
    queue.give(item, winner)
