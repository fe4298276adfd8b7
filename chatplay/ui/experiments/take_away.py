"""The Take away tab: files, a notebook, code, links to look on, and a copy to go on with."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import streamlit as st

from chatplay.experiments.values import Experiment, ExportFormat, Link
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import state
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments.cells import call as cells_call
from chatplay.ui.experiments.results.data import about
from chatplay.ui.experiments.words import arm_names
from chatplay.ui.people import app_url, viewer_zone

_ABOUT_DATA = (
    "Every trial with its settings, case, answer, scores and figures. Arms, cases and repeats count from 0 there, as "
    "programs do; on these pages from 1."
)
_FORMATS: dict[ExportFormat, tuple[str, str | None]] = {
    "csv": ("CSV", None),
    "jsonl": ("JSONL", None),
    "parquet": ("Parquet", None),
    "zip": ("Notebook", "A Jupyter notebook with the data: it computes every figure of the Results tab again."),
}


def draw(experiment: Experiment, token: str | None) -> None:
    with st.container(border=True, key="experiments_files"):
        _draw_files(experiment, token)
    with st.container(border=True, key="experiments_code"):
        _draw_code(experiment, token)
    if experiment.is_mine:
        with st.container(border=True, key="experiments_links"):
            _draw_links(experiment)
    with st.container(border=True, key="experiments_clone"):
        _draw_clone(experiment, token)


# ---- files -------------------------------------------------------------------------------------


def _draw_files(experiment: Experiment, token: str | None) -> None:
    st.subheader("Data", anchor=False, help=_ABOUT_DATA)
    with st.container(horizontal=True, gap="small"):
        # From a route: a download button would hold 100,000 trials in memory.
        for kind, (label, help_text) in _FORMATS.items():
            asked = {"format": kind, "name": _file_name(experiment)} | ({"shared": token} if token else {})
            st.link_button(
                label,
                f"/v1/experiments/{experiment.id}/export?{urlencode(asked)}",
                icon=":material/download:",
                help=help_text,
            )


def _file_name(experiment: Experiment) -> str:
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in experiment.name.lower())
    return "-".join(part for part in kept.split("-") if part)[:60] or "experiment"


# ---- code --------------------------------------------------------------------------------------


def _draw_code(experiment: Experiment, token: str | None) -> None:
    """Of one trial, which is chosen by its place."""
    st.subheader("Code", anchor=False, help="A program that makes the call of one trial again.")
    arms = arm_names(experiment.arms)
    left, middle, right = st.columns([3, 1, 1])
    arm = left.selectbox("Arm", range(len(arms)), format_func=lambda place: arms[place], key=_key(experiment, "arm"))
    case = middle.number_input("Case", 1, experiment.cases, key=_key(experiment, "case"))
    cell = get_runtime().experiments.get_cell(**about(experiment, token), arm=arm, case=int(case) - 1)
    if not cell.trials:
        st.caption("This arm does not ask this case.")
        return
    repeat = right.selectbox(
        "Repeat",
        range(len(cell.trials)),
        format_func=lambda place: str(cell.trials[place].repeat + 1),
        key=_key(experiment, f"repeat_{len(cell.trials)}"),
    )
    cells_call.draw_code(experiment, token, cell.trials[repeat].id)


# ---- links -------------------------------------------------------------------------------------


def _draw_links(experiment: Experiment) -> None:
    st.subheader(
        "Read-only links",
        anchor=False,
        help="Whoever is signed in here and has the link sees plan, results and cases, and can clone them.",
    )
    made: tuple[Any, Link] | None = state.experiments().link
    if made is not None and made[0] == experiment.id:
        st.code(f"{app_url()}/experiments?shared={made[1].token}", language=None, wrap_lines=True)
        st.caption("Copy it now: only a fingerprint of it is kept, so it can't be shown again.")
    zone = viewer_zone(state.person())
    for link in get_runtime().experiments.list_links(user_id=state.person().id, experiment_id=experiment.id):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"Made {fmt.ago(link.created_at, now=fmt.now_utc(), tz=zone)}", width="content")
            st.button(
                "Revoke",
                type="tertiary",
                icon=":material/link_off:",
                on_click=experiments_state.act,
                args=(_revoke, experiment, link.id),
                key=state.experiments_key(f"revoke_{link.id}"),
            )
    st.button(
        "Make a link",
        icon=":material/add_link:",
        on_click=experiments_state.act,
        args=(_make_link, experiment),
        key=state.experiments_key("make_link"),
    )


def _make_link(experiment: Experiment) -> None:
    made = get_runtime().experiments.add_link(user_id=state.person().id, experiment_id=experiment.id)
    state.experiments().link = (experiment.id, made)


def _revoke(experiment: Experiment, link_id: int) -> None:
    made = state.experiments().link
    if made is not None and made[1].id == link_id:
        state.experiments().link = None
    get_runtime().experiments.revoke_link(user_id=state.person().id, experiment_id=experiment.id, link_id=link_id)


# ---- clone -------------------------------------------------------------------------------------


def _draw_clone(experiment: Experiment, token: str | None) -> None:
    st.subheader("Clone", anchor=False, help="A draft of your own: the same plan and cases, no answers.")
    st.button(
        "Clone this experiment",
        icon=":material/content_copy:",
        on_click=experiments_state.act,
        args=(_clone, experiment, token),
        key=state.experiments_key("clone_here"),
    )


def _clone(experiment: Experiment, token: str | None) -> None:
    made = get_runtime().experiments.clone(user_id=state.person().id, experiment_id=experiment.id, token=token)
    experiments_state.go(made.id)


def _key(experiment: Experiment, name: str) -> str:
    return state.experiments_key(f"code_{name}_{experiment.id}")
