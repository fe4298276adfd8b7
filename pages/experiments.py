"""Experiments: the list, and one of them in six tabs. The address says which, see `experiments_state`."""

from __future__ import annotations

import importlib

import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.experiments.values import Experiment
from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.experiments import head as experiments_head
from chatplay.ui.experiments import listing as experiments_listing
from chatplay.ui.experiments import run as experiments_run
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments.plan import tab as experiments_plan
from chatplay.ui.experiments.state import Place
from chatplay.ui.markdown import message_markdown

# Statistics and charts are slow to import: each when its tab is opened first.
MODULES = {
    "results": "chatplay.ui.experiments.results.tab",
    "cases": "chatplay.ui.experiments.cells.tab",
    "review": "chatplay.ui.experiments.review.tab",
    "take-away": "chatplay.ui.experiments.take_away",
}


def draw() -> None:
    experiments_plan.keep_typed()
    place = experiments_state.current()
    if place.is_list:
        experiments_listing.draw()
        return
    try:
        experiment = find(place)
    except ChatplayError as error:
        draw_missing(error)
        return
    token = None if experiment.is_mine else place.token
    open_tab = experiments_state.tab_of(experiment, place)
    st.query_params["tab"] = open_tab  # it stays open when the run ends
    experiments_head.draw(experiment, token)
    draw_tabs(experiment, token, open_tab)


def find(place: Place) -> Experiment:
    service, person = get_runtime().experiments, state.person()
    if place.token is not None:
        return service.get_shared(user_id=person.id, token=place.token)
    assert place.experiment_id is not None, "an address of neither is the list's"
    return service.get(user_id=person.id, experiment_id=place.experiment_id)


def draw_tabs(experiment: Experiment, token: str | None, open_tab: str) -> None:
    """Only the open one is drawn."""
    labels = experiments_state.tabs_of(experiment)
    key = state.experiments_key("tabs")
    if state.widget_value(key) != labels[open_tab]:  # else what was clicked meanwhile would be undone
        state.set_widget_value(key, labels[open_tab])
    tabs = st.tabs(list(labels.values()), key=key, on_change=experiments_state.tab_changed, args=(key,))
    for name, tab in zip(labels, tabs, strict=True):
        if name == open_tab:
            with tab:
                draw_tab(name, experiment, token)


def draw_tab(name: str, experiment: Experiment, token: str | None) -> None:
    try:
        if name == "plan":
            experiments_plan.draw(experiment, token)
        elif name == "run":
            experiments_run.draw(experiment, token)
        elif experiment.state == "draft":
            st.info("Nothing has run yet. Start the experiment on the Plan tab.", icon=":material/science:")
        else:
            importlib.import_module(MODULES[name]).draw(experiment, token)
    except ChatplayError as error:
        st.error(message_markdown(str(error)))


def draw_missing(error: ChatplayError) -> None:
    st.title("Experiments", anchor=False)
    st.error(message_markdown(str(error)), icon=":material/search_off:")
    st.button("All experiments", icon=":material/arrow_back:", on_click=experiments_state.go, args=(None,))


draw()
