"""Which screen of the experiments page is shown: it lives in the address, so it can be shared and reloaded.

`?experiment=<id>&tab=<tab>` is one of the person's own, `?shared=<token>&tab=<tab>` one that a link opens.
What is chosen on Results stands there, too: `scores`, `baseline` (an arm, from 1), `figure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.experiments.values import Experiment
from chatplay.runtime import get_runtime
from chatplay.ui import gate, state
from chatplay.ui.state import Notice

TABS = {
    "plan": "Plan",
    "run": "Run",
    "results": "Results",
    "cases": "Cases",
    "review": "Review",
    "take-away": "Take away",
}
_FIRST_TAB = {"draft": "plan", "running": "run", "paused": "run", "done": "results", "cancelled": "results"}


@dataclass(frozen=True)
class Place:
    """What the address asks for; all empty: the list."""

    experiment_id: UUID | None = None
    token: str | None = None
    tab: str | None = None

    @property
    def is_list(self) -> bool:
        return self.experiment_id is None and self.token is None


def read(query: Mapping[str, str]) -> Place:
    """What can't be read is left out: a broken address leads to the list."""
    tab = query.get("tab")
    return Place(
        experiment_id=_uuid(query.get("experiment")),
        token=query.get("shared") or None,
        tab=tab if tab in TABS else None,
    )


def current() -> Place:
    return read(st.query_params)


def close_dialog() -> None:
    state.experiments().dialog = None


def go(experiment_id: UUID | None, tab: str | None = None) -> None:
    """Turns to an experiment, or to the list. In a callback, or before `st.rerun`."""
    close_dialog()
    query = {"experiment": str(experiment_id)} if experiment_id else {}
    st.query_params.from_dict(query | ({"tab": tab} if tab else {}))


def act(do: Callable[..., object], *args: Any) -> None:
    """For callbacks: nothing for who is signed out; an error becomes the notice at the head of the page."""
    page = state.experiments()
    page.notice = None
    if not gate.still_signed_in():
        return
    try:
        do(*args)
    except ChatplayError as error:
        page.notice = Notice.of(error)


def tell_if_paused(experiment: Experiment) -> None:
    """Within `act`, after more calls were asked for: those of a paused experiment wait."""
    progress = get_runtime().experiments.get_progress(user_id=state.person().id, experiment_id=experiment.id)
    if progress.state == "paused":
        text = "This experiment is paused: what you asked for runs once it is resumed."
        state.experiments().notice = Notice(text, cure="The Run tab resumes it.", kind="info")


def tabs_of(experiment: Experiment) -> dict[str, str]:
    """The tabs this viewer gets, name to label: who came by a link looks on, and scores nothing."""
    return {name: label for name, label in TABS.items() if experiment.is_mine or name != "review"}


def tab_of(experiment: Experiment, place: Place) -> str:
    """The tab to open: the address's, else where this experiment stands."""
    return place.tab if place.tab in tabs_of(experiment) else _FIRST_TAB[experiment.state]


def tab_changed(key: str) -> None:
    """The callback of the tabs."""
    label = state.widget_value(key)
    st.query_params["tab"] = next((name for name, known in TABS.items() if known == label), "plan")


def in_address(name: str, key: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a widget, right before it is drawn, whose choice lives in the address under `name`: a link or a
    reload shows the same. `options` are the choices by what the address calls them; the first goes without saying.
    """
    state.set_widget_value(key, options.get(st.query_params.get(name, ""), next(iter(options.values()))))
    return {"key": key, "on_change": _tell_address, "args": (name, key, options)}


def _tell_address(name: str, key: str, options: Mapping[str, Any]) -> None:
    chosen = state.widget_value(key)
    word = next((word for word, value in options.items() if value == chosen), None)
    if word is None or word == next(iter(options)):
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = word


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
