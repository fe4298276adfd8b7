"""The Plan tab: what to ask whom, with which settings; a draft is saved with each change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from chatplay.errors import ChatplayError, Conflict, PlanChanged
from chatplay.experiments.values import Experiment
from chatplay.models.catalog import ModelInfo
from chatplay.runtime import get_runtime
from chatplay.ui import gate, state
from chatplay.ui.experiments.plan import cases as plan_cases
from chatplay.ui.experiments.plan import outlook as plan_outlook
from chatplay.ui.experiments.plan import overtaken as plan_overtaken
from chatplay.ui.experiments.plan import prompts as plan_prompts
from chatplay.ui.experiments.plan import read as plan_read
from chatplay.ui.experiments.plan import rules as plan_rules
from chatplay.ui.experiments.plan import settings as plan_settings
from chatplay.ui.experiments.plan.draft import Draft, PromptText, begin, unused_name, with_chosen
from chatplay.ui.markdown import message_markdown
from chatplay.ui.scripts import keep_html


def draw(experiment: Experiment, token: str | None) -> None:
    """An editor for one's own draft; anything else is read."""
    if experiment.is_mine and (experiment.state == "draft" or _is_started_elsewhere(experiment)):
        _open(experiment)
        _edit()
    else:
        plan_read.draw(experiment, token)


def _is_started_elsewhere(experiment: Experiment) -> bool:
    """Whether something was typed here since another tab has started it; it stays in sight."""
    draft = state.experiments().draft
    return isinstance(draft, Draft) and draft.experiment_id == experiment.id and draft.is_started


def keep_typed() -> None:
    """Saves what was typed last. For runs of the whole page, and what reads the stored plan in a callback: the same
    message may turn away from the Plan tab, and then nothing on it is drawn that would save.
    """
    draft = state.experiments().draft
    if not isinstance(draft, Draft):
        return
    try:
        _collect(draft)
        _save(draft)
    except ChatplayError as error:
        draft.error = str(error)


def _open(experiment: Experiment) -> None:
    """Goes on with the draft in hand, unless another tab has changed the stored one and nothing here is unsaved."""
    page = state.experiments()
    if isinstance(page.draft, Draft) and page.draft.experiment_id == experiment.id and _stays(page.draft, experiment):
        page.draft.previewed = None  # models may have come and gone
        return
    service, person = get_runtime().experiments, state.person()
    draft = begin(experiment, service.get_cases(user_id=person.id, experiment_id=experiment.id))
    if not draft.prompts:
        known = {version.name for version in service.list_prompts(user_id=person.id)}
        draft.prompts.append(PromptText(unused_name(known)))
    page.draft = draft


def _stays(draft: Draft, experiment: Experiment) -> bool:
    if draft.overtaken or draft.revision == experiment.revision:
        return True
    _collect(draft)
    draft.overtaken = not draft.is_saved
    return draft.overtaken


@st.fragment
def _edit() -> None:
    """Changes are taken over and saved first, so that every field is drawn with what is wrong with it now."""
    gate.recheck()
    draft: Draft = state.experiments().draft
    was_started = draft.is_started
    try:
        _take_over(draft)
        models = get_runtime().catalog.list_running(state.person().role)
    except ChatplayError as error:
        st.error(message_markdown(str(error)))
        st.button("Try again", key=draft.key("again"))
        return
    if draft.is_started and not was_started:
        st.rerun()  # the head says so, too
    with st.container(key="experiments_board"):
        left, right = st.columns([3, 2], gap="large")
    with left.container(key="experiments_editor"):
        _draw_editor(draft, models)
    with right:
        plan_overtaken.draw(draft)  # where it stays in sight however far one has scrolled
        _draw_outlook(draft)


def _draw_editor(draft: Draft, models: Sequence[ModelInfo]) -> None:
    """Each section in a box of its own: what comes and goes in one leaves the fields of the next alone."""
    st.html(keep_html(), unsafe_allow_javascript=True)
    with st.container():
        plan_prompts.draw(draft)
    with st.container():
        st.subheader("Models", anchor=False)
        plan_settings.draw_models(draft, models, label="collapsed")
    with st.container():
        plan_settings.draw_params(draft)
    with st.container():
        plan_cases.draw(draft)
    with st.container():
        st.subheader("Repeats and seeds", anchor=False)
        plan_settings.draw_repeats(draft)
    with st.container():
        plan_rules.draw(draft)
    st.subheader("Limits", anchor=False)
    plan_settings.draw_limits(draft.key, draft.plan)
    plan_settings.draw_limit_errors(draft)


def _draw_outlook(draft: Draft) -> None:
    if draft.preview is None:
        return
    with st.container():
        plan_outlook.draw_start(draft, draft.preview, take_over=_take_over)
    with st.container():
        plan_outlook.draw_forecast(draft.preview)
    with st.container():
        plan_outlook.draw_grid(draft, draft.preview)
    plan_outlook.draw_bound(draft, draft.preview)


def _take_over(draft: Draft) -> None:
    _collect(draft)
    _save(draft)
    _look_ahead(draft)


def _collect(draft: Draft) -> None:
    plan_outlook.collect(draft)
    plan_prompts.collect(draft)
    plan_cases.collect(draft)
    draft.plan = with_chosen(plan_settings.collect(draft), draft.left_out)


def _save(draft: Draft) -> None:
    """What differs from what is stored. What could not be saved is said at the start button, and tried again."""
    if draft.overtaken:
        return
    service = get_runtime().experiments
    whose: dict[str, Any] = {"user_id": state.person().id, "experiment_id": draft.experiment_id}
    draft.error = ""
    try:
        if draft.plan != draft.stored:
            draft.revision = service.save_plan(**whose, plan=draft.plan, revision=draft.revision)
            draft.stored = draft.plan
        if draft.cases != draft.stored_cases:
            draft.revision = service.save_cases(**whose, cases=draft.cases, revision=draft.revision)
            draft.stored_cases = draft.cases
    except PlanChanged:
        draft.overtaken = True
    except Conflict:
        draft.overtaken = draft.is_started = True
    except ChatplayError as error:
        draft.error = str(error)


def _look_ahead(draft: Draft) -> None:
    """The grid and what it takes, anew only when something changed. Once it runs, a preview would be of an extension:
    the one before stays.
    """
    seen = (draft.plan, draft.cases)
    if draft.previewed == seen or draft.is_started:
        return
    person = state.person()
    draft.preview = get_runtime().experiments.preview(
        user_id=person.id,
        role=person.role,
        experiment_id=draft.experiment_id,
        plan=draft.plan,
        cases=draft.cases,
    )
    draft.previewed = seen
