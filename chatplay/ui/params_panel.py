"""The sampling parameters as widgets, drawn from the one table with the ranges of the chat's model.

Changing one runs nothing: the values travel with the next message, so a running answer is not disturbed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import streamlit as st

from chatplay import params as parameters
from chatplay.chats.values import ChatRecord
from chatplay.models.catalog import ModelInfo
from chatplay.params import SPECS, Params, Ranges, Spec
from chatplay.ui import state

_SLIDER_STEPS = 2_000
BASIC = tuple(spec for spec in SPECS if spec.tier == "basic")  # always in sight


def fill(chat: ChatRecord, ranges: Ranges) -> None:
    """Puts the chat's remembered settings into the widgets, once for each chat and model."""
    page, mark = state.chat(), _mark(chat)
    if page.params_of == mark and state.param_key(SPECS[0].name) in st.session_state:
        return
    page.params_of = mark
    for name, value in shown(chat.params, ranges).items():
        state.set_widget_value(state.param_key(name), value)


def shown(stored: Params, ranges: Ranges) -> dict[str, Any]:
    """`stored` as the widgets take it, by name: in range, and with a value where they have no word for none."""
    needed = [spec for spec in SPECS if spec.unset_label is None and getattr(stored, spec.name) is None]
    filled = replace(stored, **{spec.name: spec.default for spec in needed})
    return parameters.to_json(parameters.clamp(filled, overrides=ranges))


def is_of(chat: ChatRecord) -> bool:
    """Whether the page was drawn for this chat and its model; a click may have changed either since."""
    return state.chat().params_of == _mark(chat)


def _mark(chat: ChatRecord) -> tuple[UUID, str, str]:
    return (chat.id, chat.model_name, chat.upstream)


def current(chat: ChatRecord, ranges: Ranges) -> Params:
    """What the widgets say now; what the chat remembers while they are another chat's or model's.

    Raises BadInput for a value the model does not take.
    """
    if not is_of(chat):
        return parameters.clamp(chat.params, overrides=ranges)
    keys = {spec.name: state.param_key(spec.name) for spec in SPECS}
    values = {name: state.widget_value(key) for name, key in keys.items() if key in st.session_state}
    values = {
        name: value or "" if parameters.get_spec(name).kind == "text" else value for name, value in values.items()
    }
    return parameters.parse(values, overrides=ranges, base=chat.params)


def draw_advanced(ranges: Ranges, model: ModelInfo | None, *, more: Callable[[], None]) -> None:
    """The rest, closed until wanted, and `more` below it.

    Its fields are drawn once it is open: the browser walks all elements of a page at each piece of an answer, and
    these are a third of them. Their values outlive being put away.
    """
    frame = st.expander("Advanced", icon=":material/tune:", key="chat_advanced", on_change="rerun")
    if not frame.open:
        return
    with frame:
        numbers = [spec for spec in SPECS if spec.tier == "advanced" and spec.kind in ("float", "int")]
        for pair in zip(numbers[::2], numbers[1::2], strict=False):
            for column, spec in zip(st.columns(2, gap="medium"), pair, strict=True):
                with column:
                    draw(spec, ranges, persist_state="page")
        for spec in SPECS:
            if spec.tier == "advanced" and spec.kind in ("list", "text"):
                draw(spec, ranges, disabled=_refused(spec, model), persist_state="page")
        more()


def _refused(spec: Spec, model: ModelInfo | None) -> bool:
    return spec.name == "system_prompt" and model is not None and not model.supports_system_prompt


def draw(spec: Spec, ranges: Ranges, *, disabled: bool = False, key: str = "", **more: Any) -> None:
    """One setting. Under the `key` of another place, `more` may say what happens when it is changed."""
    key = key or state.param_key(spec.name)
    common: dict[str, Any] = {"key": key, "help": spec.help, "on_change": "ignore", "disabled": disabled, **more}
    limits = parameters.range_of(spec, ranges)
    if spec.kind == "list":
        options = list(state.widget_value(key) or [])
        st.multiselect(
            spec.label, options, accept_new_options=True, max_selections=spec.max_items, placeholder="None", **common
        )
    elif spec.kind == "text":
        st.text_area(spec.label, max_chars=spec.max_chars, height=100, placeholder="None", **common)
    elif limits is None:
        st.number_input(spec.label, value=None, placeholder=spec.unset_label, **common)
    else:
        _draw_number(spec, limits, common)


def _draw_number(spec: Spec, limits: parameters.Range, common: dict[str, Any]) -> None:
    kind = int if spec.kind == "int" else float
    low, high, step = kind(limits.low), kind(limits.high), kind(spec.step or 1)
    steps = (high - low) / step if step else 0
    if spec.unset_label is not None or steps > _SLIDER_STEPS:
        st.number_input(
            spec.label, min_value=low, max_value=high, step=step, value=None, placeholder=spec.unset_label, **common
        )
    elif low == high:
        st.number_input(spec.label, min_value=low, max_value=high, **{**common, "disabled": True})
    else:
        # A model's own range may not be a whole number of steps long.
        st.slider(spec.label, min_value=low, max_value=high, step=step if steps >= 1 else None, **common)
