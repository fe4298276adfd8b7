"""The head of an opened experiment: its name and state, and what can be done with the whole of it."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from chatplay.experiments.values import Experiment, State
from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments.plan import tab as experiments_plan
from chatplay.ui.experiments.state import act, close_dialog
from chatplay.ui.markdown import message_markdown, plain_markdown

_STATES: dict[State, tuple[str, str, str]] = {
    "draft": ("Draft", ":material/edit:", "gray"),
    "running": ("Running", ":material/play_arrow:", "blue"),
    "paused": ("Paused", ":material/pause:", "orange"),
    "done": ("Done", ":material/check:", "green"),
    "cancelled": ("Cancelled", ":material/cancel:", "gray"),
}
_MENU = {"rename": "Rename", "clone": "Clone", "delete": "Delete"}


def draw(experiment: Experiment, token: str | None) -> None:
    """In runs of the whole page."""
    st.button(
        "All experiments", type="tertiary", icon=":material/arrow_back:", on_click=experiments_state.go, args=(None,)
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="experiments_head"):
        st.subheader(plain_markdown(experiment.name), anchor=False, width="content")
        draw_state(experiment.state)
        st.space("stretch")
        if experiment.is_mine:
            key = state.experiments_key("menu")
            st.menu_button(
                "Actions",
                list(_MENU),
                key=key,
                format_func=lambda name: _MENU.get(name, name),
                on_click=_chosen,
                args=(experiment.id, key),
            )
        else:
            st.caption("Shared with you, read-only.", width="content")
            st.button(
                "Clone",
                icon=":material/content_copy:",
                on_click=act,
                args=(_clone, experiment.id, token),
                help="A draft of your own with the same plan and cases.",
            )
    draw_notice()
    _draw_dialog(experiment)


def draw_state(of: State) -> None:
    label, icon, colour = _STATES[of]
    st.badge(label, icon=icon, color=colour)  # type: ignore[arg-type]  # a word of Streamlit's list


def draw_notice() -> None:
    """What the last action came to, when it failed or left something out."""
    if (notice := state.experiments().notice) is not None:
        text = message_markdown(f"{notice.text} {notice.cure}".strip())
        if notice.kind == "info":
            st.info(text, icon=":material/info:")
        else:
            st.error(text, icon=":material/error:")


def _chosen(experiment_id: UUID, key: str) -> None:
    choice = state.widget_value(key)
    if choice == "clone":
        act(_clone, experiment_id, None)
    else:
        state.experiments().dialog = choice


def _clone(experiment_id: UUID, token: str | None) -> None:
    experiments_plan.keep_typed()
    made = get_runtime().experiments.clone(user_id=state.person().id, experiment_id=experiment_id, token=token)
    experiments_state.go(made.id)


def _draw_dialog(experiment: Experiment) -> None:
    dialog = _DIALOGS.get(state.experiments().dialog or "")  # others belong to the open tab
    if dialog is not None:
        dialog(experiment)


@st.dialog("Rename this experiment", on_dismiss=close_dialog)
def _rename_dialog(experiment: Experiment) -> None:
    key = state.experiments_key("name")
    with st.form("experiments_rename", border=False):
        st.text_input("Name", experiment.name, key=key, max_chars=200)
        if st.form_submit_button("Rename", type="primary"):
            act(_rename, experiment.id, key)
            close_dialog()
            st.rerun()


def _rename(experiment_id: UUID, key: str) -> None:
    name = state.widget_value(key) or ""
    get_runtime().experiments.rename(user_id=state.person().id, experiment_id=experiment_id, name=name)


@st.dialog("Delete this experiment", on_dismiss=close_dialog)
def _delete_dialog(experiment: Experiment) -> None:
    st.markdown(
        f"**{plain_markdown(experiment.name)}** is deleted with its cases, answers and scores; calls that run are "
        "stopped. This cannot be undone. What it has cost stays in the metrics."
    )
    if st.button("Delete", type="primary", key=state.experiments_key("destroy")):
        act(_delete, experiment.id)
        close_dialog()
        st.rerun()


def _delete(experiment_id: UUID) -> None:
    get_runtime().experiments.delete(user_id=state.person().id, experiment_id=experiment_id)
    experiments_state.go(None)


_DIALOGS = {"rename": _rename_dialog, "delete": _delete_dialog}
