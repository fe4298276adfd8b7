"""Which chat the page shows: the one in the address, else the one of this tab, else the one touched last."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import streamlit as st

from chatplay.chats.values import ChatView, MessageRecord
from chatplay.errors import BadInput, Conflict, NotFound
from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.chat.turns import running_turn
from chatplay.ui.state import ChatState, Notice

_PARAM = "chat"


def open_view(page: ChatState) -> ChatView:
    """The chat to show, read anew; the address says which from now on."""
    wanted = _wanted(page)
    if wanted != page.chat_id:
        page.open(wanted)
    person, chats = state.person(), get_runtime().chats
    try:
        view = chats.open_chat(user_id=person.id, role=person.role, chat_id=page.chat_id)
    except NotFound:
        page.notice = _not_found(was_open=page.view is not None)
        page.open(None)
        view = chats.new_chat(user_id=person.id, role=person.role)
    view = _with_running_model(page, _with_provider(page, view))
    _remember(page, view)
    return view


def _wanted(page: ChatState) -> UUID | None:
    """The id in the address wins when it changed; what is no id is as missing as what is not mine."""
    text = st.query_params.get(_PARAM)
    if text is None or text == page.address:
        return page.chat_id
    page.address = text
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)  # no chat has it


def _not_found(*, was_open: bool) -> Notice:
    if was_open:
        return Notice("This chat was deleted in another tab or browser.", "Here is a fresh one.", kind="warning")
    return Notice("There is no such chat.", "It was deleted, or the address is not one of yours.", kind="warning")


def _remember(page: ChatState, view: ChatView) -> None:
    turn = running_turn(view)
    was_coming = page.view is not None and page.view.elsewhere is not None
    if was_coming and view.elsewhere is None and turn is None and page.notice is not None and page.notice.passes:
        page.notice = None
    if page.view is None:
        page.focus = page.focus or "gently"
    page.chat_id, page.view, page.is_fresh = view.chat.id, view, True
    page.turns, page.answers = ([turn] if turn else []), {}
    _keep_older(page, view)
    # An empty chat has no address of its own: a new tab gets the same one anyway.
    page.address = str(view.chat.id)
    if st.query_params.get(_PARAM) != page.address:
        st.query_params[_PARAM] = page.address


def _keep_older(page: ChatState, view: ChatView) -> None:
    """The earlier messages that were asked for stand right above the last ones, also after the thread went on or
    another version of it was put on show.
    """
    if not page.older:
        page.has_older = view.has_older
    elif not view.messages:
        page.older, page.has_older = [], False
    elif view.messages[0].parent_id != page.older[-1].id:
        between, _ = _before(view, limit=len(view.messages))
        met = next((place for place, message in enumerate(between) if message.id == page.older[-1].id), None)
        if met is not None:  # the thread went on
            page.older = [*page.older, *between[met + 1 :]]
        else:
            page.older, page.has_older = _before(view, limit=len(page.older))


def _before(view: ChatView, *, limit: int) -> tuple[list[MessageRecord], bool]:
    return get_runtime().chats.older_messages(
        user_id=state.person().id, chat_id=view.chat.id, before=view.messages[0], limit=limit
    )


def _with_running_model(page: ChatState, view: ChatView) -> ChatView:
    """A chat that has not begun is shown with a model that runs, and says so. Its own stays stored until a message is
    sent: it may be back before.
    """
    runtime, own, missed = get_runtime(), (view.chat.model_name, view.chat.upstream), page.stood_in_for
    page.stood_in_for = None
    if view.chat.locked_at is not None:
        return view
    running = runtime.catalog.list_running(state.person().role)
    if not running or own in [(info.name, info.upstream) for info in running]:
        if running and own == missed:
            page.notice = Notice(f"{own[0]} runs again.", "This chat begins with it.", kind="info")
        return view
    page.stood_in_for, other = own, runtime.catalog.default(state.person().role)
    if own != missed:
        page.notice = Notice(
            f"{own[0]} does not run at the moment.",
            f"This chat begins with {other.name} unless {own[0]} is back before, or you choose another model.",
            kind="info",
        )
    return replace(view, chat=runtime.chat_log.shown_with(view.chat, other))


def _with_provider(page: ChatState, view: ChatView) -> ChatView:
    """`?provider=` for development: the new chat begins with that provider's first model."""
    name = st.query_params.get("provider")
    runtime, person = get_runtime(), state.person()
    if name is None or view.chat.locked_at is not None:
        return view
    try:
        model = runtime.catalog.override(name, dev=runtime.settings.dev, role=person.role)
    except BadInput as error:
        page.notice = Notice.of(error)
        return view
    if model is None or (model.name, model.upstream) == (view.chat.model_name, view.chat.upstream):
        return view
    try:
        runtime.chats.choose_model(user_id=person.id, role=person.role, chat_id=view.chat.id, model=model)
    except Conflict:
        return view
    return runtime.chats.open_chat(user_id=person.id, role=person.role, chat_id=view.chat.id)
