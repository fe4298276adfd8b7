"""The dialogs of the Run tab: cancel, change the limits, extend by repeats, arms or cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from chatplay.errors import BadInput, ChatplayError
from chatplay.experiments import cases as reader
from chatplay.experiments.plan import lay_out_arms
from chatplay.experiments.values import CaseTable, Experiment, Plan, Preview, Progress
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import gate, state
from chatplay.ui.experiments import words
from chatplay.ui.experiments.plan import outlook as plan_outlook
from chatplay.ui.experiments.plan import prompts as plan_prompts
from chatplay.ui.experiments.plan import settings as plan_settings
from chatplay.ui.experiments.plan.draft import Draft, begin
from chatplay.ui.experiments.plan.fields import draw_error, draw_warnings
from chatplay.ui.experiments.state import act, close_dialog
from chatplay.ui.markdown import message_markdown, plain_markdown


def open_dialog(name: str, experiment: Experiment) -> None:
    """In the next run of the whole page, and until it is closed: a run that ends meanwhile draws the page anew."""
    page = state.experiments()
    page.dialog = name
    if name == "extend":
        page.extension = begin(experiment, CaseTable(experiment.case_columns))


def draw_asked(experiment: Experiment) -> None:
    """The dialog that is open, if any."""
    dialog = _DIALOGS.get(state.experiments().dialog or "")
    if dialog is not None:
        dialog(experiment)


# ---- cancel ------------------------------------------------------------------------------------


@st.dialog("Cancel this experiment", on_dismiss=close_dialog)
def _cancel_dialog(experiment: Experiment) -> None:
    st.markdown(
        "Calls that run are stopped and no more are begun. What has been answered stays. Extend runs the rest later."
    )
    if st.button("Cancel the experiment", type="primary", key=state.experiments_key("cancel")):
        _try(get_runtime().experiments.cancel, experiment)


def _try(do: Any, experiment: Experiment, **more: Any) -> None:
    """Does it and closes the dialog; what went wrong is said in it."""
    person = gate.recheck()
    try:
        do(user_id=person.id, experiment_id=experiment.id, **more)
    except ChatplayError as error:
        st.error(message_markdown(str(error)))
        return
    close_dialog()
    st.rerun()


# ---- limits ------------------------------------------------------------------------------------


@st.dialog("Change limits", width="medium", on_dismiss=close_dialog)
def _limits_dialog(experiment: Experiment) -> None:
    """Caps and pace also while it runs; workers take them over with their next call."""

    def key(name: str) -> str:
        return f"experiments_limits_{experiment.id.hex[:12]}_{name}"

    plan_settings.draw_limits(key, experiment.plan)
    if st.button("Apply", type="primary", key=key("apply")):
        plan = replace(
            experiment.plan,
            caps=plan_settings.caps_of(key, experiment.plan),
            pace=plan_settings.pace_of(key, experiment.plan),
        )
        _try(get_runtime().experiments.set_caps, experiment, plan=plan)


# ---- extend ------------------------------------------------------------------------------------


@st.dialog("Extend", width="large", on_dismiss=close_dialog)
def _extend_dialog(experiment: Experiment) -> None:
    """More of the same; only what is missing runs."""
    draft = state.experiments().extension
    if not isinstance(draft, Draft) or draft.experiment_id != experiment.id:
        close_dialog()
        st.rerun()
    models = get_runtime().catalog.list_running(gate.recheck().role)
    if _draw_overtaken(draft):
        return
    preview, _, error = _take_over(experiment, draft)
    _draw_fields(experiment, draft, models)
    draw_error(error)
    _draw_outcome(experiment, draft, preview, is_readable=not error)


def _draw_overtaken(draft: Draft) -> bool:
    """Whether another tab has changed the experiment since the dialog was opened; then that is all it says."""
    person = state.person()
    now = get_runtime().experiments.get(user_id=person.id, experiment_id=draft.experiment_id)
    if now.revision == draft.revision:
        return False
    st.warning(
        "This experiment was changed in another tab since this was opened: it may have been extended there.",
        icon=":material/tab:",
    )
    st.button("Show it as it is now", key=draft.key("anew"), type="primary", on_click=_begin_anew, args=(now,))
    return True


def _begin_anew(now: Experiment) -> None:
    open_dialog("extend", now)
    st.rerun()


def _take_over(experiment: Experiment, draft: Draft) -> tuple[Preview, CaseTable | None, str]:
    """What the fields come to, the cases to add, and what is wrong with those."""
    person = state.person()
    plan_prompts.collect(draft)
    draft.plan = _with_new_arms(plan_settings.collect(draft), experiment.plan)
    more, error = _more_cases(draft)
    draft.preview = get_runtime().experiments.preview(
        user_id=person.id, role=person.role, experiment_id=experiment.id, plan=draft.plan, cases=more
    )
    return draft.preview, more, error


def _with_new_arms(plan: Plan, before: Plan) -> Plan:
    """Of a grid that was chosen from, the arms that are new are chosen, too; those once left out stay out."""
    if before.chosen is None:
        return replace(plan, chosen=None)
    try:
        old, new = ({arm.hash for arm in lay_out_arms(one)} for one in (before, plan))
    except BadInput:  # the preview says so at its field
        return plan
    return replace(plan, chosen=before.chosen | frozenset(new - old))


def _draw_fields(experiment: Experiment, draft: Draft, models: Any) -> None:
    least = experiment.plan.repeats
    st.number_input("Repeats", least, 1000, draft.plan.repeats, key=draft.key("repeats"), width=200)
    with st.expander("New arms", icon=":material/tune:"):
        plan_prompts.draw_more(draft, known=len(experiment.plan.prompts))
        plan_settings.draw_models(draft, models)
        plan_settings.draw_params(draft)
    with st.expander("More cases", icon=":material/playlist_add:"):
        st.text_area(
            f"Columns: {plain_markdown(', '.join(draft.cases.columns))}",
            key=draft.key("more_cases"),
            height=100,
            placeholder="CSV, cells of a sheet or JSON lines; the first row names the columns",
        )


def _more_cases(draft: Draft) -> tuple[CaseTable | None, str]:
    """The cases to add, and what is wrong with them."""
    typed = (state.widget_value(draft.key("more_cases")) or "").strip()
    if not typed:
        return None, ""
    try:
        return reader.read_text(typed), ""
    except BadInput as error:
        return None, str(error)


def _draw_outcome(experiment: Experiment, draft: Draft, preview: Preview, *, is_readable: bool) -> None:
    if draft.error:
        draw_error(draft.error)
        draft.error = ""
    for problem in preview.problems[:10]:
        draw_error(f"{problem.message} {problem.cure}".strip())
    draw_warnings(preview)
    progress = _progress(experiment)
    cancelled, to_run = progress.cancelled, preview.new_trials
    can_run = is_readable and not preview.problems and bool(preview.arms)
    if can_run and not to_run:
        st.caption("Nothing new so far: raise the repeats, add a value, a model or cases.")
    elif can_run:
        if cancelled:
            st.caption(f"{fmt.many(cancelled, 'cancelled trial')} will run, too.")
        if progress.state == "paused" and progress.waiting:
            st.caption(f"The experiment goes on: {fmt.many(progress.waiting, 'waiting trial')} will run, too.")
        st.html(words.facts_html(plan_outlook.forecast_facts(preview)))
    st.button(
        f"Run {fmt.many(to_run, 'new trial' if not cancelled else 'trial')}" if to_run else "Run",
        key=draft.key("extend"),
        type="primary",
        disabled=not can_run or not to_run,
        on_click=_extend,
        args=(experiment, draft, to_run),
    )


def _progress(experiment: Experiment) -> Progress:
    return get_runtime().experiments.get_progress(user_id=state.person().id, experiment_id=experiment.id)


def _extend(experiment: Experiment, draft: Draft, shown: int) -> None:
    page = state.experiments()
    act(_run_more, experiment, draft, shown)
    if page.extension is draft and page.notice is None:
        return
    page.extension = None
    close_dialog()
    st.rerun()


def _run_more(experiment: Experiment, draft: Draft, shown: int) -> None:
    """A last change may come together with the press: it is part of what runs. With a mistake in it, or when it makes
    other than the `shown` number of trials, nothing does, and the dialog says so.
    """
    preview, more, error = _take_over(experiment, draft)
    if error or preview.problems:
        return
    if preview.new_trials != shown:
        draft.error = f"{words.other_number(preview.new_trials, shown)} Press the button again to run them."
        return
    person = state.person()
    get_runtime().experiments.extend(
        user_id=person.id,
        role=person.role,
        experiment_id=experiment.id,
        plan=draft.plan,
        cases=more,
        revision=draft.revision,
    )
    state.experiments().extension = None


_DIALOGS = {"cancel": _cancel_dialog, "limits": _limits_dialog, "extend": _extend_dialog}
