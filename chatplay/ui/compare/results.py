"""Under the panes: the vote, and what differs between two answers word by word."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from chatplay.compare.values import ComparisonView, Pane, PaneAnswer
from chatplay.ui import state, text_diff
from chatplay.ui.compare import actions as compare_actions
from chatplay.ui.compare import figures as compare_figures
from chatplay.ui.markdown import plain_markdown

_LONGEST_CHARS = 60_000


def draw_vote(view: ComparisonView) -> None:
    """Which answer is best, where there is one; a vote can be changed."""
    answered = {answer.pane_id for answer in view.of_run if answer.content}
    with st.container(key="compare_vote", horizontal=True, vertical_alignment="center", gap="small"):
        if answered:
            st.markdown(f"**{_question(view)}**", width="content")
            for place, pane in enumerate(view.places):
                if pane.id in answered:
                    _draw_choice(view, compare_figures.name_of(view, place), "best", place)
            _draw_choice(view, "Tie", "tie")
            _draw_choice(view, "None is good", "none")
        if view.is_veiled:
            st.button(
                "Show names without a vote",
                key="compare_uncover",
                type="tertiary",
                on_click=compare_actions.uncover,
                args=(view.comparison.id,),
            )


def _question(view: ComparisonView) -> str:
    if view.vote is None:
        return "Which answer is best?"
    if view.is_voted_answer_gone:
        return "You voted for an answer that was asked again since. Which is best now?"
    return "Your blind vote:" if view.vote.is_blind else "Your vote:"


def _draw_choice(view: ComparisonView, label: str, choice: str, place: int | None = None) -> None:
    pane = view.places[place] if place is not None else None
    st.button(
        plain_markdown(label),
        key=state.compare_key("vote", choice, "" if place is None else place),
        type="primary" if _is_chosen(view, choice, pane) else "secondary",
        on_click=compare_actions.vote,
        args=(view.comparison.id, choice, pane),
    )


def _is_chosen(view: ComparisonView, choice: str, pane: Pane | None) -> bool:
    if view.vote is None or view.is_voted_answer_gone:
        return False
    return (view.vote.choice, view.vote.pane_id) == (choice, pane.id if pane else None)


def draw_differences(view: ComparisonView) -> None:
    """Two answers laid over each other; chosen here, and only computed while it is asked for."""
    answers = {
        compare_figures.name_of(view, place): view.answers[pane.id]
        for place, pane in enumerate(view.places)
        if pane.id in view.answers and view.answers[pane.id].content and not view.answers[pane.id].is_coming
    }
    if len(answers) < 2:
        return
    with st.container(key="compare_differences", gap="small"):
        if not st.toggle("Show differences between two answers", key="compare_show_differences"):
            return
        left, right = _choose(list(answers))
        if left == right:
            st.caption("Choose two different answers.")
        else:
            _draw_diff(answers, left, right)


def _choose(names: list[str]) -> tuple[str, str]:
    if len(names) == 2:
        return names[0], names[1]
    left, right = st.columns(2)
    return (
        left.selectbox("From", names, key="compare_left"),
        right.selectbox("To", names, index=1, key="compare_right"),
    )


def _draw_diff(answers: Mapping[str, PaneAnswer], left_name: str, right_name: str) -> None:
    left, right = answers[left_name].content, answers[right_name].content
    if max(len(left), len(right)) > _LONGEST_CHARS:
        st.caption("One of these answers is too long to be compared word by word.")
        return
    st.caption("The answers are the same." if left == right else _legend(left, right, left_name, right_name))
    text_diff.draw(left, right)


def _legend(left: str, right: str, left_name: str, right_name: str) -> str:
    found = text_diff.find(left, right)
    shared = f"{'At least ' if found.is_rough else ''}{100 * (found.same_share or 0):.0f} % of the text is shared."
    return (
        f"{shared} Struck through is only in {plain_markdown(left_name)}, underlined only in "
        f"{plain_markdown(right_name)}."
    )
