"""The left column of the chat page: the person's chats by day, the one touched last on top."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from chatplay.chats.values import title_from
from chatplay.errors import StoreError
from chatplay.runtime import get_runtime
from chatplay.ui import format, state
from chatplay.ui.chat import actions as chat_actions
from chatplay.ui.chat import turn_actions
from chatplay.ui.history_rows import Rows
from chatplay.ui.markdown import plain_markdown
from db.chats import ChatSummary

_PAGE_CHATS = 20
_ROWS = Rows("chat", chat_actions.open_chat, chat_actions.chat_menu)


def draw(current: UUID | None) -> None:
    """Title, "+ New Chat", search, the list, "Clear All"."""
    with st.sidebar, st.container(key="chat_history", gap="xsmall"):
        st.markdown("**Chat History**")
        st.button(
            "\\+ New Chat",
            key="chat_new",
            width="stretch",
            type="primary",
            shortcut="Alt+Shift+N",
            on_click=chat_actions.new_chat,
        )
        search = st.text_input(
            "Search chats",
            key=state.SEARCH,
            type="search",
            placeholder="Search",
            label_visibility="collapsed",
            live="300ms",
        )
        begun = st.container()
        try:
            hint = _draw_list(search or "", current)
        except StoreError as error:
            hint = f"The history cannot be read. {plain_markdown(error.message)}"
        with begun:
            _draw_begun(hint)


@st.fragment(key=turn_actions.BEGUN)
def _draw_begun(hint: str) -> None:
    """The row of a chat whose first message was just sent, until the list is read again; else the hint."""
    page = state.chat()
    if page.view is None or page.view.messages or not page.turns:
        if hint:
            st.caption(hint)
        else:
            st.empty()  # puts away the row of a chat that is now in the list
        return
    chat, title = page.view.chat, title_from(page.turns[0].user_message.content)
    begun = ChatSummary(chat.id, title, chat.model_name, format.now_utc(), streaming=False)
    _ROWS.draw_row(begun, is_current=True)


def _draw_list(search: str, current: UUID | None) -> str:
    """Returns what to say when there is no chat to list."""
    limit = _PAGE_CHATS * state.chat().more_chats
    chats = get_runtime().chats.list_chats(user_id=state.person().id, search=search, limit=limit + 1)
    if not chats:
        return "No chat holds these words. Try fewer or others." if search else "Your chats will be listed here."
    _ROWS.draw(chats[:limit], current)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        if len(chats) > limit:
            st.button("Show more", key="chat_more", type="tertiary", on_click=chat_actions.more_chats)
        st.button("Clear All", key="chat_clear_all", type="tertiary", on_click=chat_actions.ask, args=("clear_all",))
    return ""
