"""What the controls of the compare page do. Each is a callback: it stores at once, before anything is drawn again.

Errors end here: they become the notice above the panes; what was typed stays in its field.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID, uuid4

import streamlit as st

from chatplay.compare.values import Choice, ComparisonView, Pane
from chatplay.errors import ChatplayError, NotFound
from chatplay.params import get_spec
from chatplay.runtime import get_runtime
from chatplay.ui import gate, state
from chatplay.ui.experiments import from_compare as experiments_from_compare
from chatplay.ui.model_menu import model_id
from chatplay.ui.state import Notice


def action(act: Callable[..., None]) -> Callable[..., None]:
    """A callback: nothing for who is signed out, an error becomes a notice, and the whole page is drawn after."""
    return _callback(act, lambda _args: None)


def saving(act: Callable[..., None]) -> Callable[..., None]:
    """The same of a field, whose key is its last argument: it comes at each pause in typing, so that it takes back no
    notice but the one of its own field.
    """
    return _callback(act, lambda args: args[-1])


def _callback(act: Callable[..., None], field_of: Callable[[tuple[Any, ...]], str | None]) -> Callable[..., None]:
    @wraps(act)
    def callback(*args: Any) -> None:
        page, field = state.compare(), field_of(args)
        if gate.still_signed_in():
            if field in (None, page.refused):
                page.notice = page.refused = None
            try:
                act(*args)
            except ChatplayError as error:
                page.notice, page.refused = Notice.of(error), field
        st.rerun()

    return callback


def mine(comparison_id: UUID) -> dict[str, Any]:
    return {"user_id": state.person().id, "comparison_id": comparison_id}


# ---- what is asked -----------------------------------------------------------------------------


@saving
def save_prompt(comparison_id: UUID, key: str) -> None:
    _save_prompt(comparison_id, key)


@saving
def save_variable(comparison_id: UUID, name: str, key: str) -> None:
    _save_variable(comparison_id, name, key)


@action
def set_blind(comparison_id: UUID, key: str) -> None:
    get_runtime().compare.set_blind(**mine(comparison_id), is_blind=bool(state.widget_value(key)))


@saving
def set_param(pane: Pane, comparison_id: UUID, name: str, key: str) -> None:
    _save_param(pane.id, comparison_id, name, key)


@action
def set_model(pane: Pane, comparison_id: UUID, key: str) -> None:
    """The model chosen in a pane; one that does not run any more is not among those offered."""
    running = get_runtime().catalog.list_running(state.person().role)
    model = next((info for info in running if model_id(info) == state.widget_value(key)), None)
    if model is not None:
        get_runtime().compare.set_model(**mine(comparison_id), role=state.person().role, pane_id=pane.id, model=model)


def _save_prompt(comparison_id: UUID, key: str) -> None:
    text = str(state.widget_value(key) or "")
    get_runtime().compare.set_prompt(**mine(comparison_id), prompt=text)
    state.note_stored(key, text)


def _save_variable(comparison_id: UUID, name: str, key: str) -> None:
    value = str(state.widget_value(key) or "")
    get_runtime().compare.set_variable(**mine(comparison_id), name=name, value=value)
    state.note_stored(key, value)


def _save_param(pane_id: UUID, comparison_id: UUID, name: str, key: str) -> None:
    value = state.widget_value(key)
    if get_spec(name).kind == "text":
        value = value or ""
    get_runtime().compare.set_param(**mine(comparison_id), pane_id=pane_id, name=name, value=value)
    state.note_stored(key, value)


# ---- running -----------------------------------------------------------------------------------


@action
def run(view: ComparisonView, pane: Pane | None = None) -> None:
    """Asks all panes, or one; what was just typed is part of it."""
    page = state.compare()
    _save_typed(view)
    panes = None if pane is None else [pane.id]
    get_runtime().compare.run(**mine(view.comparison.id), **_role(), request_key=page.request_key, pane_ids=panes)
    page.request_key = uuid4()


@action
def stop(comparison_id: UUID, pane: Pane | None = None) -> None:
    get_runtime().compare.stop(**mine(comparison_id), pane_ids=None if pane is None else [pane.id])


@action
def make_experiment(view: ComparisonView) -> None:
    """A draft of what stands here, what was just typed included. It is made before its address is turned to: going back
    and forth makes no more.
    """
    _save_typed(view)
    made, left_out = experiments_from_compare.create(get_runtime(), **mine(view.comparison.id))
    if left_out:
        state.experiments().notice = Notice(left_out, kind="info")
    state.go_to("pages/experiments.py", experiment=str(made.id), tab="plan")


def _save_typed(view: ComparisonView) -> None:
    """Fields whose change comes with the press, not before it."""
    comparison_id, seen = view.comparison.id, state.compare().seen
    key = state.compare_key("prompt", comparison_id)
    if key in seen and state.widget_value(key) not in (None, seen[key]):
        _save_prompt(comparison_id, key)
    for key, stored in list(seen.items()):
        name = key.removeprefix(state.compare_key("value", comparison_id, ""))
        if name != key and state.widget_value(key) not in (None, stored):
            _save_variable(comparison_id, name, key)
    for pane in view.panes:
        key = state.compare_key("param", pane.id, "system_prompt")
        if key in seen and state.widget_value(key) not in (None, seen[key]):
            _save_param(pane.id, comparison_id, "system_prompt", key)


# ---- panes -------------------------------------------------------------------------------------


@action
def add_pane(comparison_id: UUID) -> None:
    get_runtime().compare.add_pane(**mine(comparison_id))


@action
def from_menu(view: ComparisonView, pane: Pane, key: str) -> None:
    """What was chosen in a pane's menu."""
    page, choice, service = state.compare(), state.widget_value(key), get_runtime().compare
    who = mine(view.comparison.id)
    if choice == "left":
        service.move_pane(**who, pane_id=pane.id, by=-1)
    elif choice == "right":
        service.move_pane(**who, pane_id=pane.id, by=1)
    elif choice == "duplicate":
        service.add_pane(**who, like=pane.id)
    elif choice == "remove":
        service.remove_pane(**who, pane_id=pane.id)
    elif choice == "copy" and pane.id in view.answers:
        page.copy = view.answers[pane.id].content
    elif choice == "chat":
        state.chat().open(service.continue_as_chat(**who, **_role(), pane_id=pane.id))
        state.go_to("pages/chat.py")


