"""The foot of the chat: notices, how full the context is, Stop, and the input."""

from __future__ import annotations

import streamlit as st

from chatplay.chats.values import ChatView, Coming
from chatplay.errors import ChatplayError
from chatplay.models.catalog import ModelInfo
from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.chat import actions as chat_actions
from chatplay.ui.chat import meter, model_banner, turn_actions
from chatplay.ui.chat.callbacks import own_chat_id
from chatplay.ui.chat.header import Place
from chatplay.ui.markdown import plain_markdown
from chatplay.ui.scripts import copy_html, draft_html, focus_field_html, focus_html, meter_html, place_html

_ELSEWHERE = "An answer is coming in another version of this chat."
_ELSEWHERE_SEC = 1.0
_TOGETHER_SEC = 0.03  # a first token that comes so soon is drawn with its prompt
_SYMBOLS = {"error": ":material/error:", "warning": ":material/warning:", "info": ":material/info:"}


def draw(view: ChatView | None, model: ModelInfo | None) -> Place:
    """The foot but for the input, which is drawn last; returns the place of the context line.

    It has the same place without a `view`, and so has the input: what is sent from one page may arrive at the other.
    """
    page = state.chat()
    with st.bottom, st.container(key="chat_foot", gap="xsmall"):
        if view is not None:
            model_banner.draw(view)
        with st.empty():  # the elements below keep their places when it comes and goes
            if page.notice is not None:
                _draw_notice(page.notice)
        with st.empty():
            if view is not None and view.elsewhere is not None:
                with st.container():
                    _draw_elsewhere(view.elsewhere)
        with st.container(key="chat_foot_line", horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            context = st.empty()
            st.button(
                "Stop",
                key="chat_stop",
                type="secondary",
                icon=":material/stop:",
                shortcut="Esc",
                on_click=turn_actions.stop,
            )
            _draw_tools(view)
        _draw_ways_out()
    if page.give_back is not None:
        state.set_widget_value(state.COMPOSER, page.give_back)
        page.give_back = None
    _run_scripts()
    return context


def draw_input(disabled: bool) -> None:
    """The field a message is typed in."""
    page = state.chat()
    text = st.chat_input("Type a message...", key=state.COMPOSER, on_submit=_send, disabled=disabled)
    if text and not page.took_input:
        turn_actions.send()
        st.rerun()
    page.took_input = False


def _send() -> None:
    """Not called in the first run after the app restarted or forgot an idle tab; the text arrives all the same."""
    state.chat().took_input = True
    if not turn_actions.send():
        st.rerun()
    turn_actions.await_first_token(_TOGETHER_SEC)


@st.fragment(run_every=_ELSEWHERE_SEC)
def _draw_elsewhere(coming: Coming) -> None:
    """What is coming where nobody sees it keeps the chat from being sent anything; the page notices its end."""
    page = state.chat()
    if not page.is_asking and not _is_coming(page, coming):
        st.rerun()
    with st.container(key="chat_elsewhere", horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_ELSEWHERE, width="content")
        st.button(
            "Show it",
            key="chat_elsewhere_show",
            type="tertiary",
            on_click=turn_actions.show_variant,
            args=(coming.message_id,),
        )


def _is_coming(page: state.ChatState, coming: Coming) -> bool:
    try:
        found = get_runtime().chat_log.find_coming(user_id=state.person().id, chat_id=own_chat_id(page))
    except ChatplayError:
        return True  # that is told elsewhere
    return found == coming and page.end_id != coming.message_id


def draw_context(place: Place, view: ChatView, *, status: str = "") -> None:
    """`Context: 1,234 / 32,768 tokens` and a thin bar: amber from 80 %, red when full.

    `status` is read out politely by screen readers; while there is one, the stylesheet shows Stop and the browser
    adds the tokens of the answer so far, which the performance line brings.
    """
    if not status and view.elsewhere is not None and not state.chat().turns:
        status = _ELSEWHERE
    place.html(meter.context_html(meter.current_use(view), status=status))


def _draw_ways_out() -> None:
    """Shown by the stylesheet while the message does not fit; the browser knows that before we do."""
    with st.container(key="chat_ways", horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("This does not fit the model's context window. Shorten the message or lower Max tokens.")
        st.button("Begin a new chat", key="chat_ways_new", type="tertiary", on_click=chat_actions.new_chat)
        st.button(
            "Leave out the oldest turns",
            key="chat_ways_drop",
            type="tertiary",
            on_click=chat_actions.set_overflow,
            args=("drop_oldest",),
        )


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
            on_click=chat_actions.ask,
            args=("clear_chat",),
        )
        st.button(
            "Keyboard shortcuts",
            key="chat_icon_keys",
            type="tertiary",
            icon=":material/keyboard:",
            on_click=chat_actions.ask,
            args=("shortcuts",),
        )
        # Shown to the keyboard only.
        st.button("Focus the input", key="chat_focus", shortcut="Alt+Shift+M", on_click=chat_actions.focus_input)


def _run_scripts() -> None:
    page = state.chat()
    st.html(meter_html() + place_html() + draft_html(), unsafe_allow_javascript=True)
    if page.copy is not None:
        st.html(copy_html(page.copy), unsafe_allow_javascript=True)
        st.toast("Copied.", icon=":material/check:")
        page.copy = None
    if page.focus_field is not None:
        st.html(focus_field_html(page.focus_field), unsafe_allow_javascript=True)
    elif page.focus:
        st.html(focus_html(gently=page.focus == "gently"), unsafe_allow_javascript=True)
    page.focus, page.focus_field = "", None
