"""The foot of the chat: notices, how full the context is, Stop, and the input."""

from __future__ import annotations

import streamlit as st

from chatplay.catalog import ModelInfo
from chatplay.conversation import ChatView
from chatplay.ui import actions, format, state
from chatplay.ui.header import Place
from chatplay.ui.markdown import plain_markdown
from chatplay.ui.scripts import copy_html, focus_html, whole_characters_html

_SYMBOLS = {"error": ":material/error:", "warning": ":material/warning:", "info": ":material/info:"}
_FULL, _NEARLY_FULL = 1.0, 0.8


def draw(view: ChatView | None, model: ModelInfo | None, *, disabled: bool = False) -> Place:
    """The foot; returns the place of the context line.

    Call it outside all containers: only then the page scrolls along with an answer.
    """
    page = state.chat()
    with st.bottom, st.container(key="chat_foot", gap="xsmall"):
        if page.notice is not None:
            _draw_notice(page.notice)
        with st.container(key="chat_foot_line", horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            context = st.empty()
            st.button(
                "Stop", key="chat_stop", type="secondary", icon=":material/stop:", shortcut="Esc", on_click=actions.stop
            )
            _draw_tools(view)
    if page.give_back is not None:
        state.set_widget_value(state.COMPOSER, page.give_back)
        page.give_back = None
    text = st.chat_input("Type a message...", key=state.COMPOSER, on_submit=_send, disabled=disabled)
    if text and not page.took_input:
        actions.send()
        st.rerun()
    page.took_input = False
    _run_scripts()
    return context


def _send() -> None:
    """Not called in the first run after the app restarted or forgot an idle tab; the text arrives all the same."""
    state.chat().took_input = True
    if fragments := actions.send():
        st.rerun(fragments)


def draw_context(place: Place, view: ChatView, model: ModelInfo | None, *, status: str = "") -> None:
    """`Context: 1,234 / 32,768 tokens` and a thin bar: amber from 80 %, red when full.

    `status` is read out politely by screen readers; while there is one, the stylesheet shows Stop.
    """
    used, window = _used_tokens(view), model.context_tokens if model else None
    share = min(used / window, _FULL) if window else 0.0
    level = "full" if share >= _FULL else "nearly" if share >= _NEARLY_FULL else "free"
    place.html(
        f'<div class="chat-context chat-{level}{" chat-running" if status else ""}">'
        f'<span class="chat-unseen" role="status">{status}</span><span>{format.context(used, window)}</span>'
        f'<div class="chat-bar" role="meter" aria-label="Context used" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{share * 100:.0f}"><i style="width:{share * 100:.1f}%"></i></div></div>'
    )


def _used_tokens(view: ChatView) -> int:
    """The whole thread: the last answer's usage covers all before it."""
    page = state.chat()
    for turn in reversed(page.turns):
        answer = page.answers.get(turn.assistant_message.id)
        if answer is not None and answer.metrics is not None and answer.metrics.prompt_tokens is not None:
            return answer.metrics.prompt_tokens + (answer.metrics.completion_tokens or 0)
    return view.history_tokens


def _draw_notice(notice: state.Notice) -> None:
    text = f"**{plain_markdown(notice.text)}** {plain_markdown(notice.cure)}"
    {"error": st.error, "warning": st.warning, "info": st.info}[notice.kind](text, icon=_SYMBOLS[notice.kind])


def _draw_tools(view: ChatView | None) -> None:
    with st.container(key="chat_tools", horizontal=True, gap="small", width="content"):
        st.button(
            "Clear chat",
            key="chat_clear",
            type="tertiary",
            icon=":material/clear_all:",
            disabled=view is None,
            on_click=actions.ask,
            args=("clear_chat",),
        )
        st.button(
            "Keyboard shortcuts",
            key="chat_icon_keys",
            type="tertiary",
            icon=":material/keyboard:",
            on_click=actions.ask,
            args=("shortcuts",),
        )
        # Shown to the keyboard only.
        st.button("Focus the input", key="chat_focus", shortcut="Mod+Shift+I", on_click=actions.focus_input)


def _run_scripts() -> None:
    page = state.chat()
    st.html(whole_characters_html(), unsafe_allow_javascript=True)
    if page.copy is not None:
        st.html(copy_html(page.copy), unsafe_allow_javascript=True)
        st.toast("Copied.", icon=":material/check:")
        page.copy = None
    if page.focus:
        st.html(focus_html(), unsafe_allow_javascript=True)
        page.focus = False
