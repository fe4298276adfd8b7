"""Dialogs about one trial: the flight recorder of its calls, and code that makes its call again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from chatplay.errors import NotFound
from chatplay.experiments.values import Attempt, Cell, Experiment, Trial
from chatplay.runtime import get_runtime
from chatplay.ui import code_of_call, flight_recorder, state
from chatplay.ui import format as fmt
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments import words as experiments_words
from chatplay.ui.experiments.results.data import about
from chatplay.ui.markdown import message_markdown
from chatplay.ui.people import app_url, viewer_zone


def ask_for_call(trial_id: int) -> None:
    """In a callback; the next run opens it."""
    state.experiments().dialog = f"call {trial_id}"


def ask_for_code(trial_id: int) -> None:
    """Likewise."""
    state.experiments().dialog = f"code {trial_id}"


def draw_if_asked(experiment: Experiment, token: str | None, cell: Cell) -> None:
    kind, _, number = (state.experiments().dialog or "").partition(" ")
    trial = next((one for one in cell.trials if str(one.id) == number), None)
    dialog = _DIALOGS.get(kind)
    if dialog is not None and trial is not None:
        dialog(experiment, token, trial)


@st.dialog("Flight recorder", width="large", on_dismiss=experiments_state.close_dialog)
def _call_dialog(experiment: Experiment, token: str | None, trial: Trial) -> None:
    attempts = get_runtime().experiments.list_attempts(**about(experiment, token), trial_id=trial.id)
    if not attempts:
        st.caption("No record of this call is left.")
        return
    attempt = _choose_attempt(attempts)
    try:
        record = get_runtime().usage.get_call(attempt.generation_id, user_id=state.person().id)
    except NotFound:  # somebody else's call, seen through a link
        _draw_attempt(attempt)
        return
    flight_recorder.draw(record, viewer_zone(state.person()))


def _choose_attempt(attempts: Sequence[Attempt]) -> Attempt:
    if len(attempts) == 1:
        return attempts[0]
    place: int | None = st.segmented_control(
        "Attempt",
        range(len(attempts)),
        format_func=lambda number: f"Attempt {number + 1}, {attempts[number].status}",
        default=len(attempts) - 1,
        required=True,
        key=state.experiments_key("attempt"),
    )
    return attempts[-1 if place is None else place]


def _draw_attempt(attempt: Attempt) -> None:
    """What a link shows of a call: all but its timeline."""
    zone = viewer_zone(state.person())
    if attempt.error:
        st.error(message_markdown(attempt.error), icon=":material/error:")
    facts = {
        "Model": attempt.model,
        "Model that answered": attempt.model_used,
        "Began": fmt.exact(attempt.started_at, tz=zone),
        "Status": attempt.status,
        "Finish reason": attempt.finish_reason,
        "TTFT": fmt.duration(attempt.ttft_ms),
        "Speed": fmt.speed(attempt.tokens_per_second),
        "Duration": fmt.duration(attempt.duration_ms),
        "Prompt tokens": fmt.count(attempt.prompt_tokens),
        "Answer tokens": fmt.count(attempt.completion_tokens),
        "Reasoning tokens": fmt.count(attempt.reasoning_tokens),
        "Cost": fmt.cost(attempt.cost_usd),
        "Request id": attempt.request_id,
        "Request fingerprint": attempt.fingerprint and attempt.fingerprint[:16],
    }
    st.html(experiments_words.facts_html([(name, text or fmt.UNKNOWN) for name, text in facts.items()]))
    if attempt.sent:
        st.markdown("**Request as sent**")
        st.code(attempt.sent, language="json")


@st.dialog("Get code", width="large", on_dismiss=experiments_state.close_dialog)
def _code_dialog(experiment: Experiment, token: str | None, trial: Trial) -> None:
    draw_code(experiment, token, trial.id)


def draw_code(experiment: Experiment, token: str | None, trial_id: int) -> None:
    """The call of a trial as a program; the key is read from the environment."""
    code_of_call.draw(
        lambda language: get_runtime().experiments.get_code(
            **about(experiment, token),
            role=state.person().role,
            app_url=app_url(),
            trial_id=trial_id,
            language=language,
        ),
        key=state.experiments_key("language"),
    )


_DIALOGS: Mapping[str, Callable[[Experiment, str | None, Trial], None]] = {"call": _call_dialog, "code": _code_dialog}
