"""What a plan comes to: its arms, what they will take, what still keeps it from starting, and the start."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from chatplay.errors import BadInput, ChatplayError, Conflict, PlanChanged
from chatplay.experiments.plan import messages_for
from chatplay.experiments.values import Arm, Forecast, Preview
from chatplay.models.view import takes_system_prompt
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import state
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments import words
from chatplay.ui.experiments.plan.draft import Draft
from chatplay.ui.experiments.plan.fields import draw_error, draw_errors, draw_warnings
from chatplay.ui.markdown import message_markdown
from chatplay.ui.state import Notice
from chatplay.ui.tables import rows_key, table_height


def collect(draft: Draft) -> None:
    """Takes over which arms are ticked."""
    held = state.widget_value(_grid_key(draft))
    if held is None or draft.preview is None:
        return
    arms = draft.preview.arms
    ticked = {arms[row].hash for row in held["selection"]["rows"] if row < len(arms)}
    draft.tick({arm.hash for arm in arms}, ticked)


# ---- the grid ----------------------------------------------------------------------------------


def draw_grid(draft: Draft, preview: Preview) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader("Arms", anchor=False, width="content")
        st.space("stretch")
        if len(preview.chosen) < len(preview.arms):
            st.button("Run all", key=draft.key("run_all"), type="tertiary", on_click=_run_all, args=(draft,))
    if not preview.arms:
        st.caption("Each combination of prompt, model and settings will be an arm.")
        return
    with st.container():
        draw_errors(draft, "chosen")
    st.dataframe(
        arms_frame(preview.arms),
        key=_grid_key(draft),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": list(preview.chosen)}},
        height=table_height(len(preview.arms), most=10),
    )
    if len(preview.chosen) < len(preview.arms):
        st.caption(f"{len(preview.chosen):,} of {fmt.many(len(preview.arms), 'arm')} will run.")


def arms_frame(arms: tuple[Arm, ...]) -> pd.DataFrame:
    """A row for each arm, a column for whatever varies."""
    names = list(arms[0].levels) or ["arm"]
    rows = [{words.level_name(name): arm.levels.get(name, arm.label) for name in names} for arm in arms]
    return pd.DataFrame(rows)


def _grid_key(draft: Draft) -> str:
    arms = draft.preview.arms if draft.preview else ()
    return rows_key(draft.key(f"grid_{draft.grid}"), [arm.hash for arm in arms])


def _run_all(draft: Draft) -> None:
    draft.left_out.clear()
    draft.grid += 1


# ---- what it takes -----------------------------------------------------------------------------


def draw_forecast(preview: Preview) -> None:
    """Calls, tokens, cost and time, each with the interval in which 95 of 100 such runs would lie."""
    if not preview.trials:
        return
    st.subheader("What it takes", anchor=False)
    st.html(words.facts_html(forecast_facts(preview)))
    for note in preview.forecast.notes if preview.forecast else ():
        st.caption(message_markdown(note))


def forecast_facts(preview: Preview) -> list[tuple[str, str]]:
    repeats = preview.trials // (len(preview.chosen) * preview.cases) if preview.chosen and preview.cases else 0
    grid = f"{fmt.many(len(preview.chosen), 'arm')} x {fmt.many(preview.cases, 'case')}"
    facts = [("Trials", f"{preview.trials:,} ({grid} x {fmt.many(repeats, 'repeat')})")]
    if preview.new_trials != preview.trials:
        facts.append(("To run", f"{preview.new_trials:,}"))
    return facts + (_figures(preview.forecast) if preview.forecast else [])


def _figures(forecast: Forecast) -> list[tuple[str, str]]:
    most = f", at most {words.cost(forecast.most_cost_usd)}" if forecast.most_cost_usd is not None else ""
    return [
        ("Calls", f"{forecast.calls:,}, and retries"),
        ("Prompt tokens", words.figure(forecast.prompt_tokens, words.amount)),
        ("Answer tokens", words.figure(forecast.completion_tokens, words.amount)),
        ("Cost", words.figure(forecast.cost_usd, words.cost) + most),
        ("Time", words.figure(forecast.duration_sec, words.span)),
    ]


# ---- what a case reads -------------------------------------------------------------------------


def draw_bound(draft: Draft, preview: Preview) -> None:
    """What an arm asks about a case, as the model will read it."""
    if not preview.arms or not len(draft.cases):
        return
    with st.expander("What a model will read", key=draft.key("bound"), on_change="rerun") as place:
        if not place.open:
            return
        left, right = st.columns([1, 3], gap="small")
        case = left.number_input("Case", 1, len(draft.cases), key=draft.key("bound_case"))
        arm = right.selectbox(
            "Arm",
            range(len(preview.arms)),
            format_func=words.arm_names(preview.arms).__getitem__,
            key=draft.key(f"bound_arm_{len(preview.arms)}"),
        )
        _draw_messages(preview.arms[arm or 0], draft, int(case) - 1)


def _draw_messages(arm: Arm, draft: Draft, case: int) -> None:
    model = get_runtime().catalog.find_info(arm.model.name, upstream=arm.model.upstream)
    try:
        messages = messages_for(arm, draft.cases.values(case), system=takes_system_prompt(model))
    except BadInput as error:
        draw_error(str(error))
        return
    for message in messages:
        st.caption("System prompt" if message.role == "system" else "Prompt")
        st.code(message.content, language=None, wrap_lines=True)


# ---- the start ---------------------------------------------------------------------------------


def draw_start(draft: Draft, preview: Preview, *, take_over: Callable[[Draft], None]) -> None:
    """The button, and everything that keeps it from working. `take_over` reads and saves what is in the fields."""
    st.button(
        f"Start {preview.trials:,} trials" if preview.trials and not preview.problems else "Start",
        key=draft.key("start"),
        type="primary",
        icon=":material/play_arrow:",
        disabled=not _may_start(draft),
        on_click=_start,
        args=(draft, take_over, preview.trials),
        width="stretch",
    )
    if draft.error:
        draw_error(f"Not saved: {draft.error}")
    if preview.problems:
        found = "\n".join(f"- {message_markdown(f'{one.message} {one.cure}'.strip())}" for one in preview.problems[:20])
        st.markdown(f"Before it can start:\n\n{found}")
    elif not draft.error and not draft.overtaken:
        st.caption("Everything you change is saved at once.")
    draw_warnings(preview)


def _may_start(draft: Draft) -> bool:
    return draft.preview is not None and not (draft.preview.problems or draft.error or draft.overtaken)


def _start(draft: Draft, take_over: Callable[[Draft], None], shown: int) -> None:
    """Turns to the run; what a second tab changed in between is said at the head.

    A last change may come together with the click: it is part of what starts, unless it makes other than the `shown`
    number of trials.
    """
    page, person = state.experiments(), state.person()
    page.notice = None
    try:
        take_over(draft)
        if draft.preview is None or not _may_start(draft):
            st.rerun()
        if (trials := draft.preview.trials) != shown:
            raise Conflict(words.other_number(trials, shown), cure="Press Start again to run them.")
        get_runtime().experiments.start(
            user_id=person.id, role=person.role, experiment_id=draft.experiment_id, revision=draft.revision
        )
    except PlanChanged:
        draft.overtaken = True
    except ChatplayError as error:
        page.notice = Notice.of(error)
    else:
        page.draft = None
        experiments_state.go(draft.experiment_id, "run")
    st.rerun()
