"""The top of the chat: which model answers, how fast it is, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import streamlit as st

from chatplay.chats.values import ChatView, MessageRecord
from chatplay.models.catalog import ModelInfo
from chatplay.runtime import get_runtime
from chatplay.ui import format, model_menu, params_panel, state
from chatplay.ui.chat import actions as chat_actions
from chatplay.ui.markdown import plain_markdown

Place = st.delta_generator.DeltaGenerator
_LOCK_REASON = (
    "A chat stays with the model it began with: another one has another context window, another tokenizer and "
    "other capabilities, so the figures and the context would no longer fit together."
)


@dataclass(frozen=True)
class Head:
    """The places of what changes in the head of the page, with what the selector offers."""

    performance: Place
    lock: Place
    selector: Place
    models: tuple[ModelInfo, ...]
    model: ModelInfo | None


def draw(view: ChatView, models: tuple[ModelInfo, ...], model: ModelInfo | None) -> Head:
    """Selector, performance line, parameters, lock. The selector of a chat that has not begun is left to the turns, of
    which the first locks it.
    """
    ranges = model.ranges if model else {}
    params_panel.fill(view.chat, ranges)
    with st.container(key="chat_header", gap="xsmall"):
        wide, rest = st.columns(2, gap="medium", vertical_alignment="bottom")
        selector = wide.empty()
        for column, spec in zip(rest.columns(len(params_panel.BASIC), wrap=False), params_panel.BASIC, strict=True):
            with column:
                params_panel.draw(spec, ranges)
        performance = st.empty()
    params_panel.draw_advanced(ranges, model, more=lambda: _draw_overflow(view))
    head = Head(performance, _draw_lock(view), selector, models, model)
    if view.messages:
        draw_selector(head, view)
    return head


def draw_performance(
    place: Place, tokens_per_second: float | None, ttft_ms: float | None, *, live_tokens: int = 0
) -> None:
    """The line `Performance: 32.5 tok/s | TTFT: 145ms`. `live_tokens`: of the answer so far, for the context line."""
    line = escape(format.performance(tokens_per_second, ttft_ms))
    place.html(f'<div class="chat-performance" data-live="{live_tokens}">{line}</div>')


def draw_selector(head: Head, view: ChatView) -> None:
    """Locked from the chat's first message on."""
    ids = [model_menu.model_id(info) for info in head.models]
    chosen = model_menu.model_id(head.model) if head.model else model_menu.model_id_of(view.chat)
    if chosen not in ids:
        ids.insert(0, chosen)
    state.set_widget_value(state.MODEL, chosen)
    head.selector.selectbox(
        "Model Selector",
        ids,
        key=state.MODEL,
        disabled=_is_locked(view),
        help=_LOCK_REASON,
        on_change=chat_actions.choose_model,
        args=(head.models,),
    )


def _is_locked(view: ChatView) -> bool:
    """From its first message on, also before that is drawn as part of the page."""
    return view.chat.locked_at is not None or bool(state.chat().turns)


def _draw_overflow(view: ChatView) -> None:
    drops = view.chat.overflow_policy == "drop_oldest"
    key = f"chat_overflow_{view.chat.id}_{drops}"  # another policy, set elsewhere, is another box
    st.checkbox(
        "Leave out the oldest turns when the context is full",
        value=drops,
        key=key,
        help="Otherwise a message that does not fit is held back. An answer says how much was left out of its prompt.",
        on_change=chat_actions.toggle_overflow,
        args=(key,),
    )


def _draw_lock(view: ChatView) -> Place:
    """The banner of a chat that has begun: the model stays, and why, and the way to another one.

    Returns the place of its words. As long as they are not there, the stylesheet hides the rest.
    """
    with st.container(key="chat_lock", horizontal=True, vertical_alignment="center", gap="small"):
        words = st.empty()
        st.button(
            "Continue in a new chat with another model",
            key="chat_other_model",
            type="tertiary",
            on_click=chat_actions.ask,
            args=("other_model",),
        )
    draw_lock_words(words, view)
    return words


def draw_lock_words(place: Place, view: ChatView) -> None:
    """Which model the chat stays with; nothing before its first message."""
    if not _is_locked(view):
        place.empty()
        return
    place.markdown(
        f":material/lock: Model locked: this chat stays with **{plain_markdown(view.chat.model_name)}**"
        f"{_at_server(view)}.",
        help=_LOCK_REASON,
        width="content",
    )


def _at_server(view: ChatView) -> str:
    """Named where there are several: they may serve models of one name."""
    several = len(get_runtime().catalog.upstreams) > 1
    return f" at **{plain_markdown(view.chat.upstream)}**" if several else ""


def last_figures(messages: tuple[MessageRecord, ...]) -> tuple[float | None, float | None]:
    """Speed and ttft of the last answer with figures."""
    metrics = next((message.metrics for message in reversed(messages) if message.metrics), None)
    return (metrics.tokens_per_second, metrics.ttft_ms) if metrics else (None, None)
