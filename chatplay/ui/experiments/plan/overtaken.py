"""A plan that another tab has changed meanwhile: both are kept until the person has chosen."""

from __future__ import annotations

from typing import Any

import streamlit as st

from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments.plan.draft import Draft

_CHANGED = (
    "This plan was changed in another tab since it was opened here. What you see is your version: it is not saved "
    "while both stand."
)
_STARTED = (
    "This experiment was started in another tab since its plan was opened here. What you see is your version: it is "
    "not saved, and what runs stays as it is."
)


def draw(draft: Draft) -> None:
    """Nothing unless it was overtaken."""
    if not draft.overtaken:
        return
    with st.container(key="experiments_overtaken", gap="small"):
        st.warning(_STARTED if draft.is_started else _CHANGED, icon=":material/tab:")
        wide: dict[str, Any] = {"width": "stretch"}
        st.button("Save mine as a copy", key=draft.key("copy"), on_click=_copy, args=(draft,), type="primary", **wide)
        if not draft.is_started:
            st.button("Replace the other with mine", key=draft.key("replace"), on_click=_replace, args=(draft,), **wide)
        st.button("Show the other", key=draft.key("drop"), on_click=_drop, **wide)


def _copy(draft: Draft) -> None:
    experiments_state.act(_save_copy, draft)
    st.rerun()


def _save_copy(draft: Draft) -> None:
    service, user_id = get_runtime().experiments, state.person().id
    name = service.get(user_id=user_id, experiment_id=draft.experiment_id).name[:180]
    made = service.create(user_id=user_id, name=f"{name}, my version", plan=draft.plan, cases=draft.cases)
    state.experiments().draft = None
    experiments_state.go(made.id, "plan")


def _replace(draft: Draft) -> None:
    experiments_state.act(_save_over, draft)


def _save_over(draft: Draft) -> None:
    """From now on this is the newest: the next save takes the place of what is stored."""
    service, user_id = get_runtime().experiments, state.person().id
    now = service.get(user_id=user_id, experiment_id=draft.experiment_id)
    draft.stored_cases = service.get_cases(user_id=user_id, experiment_id=draft.experiment_id)
    draft.stored, draft.revision, draft.overtaken = now.plan, now.revision, False


def _drop() -> None:
    state.experiments().draft = None
    st.rerun()
