"""The list of a person's experiments, and what it says at the first visit."""

from __future__ import annotations

import streamlit as st

from chatplay.errors import StoreError
from chatplay.experiments.values import ExperimentLine, ModelRef, Plan
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import state
from chatplay.ui.away import draw_away
from chatplay.ui.experiments import head as experiments_head
from chatplay.ui.experiments import sample as experiments_sample
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments.state import act
from chatplay.ui.markdown import plain_markdown
from chatplay.ui.people import viewer_zone

_PAGE = 50
_NEW = "Untitled experiment"


def draw() -> None:
    """All experiments of the person, last touched first."""
    st.title("Experiments", anchor=False)
    experiments_head.draw_notice()
    shown = state.widget_value(state.experiments_key("shown")) or _PAGE
    try:
        lines = get_runtime().experiments.list_experiments(user_id=state.person().id, limit=shown + 1)
    except StoreError as error:
        draw_away(error, key=state.experiments_key("try_again"))
        return
    if not lines:
        _draw_first_visit()
        return
    with st.container(horizontal=True):
        st.button("New experiment", type="primary", icon=":material/add:", on_click=act, args=(_new,))
        st.button(
            "Open a ready example", type="tertiary", icon=":material/science:", on_click=act, args=(_open_sample,)
        )
    for line in lines[:shown]:
        _draw_line(line)
    if len(lines) > shown:
        st.button("Show more", type="tertiary", on_click=_show_more, args=(shown,))


def _draw_first_visit() -> None:
    st.markdown(
        "An experiment asks the same cases with several settings, prompts or models, repeats every combination, and "
        "says which differences are real and which are chance."
    )
    with st.container(horizontal=True):
        st.button("Open a ready example", type="primary", icon=":material/science:", on_click=act, args=(_open_sample,))
        st.button("New experiment", icon=":material/add:", on_click=act, args=(_new,))
    st.caption(
        "The example asks the Demo model three questions at temperature 0, 0.7 and 1, three times each: 27 calls, "
        "some seconds, no key and no cost."
    )


def _draw_line(line: ExperimentLine) -> None:
    with st.container(
        border=True, horizontal=True, vertical_alignment="center", gap="small", key=f"experiments_line_{line.id}"
    ):
        st.button(
            plain_markdown(line.name),
            type="tertiary",
            key=state.experiments_key(f"open_{line.id}"),
            on_click=experiments_state.go,
            args=(line.id,),
            width="stretch",
        )
        st.caption(_facts(line), width="content")
        experiments_head.draw_state(line.state)


def _facts(line: ExperimentLine) -> str:
    person = state.person()
    touched = fmt.ago(line.updated_at, now=fmt.now_utc(), tz=viewer_zone(person))
    if line.state == "draft":
        return f"{fmt.many(line.cases, 'case')}, {touched}"
    grid = f"{fmt.many(line.arms, 'arm')} x {fmt.many(line.cases, 'case')}"
    done = f"{line.trials:,} trials" if line.ended == line.trials else f"{line.ended:,} of {line.trials:,} trials"
    return f"{grid}, {done}, {touched}"


def _new() -> None:
    """A draft on the model that chats begin with."""
    runtime, person = get_runtime(), state.person()
    running = runtime.catalog.list_running(person.role)
    model = runtime.catalog.default(person.role) if running else None
    plan = Plan(models=(ModelRef(model.name, model.upstream),) if model else ())
    made = runtime.experiments.create(user_id=person.id, name=_NEW, plan=plan)
    experiments_state.go(made.id)


def _open_sample() -> None:
    runtime, person = get_runtime(), state.person()
    models = runtime.catalog.list_running(person.role)
    made = experiments_sample.create(runtime.experiments, models, user_id=person.id)
    experiments_state.go(made.id)


def _show_more(shown: int) -> None:
    state.set_widget_value(state.experiments_key("shown"), shown + _PAGE)
