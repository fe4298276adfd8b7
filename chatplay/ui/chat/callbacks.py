"""What the callbacks of the chat page share: who acts, in which chat, with which settings and model.

Errors end here: they become the notice at the input.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any
from uuid import UUID

import streamlit as st

from chatplay.chats.values import ChatView
from chatplay.errors import BadInput, ChatplayError, NotFound, StoreError
from chatplay.models.catalog import ModelInfo
from chatplay.params import Params
from chatplay.runtime import get_runtime
from chatplay.ui import gate, params_panel, state
from chatplay.ui.state import ChatState, Notice


def action(act: Callable[..., None]) -> Callable[..., None]:
    """A callback: nothing for who is signed out, an error becomes a notice, and the whole page is drawn after."""

    @wraps(act)
    def callback(*args: Any) -> None:
        if gate.still_signed_in():
            try:
                act(*args)
            except ChatplayError as error:
                state.chat().notice = Notice.of(error)
        st.rerun()

    return callback


def current_params(page: ChatState) -> Params:
    """The settings on the page, in the ranges of the chat's model."""
    if page.view is None:
        return Params()
    model = model_of(page.view)
    return params_panel.current(page.view.chat, model.ranges if model else {})


def model_of(view: ChatView) -> ModelInfo | None:
    """The chat's model; None while it is not running."""
    try:
        return get_runtime().catalog.get(view.chat.model_name, role=state.person().role, upstream=view.chat.upstream)
    except (NotFound, BadInput):
        return None


def running_generation(page: ChatState) -> UUID | None:
    """The generation that is coming in the chat, as far as the page knows: followed, or in another version."""
    for turn in reversed(page.turns):
        if turn.assistant_message.id not in page.answers:
            return turn.generation_id
    return page.view.elsewhere.generation_id if page.view is not None and page.view.elsewhere is not None else None


def own_chat_id(page: ChatState) -> UUID:
    if page.chat_id is None:
        raise NotFound("No chat is open.", cure="Open a chat on the left or begin a new one.")
    return page.chat_id


def remember_params(page: ChatState) -> None:
    """Settings that were changed without sending stay with their chat, and are the person's next ones. Called every few
    seconds, and before the chat is left.

    What differs from the database may be another tab's change; so the tab compares with what it saw itself.
    """
    if page.view is None or page.chat_id is None:
        return
    with suppress(BadInput, NotFound, StoreError):  # what the model does not take; a chat that is gone; the next time
        whose, params = page.params_of, current_params(page)
        if page.seen_params is not None and page.seen_params[0] == whose and page.seen_params[1] != params:
            get_runtime().chats.remember_params(user_id=state.person().id, chat_id=page.chat_id, params=params)
        page.seen_params = (whose, params)


def show(view: ChatView) -> None:
    """Turns the page to this chat."""
    page = state.chat()
    page.open(view.chat.id)
    page.notice = None
