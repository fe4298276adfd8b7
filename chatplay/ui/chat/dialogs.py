"""The dialogs of the chat page. What cannot be undone asks first; each says what stays and what goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import streamlit as st

from chatplay.chats.values import MessageRecord
from chatplay.models.catalog import ModelInfo
from chatplay.runtime import get_runtime
from chatplay.ui import code_of_call, format, model_menu, state
from chatplay.ui.chat import actions as chat_actions
from chatplay.ui.markdown import plain_markdown
from chatplay.ui.people import app_url
from chatplay.ui.scripts import focus_field_html

_SHORTCUTS = (
    ("Send the message", "Enter"),
    ("New line", "Shift + Enter"),
    ("Stop the answer", "Esc"),
    ("Send a prompt worded anew", "Ctrl + Enter"),
    ("New chat", "Alt + Shift + N (Option on a Mac)"),
    ("Go to the input", "Alt + Shift + M (Option on a Mac)"),
)
_DESTROY = "chat_dialog_destroy"  # the stylesheet has buttons of such keys in red
_STAYS = "What the answers took stays in the metrics, without any text."


def draw(models: tuple[ModelInfo, ...]) -> bool:
    """The dialog that was asked for, if any; True when one is open now."""
    page = state.chat()
    if page.dialog is None:
        return False
    (name, about), page.dialog = page.dialog, None
    if name == "other_model":
        _other_model(models, about)
    else:
        _DIALOGS[name](about)
    return True


def _confirm(text: str, verb: str, act: Callable[..., None], *args: Any, key: str = "chat_dialog_yes") -> None:
    st.markdown(text)
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", key="chat_dialog_cancel", on_click=chat_actions.close_dialog)
        st.button(verb, key=key, type="primary", on_click=act, args=args)


@st.dialog("Clear this chat", on_dismiss="rerun")
def _clear_chat(_about: object) -> None:
    _confirm("A fresh chat begins. This one ends and stays in your history.", "Clear chat", chat_actions.clear_chat)


@st.dialog("Clear all chats", on_dismiss="rerun")
def _clear_all(chats: int) -> None:
    _confirm(
        f"All your chats are deleted with their messages. This cannot be undone. {_STAYS}",
        f"Delete {format.many(chats, 'chat')}",
        chat_actions.delete_all,
        key=_DESTROY,
    )


@st.dialog("Delete this chat", on_dismiss="rerun")
def _delete(about: tuple[UUID, str]) -> None:
    _confirm(
        f"**{plain_markdown(about[1])}** is deleted with its messages. This cannot be undone. {_STAYS}",
        "Delete chat",
        chat_actions.delete,
        about[0],
        key=_DESTROY,
    )


@st.dialog("Rename this chat", on_dismiss="rerun")
def _rename(about: tuple[UUID, str]) -> None:
    key = f"chat_title_{about[0]}"
    with st.form("chat_rename", border=False, enter_to_submit=True):
        st.text_input("Title", about[1], key=key, max_chars=200)
        # Enter presses the first button, which the stylesheet puts last.
        with st.container(key="chat_rename_buttons", horizontal=True):
            st.form_submit_button(
                "Rename", key="chat_dialog_yes", type="primary", on_click=chat_actions.rename, args=(about[0], key)
            )
            st.form_submit_button("Cancel", key="chat_dialog_cancel", on_click=chat_actions.close_dialog)
    st.html(focus_field_html(key), unsafe_allow_javascript=True)


@st.dialog("Continue with another model", on_dismiss="rerun")
def _other_model(models: tuple[ModelInfo, ...], failed: MessageRecord | None) -> None:
    st.markdown("The messages are copied into a new chat. This chat stays as it is.")
    key, page = "chat_other_model_choice", state.chat()
    ids = [model_menu.model_id(model) for model in models]
    current = model_menu.model_id_of(page.view.chat) if page.view else ""
    other = next((number for number, one in enumerate(ids) if one != current), 0)
    st.selectbox("Model", ids, index=other, key=key, on_change="ignore")
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", key="chat_dialog_cancel", on_click=chat_actions.close_dialog)
        st.button(
            "Continue in a new chat",
            key="chat_dialog_yes",
            type="primary",
            on_click=chat_actions.continue_with,
            args=(key, models, failed),
        )


@st.dialog("Get code", width="large", on_dismiss="rerun")
def _code(answer: MessageRecord) -> None:
    code_of_call.draw(
        lambda language: get_runtime().chats.get_code(
            **state.me(), app_url=app_url(), chat_id=answer.session_id, message_id=answer.id, language=language
        ),
        key="chat_code_language",
    )


@st.dialog("Keyboard shortcuts", on_dismiss="rerun")
def _shortcuts(_about: object) -> None:
    items = "".join(f"<dt>{what}</dt><dd><kbd>{keys}</kbd></dd>" for what, keys in _SHORTCUTS)
    st.html(f'<dl class="chat-details">{items}</dl>')


_DIALOGS: dict[str, Callable[[Any], None]] = {
    "clear_chat": _clear_chat,
    "clear_all": _clear_all,
    "code": _code,
    "delete": _delete,
    "rename": _rename,
    "shortcuts": _shortcuts,
}
