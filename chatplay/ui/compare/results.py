"""Under the panes: the vote, and what differs between two answers word by word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from chatplay.compare.values import ComparisonView, Pane, PaneAnswer, Vote
from chatplay.ui import state, text_diff
from chatplay.ui.compare import actions as compare_actions
from chatplay.ui.compare import figures as compare_figures
from chatplay.ui.markdown import plain_markdown

_LONGEST_CHARS = 60_000


def draw_vote(view: ComparisonView) -> None:
    """Which answer is best, where there is one; a vote can be changed, but not by the second half of a double click."""
    assert view.run is not None, "there is nothing to vote on without a run"
    answered = [place for place, pane in enumerate(view.places) if _has_text(view, pane)]
    with st.container(key="compare_vote", horizontal=True, vertical_alignment="center", gap="small"):
        if view.vote and not view.is_voted_answer_gone and state.compare().revote != view.run.id:
            _draw_voted(view, view.vote)
        elif answered:
            _draw_choices(view, answered)
        if view.is_veiled:
            st.button(
                "Show names without a vote",
                key="compare_uncover",
                type="tertiary",
                on_click=compare_actions.uncover,
                args=(view.comparison.id,),
            )


def _has_text(view: ComparisonView, pane: Pane) -> bool:
    return any(answer.pane_id == pane.id and answer.content for answer in view.of_run)


def _draw_voted(view: ComparisonView, vote: Vote) -> None:
    whose = "Your blind vote" if vote.is_blind else "Your vote"
    before = ", given before a newer answer came" if view.is_vote_overtaken else ""
    st.markdown(f"{whose}{before}: **{plain_markdown(_voted(view, vote))}**", width="content")
    st.button(
        "Change the vote",
        key="compare_change_vote",
        type="tertiary",
        help="It will count as given with names in sight." if vote.is_blind else None,
        on_click=compare_actions.change_vote,
        args=(view.run.id if view.run else None,),
    )


def _voted(view: ComparisonView, vote: Vote) -> str:
    if vote.choice != "best":
        return "Tie" if vote.choice == "tie" else "None is good"
    place = next((place for place, pane in enumerate(view.places) if pane.id == vote.pane_id), None)
    return "A pane that was removed since" if place is None else compare_figures.answer_name_of(view, place)


def _draw_choices(view: ComparisonView, answered: Sequence[int]) -> None:
    st.markdown(f"**{_question(view)}**", width="content")
    for place in answered:
        _draw_choice(view, compare_figures.answer_name_of(view, place), "best", place)
    _draw_choice(view, "Tie", "tie")
    _draw_choice(view, "None is good", "none")


def _question(view: ComparisonView) -> str:
    if view.vote is None:
        return "Which answer is best?"
    if view.is_voted_answer_gone:
        return "An answer that you judged was asked again since. Which is best now?"
    return "Which answer is best? Names are in sight now." if view.vote.is_blind else "Which answer is best?"


def _draw_choice(view: ComparisonView, label: str, choice: str, place: int | None = None) -> None:
    """The key says which answer of which run is meant: a click that comes late hits no other one. Keys of the keyboard
    give a first vote only.
    """
    pane = view.places[place] if place is not None else None
    shortcut = {"tie": "t", "none": "n"}.get(choice, "" if place is None else str(place + 1))
    st.button(
        plain_markdown(label),
        key=state.compare_key("vote", view.run.id if view.run else "", pane.id if pane else choice),
        shortcut=shortcut if view.vote is None else None,
        on_click=compare_actions.vote,
        args=(view, choice, pane),
    )


def draw_differences(view: ComparisonView) -> None:
    """Two answers laid over each other; chosen here, and only computed while it is asked for."""
    answers = {
        compare_figures.answer_name_of(view, place): view.answers[pane.id]
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
