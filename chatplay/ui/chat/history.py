"""The left column of the chat page: the person's chats by day, the one touched last on top."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from chatplay.chats.values import ChatView, title_from
from chatplay.errors import StoreError
from chatplay.runtime import get_runtime
from chatplay.ui import format, state
from chatplay.ui.chat import actions as chat_actions
from chatplay.ui.history_rows import Rows, day_of
from chatplay.ui.markdown import plain_markdown
from db.chats import ChatSummary

_PAGE_CHATS = 20
_ROWS = Rows("chat", chat_actions.open_chat, chat_actions.chat_menu)


@dataclass(frozen=True)
class Top:
    """What stands above the list: `head`; or, under today's name, the row of a chat whose first message was just sent,
    until the list is read again.
    """

    place: DeltaGenerator
    head: str
    today: str

    def draw(self) -> None:
        """Called by the turns of a chat that has not begun, before the first and with it; else with the list."""
        page = state.chat()
        if page.view is None or page.view.messages or not page.turns:
            if self.head:
                self.place.caption(self.head)
            else:
                self.place.empty()  # in the place of a chat that is now in the list, and of its day
            return
        chat, title = page.view.chat, title_from(page.turns[0].user_message.content)
        begun = ChatSummary(chat.id, title, chat.model_name, format.now_utc(), streaming=False)
        with self.place.container(gap="xsmall"):
            st.caption(self.today)
            _ROWS.draw_row(begun, is_current=True)


def draw(view: ChatView) -> Top:
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
        place, today = st.empty(), day_of(format.now_utc())
        try:
            head = _draw_list(search or "", view.chat.id, today)
        except StoreError as error:
            head = f"The history cannot be read. {plain_markdown(error.message)}"
        top = Top(place, head, today)
        if view.messages:
            top.draw()
        return top


def _draw_list(search: str, current: UUID | None, today: str) -> str:
    """Returns what to say above it: the name of its first day when that is `today`, or why there is no chat to list."""
    limit = _PAGE_CHATS * state.chat().more_chats
    chats = get_runtime().chats.list_chats(user_id=state.person().id, search=search, limit=limit + 1)
    if not chats:
        return "No chat holds these words. Try fewer or others." if search else "Your chats will be listed here."
    _ROWS.draw(chats[:limit], current, named=today)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        if len(chats) > limit:
            st.button("Show more", key="chat_more", type="tertiary", on_click=chat_actions.more_chats)
        if not search:  # under what was found it would seem to clear that alone
            st.button("Clear All", key="chat_clear_all", type="tertiary", on_click=chat_actions.ask_to_clear_all)
    return today if day_of(chats[0].updated_at) == today else ""
