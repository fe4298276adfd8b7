"""The Review tab: answers scored by hand, pairs voted on, judges set to work. Scores and votes need no mouse."""

from __future__ import annotations

import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.experiments.values import Experiment, ReviewItem
from chatplay.runtime import get_runtime
from chatplay.ui import gate, scripts, state
from chatplay.ui.experiments.review import judges as review_judges
from chatplay.ui.experiments.review import votes as review_votes
from chatplay.ui.experiments.review.item import draw_case, draw_end, draw_steps
from chatplay.ui.experiments.review.queue import Queue, act, scores
from chatplay.ui.markdown import message_markdown, plain_markdown, safe_markdown

_MODES = ("Scores by hand", "Votes on pairs", "Judges")
_SCALES = {
    "1 to 5": {"Useless": 0.0, "Poor": 0.25, "Fair": 0.5, "Good": 0.75, "Perfect": 1.0},
    "Thumbs": {":material/thumb_down: Bad": 0.0, ":material/thumb_up: Good": 1.0},
}
_NOTE_CHARS = 2_000


def draw(experiment: Experiment, token: str | None) -> None:
    """Only for the owner; `token` is never set here."""
    mode = st.segmented_control(
        "Review",
        list(_MODES),
        default=_MODES[0],
        required=True,
        key=state.experiments_key("review_mode"),
        label_visibility="collapsed",
    )
    with st.container(key="experiments_review"):
        if mode == "Judges":
            review_judges.draw(experiment)
        else:
            st.fragment(_draw_scores if mode == _MODES[0] else review_votes.draw)(experiment)


def _draw_scores(experiment: Experiment) -> None:
    gate.recheck()
    queue = scores(experiment)
    try:
        item = queue.current()
    except ChatplayError as error:
        st.error(message_markdown(str(error)), icon=":material/database_off:")
        return
    if item is None:
        draw_end(queue, "Every answer is scored. The Results tab shows the figures under Scores by hand.")
        return
    _draw_way(queue, item)
    draw_case(item.case, item.prompt)
    with st.container(border=True, key="experiments_review_answer"):
        st.markdown(safe_markdown(item.answer) if item.answer.strip() else ":gray[The answer is empty.]")
    _draw_note(queue, item)
    _draw_scale(experiment, queue, item)


# ---- the queue ---------------------------------------------------------------------------------


def _draw_way(queue: Queue[ReviewItem], item: ReviewItem) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        given = queue.verdict(item)
        left = f"{item.left + 1:,} to score."
        st.markdown(f"You scored it **{_word_of(given)}**." if given else left, width="content")
        st.space("stretch")
        st.segmented_control(
            "Scale",
            list(_SCALES),
            default="1 to 5",
            required=True,
            key=state.experiments_key("scale"),
            label_visibility="collapsed",
        )


def _word_of(score: str) -> str:
    """What the key said that gave it, in the scale on show; a score from elsewhere as the number it is."""
    scale = _SCALES[state.widget_value(state.experiments_key("scale")) or "1 to 5"]
    return next((word for word, value in scale.items() if f"{value:g}" == score), score)


def _draw_scale(experiment: Experiment, queue: Queue[ReviewItem], item: ReviewItem) -> None:
    scale = state.widget_value(state.experiments_key("scale")) or "1 to 5"
    with st.container(horizontal=True, gap="small", key="experiments_review_scale"):
        for place, (label, score) in enumerate(_SCALES[scale].items()):
            st.button(
                label,
                shortcut=str(place + 1),
                type="primary" if queue.verdict(item) == f"{score:g}" else "secondary",
                on_click=act,
                args=(_score, experiment, queue, item, score),
                key=state.experiments_key(f"score_{scale}_{place}"),
            )
        draw_steps(queue, item)
        st.button(
            "Note",
            shortcut="n",
            icon=":material/edit_note:",
            on_click=_begin_note,
            args=(queue, item),
            key=state.experiments_key("review_note"),
        )


def _score(experiment: Experiment, queue: Queue[ReviewItem], item: ReviewItem, score: float) -> None:
    note = queue.notes.get(item.trial_id, "")
    get_runtime().experiments.add_hand_score(
        user_id=state.person().id, experiment_id=experiment.id, trial_id=item.trial_id, score=score, note=note
    )
    queue.give(item, f"{score:g}")


# ---- the note ----------------------------------------------------------------------------------


def _draw_note(queue: Queue[ReviewItem], item: ReviewItem) -> None:
    """Begun by its key and ended by Enter; it is stored with the score."""
    key, note = _note_key(item), queue.notes.get(item.trial_id, "")
    if queue.noting != item.trial_id:
        if note:
            st.markdown(f"Note: {plain_markdown(note)}")
        return
    with st.form(f"experiments_note_{item.trial_id}", border=False):
        st.text_input("Note", note, key=key, max_chars=_NOTE_CHARS)
        st.form_submit_button("Keep the note", on_click=_end_note, args=(queue, item))
    st.html(scripts.focus_field_html(key), unsafe_allow_javascript=True)


def _begin_note(queue: Queue[ReviewItem], item: ReviewItem) -> None:
    queue.noting = item.trial_id


def _end_note(queue: Queue[ReviewItem], item: ReviewItem) -> None:
    queue.notes[item.trial_id] = (state.widget_value(_note_key(item)) or "").strip()
    queue.noting = None


def _note_key(item: ReviewItem) -> str:
    return state.experiments_key(f"note_{item.trial_id}")
