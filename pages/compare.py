"""Compare: one prompt, two to six panes with a model and settings each, their answers side by side as they come."""

from __future__ import annotations

import time
from uuid import UUID

import streamlit as st

from chatplay.compare.values import ComparisonView
from chatplay.errors import NotFound, StoreError
from chatplay.models.catalog import ModelInfo
from chatplay.runtime import get_runtime
from chatplay.ui import model_menu, state
from chatplay.ui.away import draw_away
from chatplay.ui.compare import figures as compare_figures
from chatplay.ui.compare import history as compare_history
from chatplay.ui.compare import live as compare_live
from chatplay.ui.compare import opening as compare_opening
from chatplay.ui.compare import pane as compare_pane
from chatplay.ui.compare import prompt as compare_prompt
from chatplay.ui.compare import results as compare_results
from chatplay.ui.compare import votes as compare_votes
from chatplay.ui.scripts import copy_html, keep_html
from chatplay.ui.state import CompareState

PUT_AWAY_SEC = 0.05  # until what stood here has left for the browser: it would stay beside what comes


def draw() -> None:
    page = state.compare()
    runtime = get_runtime()
    models = runtime.catalog.list_running(state.person().role)
    try:
        view = compare_opening.open_view(page)
    except StoreError as error:
        draw_away(error, "Nothing that was run is lost.", key="compare_try_again")
        return
    except NotFound:
        compare_history.draw(None)
        model_menu.draw_no_models(runtime.catalog.status(state.person().role))
        return

    compare_history.draw(view.comparison.id)
    compare_history.draw_dialog()
    if not models:
        model_menu.draw_no_models(runtime.catalog.status(state.person().role))
    compare_prompt.draw(view, can_run=bool(models))
    places = draw_panes(page, view, models)
    draw_results(view)
    st.html(keep_html(), unsafe_allow_javascript=True)
    copy_answer(page)
    if view.is_running:  # last, because it stays as long as answers are coming
        compare_live.follow(view, places)


def draw_panes(
    page: CompareState, view: ComparisonView, models: tuple[ModelInfo, ...]
) -> dict[UUID, compare_live.LivePlace]:
    """The panes side by side; on a narrow screen one at a time, chosen by tabs."""
    board = st.empty()
    shape = (view.comparison.id, len(view.panes), view.is_veiled)
    if view.is_running and page.shape not in (None, shape):
        time.sleep(PUT_AWAY_SEC)
    page.shape = shape
    names = [compare_figures.tab_name(view, place) for place in range(len(view.panes))]
    with board.container(key="compare_board", gap="small"):
        st.segmented_control(
            "Pane on show",
            range(len(names)),
            format_func=lambda place: names[place],
            default=0,
            required=True,
            key="compare_tabs",
            label_visibility="collapsed",
            on_change="ignore",
        )
        places = {}
        with st.container(key="compare_panes"):
            for place, column in enumerate(st.columns(len(names), gap="small")):
                with column:
                    places[view.places[place].id] = compare_pane.draw(view, place, models)
    return places


def draw_results(view: ComparisonView) -> None:
    """The vote, the differences and all runs, in places that are empty while answers come."""
    vote, differences, votes = st.empty(), st.empty(), st.empty()
    if view.may_vote:
        with vote.container():
            compare_results.draw_vote(view)
    if not view.is_running:
        with differences.container():
            compare_results.draw_differences(view)
        if not view.is_veiled:
            with votes.container():
                compare_votes.draw(view)


def copy_answer(page: CompareState) -> None:
    if page.copy is not None:
        st.html(copy_html(page.copy), unsafe_allow_javascript=True)
        st.toast("Copied.", icon=":material/check:")
        page.copy = None


draw()