# ---- votes -------------------------------------------------------------------------------------


@action
def vote(view: ComparisonView, choice: Choice, pane: Pane | None = None) -> None:
    """On the answers as they stood here when the button was drawn."""
    state.compare().revote = None
    user_id = state.person().id
    get_runtime().compare.vote(user_id=user_id, view=view, choice=choice, pane_id=pane.id if pane else None)


@action
def change_vote(run_id: UUID) -> None:
    """Offers the choices again."""
    state.compare().revote = run_id


@action
def uncover(comparison_id: UUID) -> None:
    get_runtime().compare.uncover(**mine(comparison_id))


# ---- history -----------------------------------------------------------------------------------


@action
def new() -> None:
    """The person's untouched comparison."""
    state.compare().open(get_runtime().compare.new(**state.me()).comparison.id)


@action
def open_comparison(comparison_id: UUID) -> None:
    state.compare().open(comparison_id)


@action
def more() -> None:
    state.compare().more += 1


@action
def ask(comparison_id: UUID, title: str, key: str) -> None:
    """What was chosen in the menu of a line of the history."""
    state.compare().dialog = (str(state.widget_value(key)), (comparison_id, title))


@action
def close_dialog() -> None:
    """Only draws the page anew."""


@action
def rename(comparison_id: UUID, key: str) -> None:
    get_runtime().compare.rename(**mine(comparison_id), title=str(state.widget_value(key) or ""))


@action
def delete(comparison_id: UUID) -> None:
    """Removes it; when it was on show, the one touched last takes its place."""
    page = state.compare()
    try:
        get_runtime().compare.delete(**mine(comparison_id))
    except NotFound:
        page.notice = Notice("This comparison was deleted already, in another tab or browser.", kind="info")
    if page.comparison_id == comparison_id:
        page.open(None)


def _role() -> dict[str, Any]:
    return {"role": state.person().role}
