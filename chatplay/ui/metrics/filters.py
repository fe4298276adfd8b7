"""The row of filters over the metrics page; each change goes into the address, and the page follows the address."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import streamlit as st

from chatplay.errors import BadInput
from chatplay.ui import state, usage_range, usage_view
from chatplay.ui.chart_models import model_labels
from chatplay.ui.usage_range import current, show
from chatplay.ui.usage_view import STATUSES, View
from chatplay.usage.values import Choices

T = TypeVar("T")
_EXAMPLES = "temperature:0.2, temperature:0.5..1, seed:not set"


def draw(view: View, choices: Choices, *, now: datetime, tz: ZoneInfo, may_see_all: bool) -> None:
    """The controls, as `view` has them."""
    _set_widgets(view)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="metrics_filters"):
        usage_range.draw(view, key=state.metrics_key, now=now, tz=tz)
        if may_see_all:
            st.segmented_control(
                "Whose calls",
                ["mine", "all"],
                format_func={"mine": "My calls", "all": "Everybody's"}.__getitem__,
                required=True,
                key=state.metrics_key("who"),
                on_change=_changed,
                label_visibility="collapsed",
            )
        _draw_more(view, choices)
        if _narrowed(view):
            st.button("Clear filters", type="tertiary", on_click=_clear, key=state.metrics_key("clear"))


def _draw_more(view: View, choices: Choices) -> None:
    count = _narrowed(view)
    with st.popover(f"Filters ({count})" if count else "Filters", icon=":material/filter_list:"):
        models = _with_chosen(choices.models, view.models)
        labels = model_labels(models)
        st.multiselect(
            "Models",
            models,
            format_func=labels.__getitem__,
            key=state.metrics_key("models"),
            on_change=_changed,
            placeholder="Any",
        )
        st.multiselect(
            "Source",
            _with_chosen(choices.sources, view.sources),
            key=state.metrics_key("sources"),
            on_change=_changed,
            placeholder="Any",
            help="Where the call was made: on a page, through a route, or in an experiment.",
        )
        st.multiselect("Status", STATUSES, key=state.metrics_key("statuses"), on_change=_changed, placeholder="Any")
        texts = [usage_view.param_text(item) for item in view.params]
        st.multiselect(
            "Parameters",
            texts,
            key=state.metrics_key("params"),
            on_change=_changed,
            accept_new_options=True,
            placeholder="Any, or type temperature:0.2",
            help=f"A name and a value or a range, for example {_EXAMPLES}. Several must hold together.",
        )
        if experiments := _with_chosen(choices.experiments, (view.experiment_id,) if view.experiment_id else ()):
            st.selectbox(
                "Experiment",
                experiments,
                format_func=str,
                key=state.metrics_key("experiment"),
                on_change=_changed,
                index=None,
                placeholder="Any or none",
            )


def _set_widgets(view: View) -> None:
    values = {
        "who": "all" if view.everybody else "mine",
        "models": list(view.models),
        "sources": list(view.sources),
        "statuses": list(view.statuses),
        "params": [usage_view.param_text(item) for item in view.params],
        "experiment": view.experiment_id,
    }
    for name, value in values.items():
        state.set_widget_value(state.metrics_key(name), value)


def _changed() -> None:
    typed = state.widget_value(state.metrics_key("params")) or []
    params = []
    for text in typed:
        try:
            params.append(usage_view.parse_param(text))
        except BadInput as error:
            st.toast(str(error), icon=":material/error:")
    before = current()
    show(
        View(
            span=before.span,
            first=before.first,
            last=before.last,
            everybody=state.widget_value(state.metrics_key("who")) == "all",
            models=tuple(state.widget_value(state.metrics_key("models")) or ()),
            sources=tuple(state.widget_value(state.metrics_key("sources")) or ()),
            statuses=tuple(state.widget_value(state.metrics_key("statuses")) or ()),
            params=tuple(params),
            experiment_id=state.widget_value(state.metrics_key("experiment")),
        )
    )


def _clear() -> None:
    before = current()
    show(View(span=before.span, first=before.first, last=before.last, everybody=before.everybody))


def _narrowed(view: View) -> int:
    return sum(map(bool, (view.models, view.sources, view.statuses, view.params, view.experiment_id)))


def _with_chosen(known: tuple[T, ...], chosen: tuple[T, ...]) -> list[T]:
    """What can be chosen, and what an address chose although it does not occur in the range."""
    return [*known, *(item for item in chosen if item not in known)]
