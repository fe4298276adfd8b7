"""What the buttons of the chat page do. Each is a callback: it acts at once, before anything is drawn again.

Errors end here: they become the notice at the input, and what a person typed goes back where it was typed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import streamlit as st

from chatplay.auth import gate
from chatplay.catalog import ModelInfo
from chatplay.conversation import ChatView, MessageRecord, OverflowPolicy
from chatplay.errors import BadInput, ChatplayError, NotFound
from chatplay.params import Params
from chatplay.runtime import get_runtime
from chatplay.ui import params_panel, state
from chatplay.ui.state import ChatState, Notice

TURN_SLOTS = 4  # turns drawn one by one before the page is drawn as a whole again


SELECTOR, BEGUN = "chat_selector", "chat_begun"  # fragments that a chat's first message changes too
BANNER = "chat_model_banner"  # drawn after each message, to begin its timer anew


def turn_key(slot: int) -> str:
    """The fragment that draws the turn at `slot`."""
    return f"chat_turn_{slot}"


def _action(act: Callable[..., None]) -> Callable[..., None]:
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


# ---- sending -----------------------------------------------------------------------------------


def send() -> list[str]:
    """Sends what stands in the input; the fragments to draw, none when the whole page is to be drawn."""
    page, text = state.chat(), str(state.widget_value(state.COMPOSER) or "")
    if not gate.still_signed_in():
        page.give_back = text
        return []
    had_notice, page.notice = page.notice is not None, None
    try:
        turn = get_runtime().chats.send(
            **_me(), chat_id=_chat_id(page), text=text, params=current_params(page), request_key=page.request_key
        )
    except ChatplayError as error:
        page.notice, page.give_back = Notice.of(error), text if text.strip() else None
        if isinstance(error, NotFound):
            _leave_lost_chat(page)
        return []
    page.request_key = uuid4()
    cut_short = running_generation(page) is not None  # the drawing of an answer that had just ended
    page.turns.append(turn)
    if had_notice or cut_short or len(page.turns) > TURN_SLOTS:
        return []
    begins = len(page.turns) == 1 and (page.view is None or not page.view.messages)
    # Lock and history row before the turn: drawing that one lasts as long as its answer comes.
    return [*([SELECTOR, BEGUN] if begins else []), turn_key(len(page.turns) - 1), BANNER]


@_action
def resend(message: MessageRecord, key: str) -> None:
    """Sends another wording of an earlier prompt; a refused one stays in its field."""
    page = state.chat()
    if page.editing != message.id:
        return
    get_runtime().chats.edit(
        **_me(),
        chat_id=message.session_id,
        message_id=message.id,
        text=str(state.widget_value(key) or ""),
        params=current_params(page),
        request_key=_key_for(message),
    )
    page.editing, page.notice = None, None


@_action
def next_step(name: str, message: MessageRecord, prompt: MessageRecord | None) -> None:
    """The button under a failed answer."""
    if name == "regenerate":
        _regenerate(message)
    elif name == "other_model":
        state.chat().dialog = ("other_model", prompt or message)
    elif name == "shorten" and prompt is not None:
        state.chat().editing = prompt.id


@_action
def from_menu(message: MessageRecord, key: str) -> None:
    """What was chosen in a message's menu."""
    page, choice = state.chat(), state.widget_value(key)
    if choice == "copy":
        page.copy = message.content
    elif choice == "edit":
        page.editing = message.id
    elif choice == "regenerate":
        _regenerate(message)
    elif choice == "branch":
        _show(get_runtime().chats.continue_in_new(**_me(), chat_id=message.session_id, upto_message_id=message.id))


@_action
def edit(message_id: int | None) -> None:
    """Opens the field to word a prompt anew; None closes it."""
    state.chat().editing = message_id


@_action
def stop() -> None:
    """Ends the answer that is coming; its text so far stays."""
    running = running_generation(state.chat())
    if running is not None:
        get_runtime().chats.stop(user_id=state.person().id, generation_id=running)


@_action
def show_variant(message_id: int) -> None:
    """Puts an earlier or later version of a message on show."""
    chat_id = _chat_id(state.chat())
    get_runtime().chats.show_variant(user_id=state.person().id, chat_id=chat_id, message_id=message_id)


def _regenerate(message: MessageRecord) -> None:
    page = state.chat()
    get_runtime().chats.regenerate(
        **_me(),
        chat_id=message.session_id,
        message_id=message.id,
        params=current_params(page),
        request_key=_key_for(message),
    )
    page.notice = None


def _key_for(message: MessageRecord) -> UUID:
    """The same for two clicks on what is on show, so that they begin one turn."""
    return uuid5(NAMESPACE_OID, f"{message.session_id}/{message.id}/{message.variants}/{message.status}")


# ---- chats -------------------------------------------------------------------------------------


@_action
def new_chat() -> None:
    """The person's empty chat, ready to type."""
    _show(get_runtime().chats.new_chat(**_me()))
    state.chat().focus = True


@_action
def open_chat(chat_id: UUID) -> None:
    """Another chat of the history."""
    page = state.chat()
    _remember_params(page)
    page.open(chat_id)
    page.notice = None


@_action
def choose_model(models: tuple[ModelInfo, ...]) -> None:
    """The model of a chat that has not begun."""
    page, name = state.chat(), state.widget_value(state.MODEL)
    model = next((info for info in models if model_id(info) == name), None)
    if model is not None:
        get_runtime().chats.choose_model(**_me(), chat_id=_chat_id(page), model=model)


@_action
def show_older() -> None:
    """Loads the page of messages before the earliest on show."""
    page = state.chat()
    earliest = (page.older or list(page.view.messages if page.view else ()))[:1]
    if not earliest:
        return
    older, page.has_older = get_runtime().chats.older_messages(
        user_id=state.person().id, chat_id=_chat_id(page), before=earliest[0]
    )
    page.older = [*older, *page.older]


@_action
def more_chats() -> None:
    """A longer history."""
    state.chat().more_chats += 1


@_action
def ask(dialog: str, about: object = None) -> None:
    """Opens a dialog."""
    state.chat().dialog = (dialog, about)


@_action
def close_dialog() -> None:
    """Only draws the page anew."""


@_action
def chat_menu(chat_id: UUID, title: str, key: str) -> None:
    """What was chosen in a chat's menu."""
    state.chat().dialog = (str(state.widget_value(key)), (chat_id, title))


@_action
def rename(chat_id: UUID, key: str) -> None:
    get_runtime().chats.rename(user_id=state.person().id, chat_id=chat_id, title=str(state.widget_value(key) or ""))


@_action
def delete(chat_id: UUID) -> None:
    get_runtime().chats.delete(user_id=state.person().id, chat_id=chat_id)
    if state.chat().chat_id == chat_id:
        _show(get_runtime().chats.new_chat(**_me()))


@_action
def delete_all() -> None:
    get_runtime().chats.delete_all(user_id=state.person().id)
    _show(get_runtime().chats.new_chat(**_me()))


@_action
def clear_chat() -> None:
    _show(get_runtime().chats.end_chat(**_me(), chat_id=_chat_id(state.chat())))
    state.chat().focus = True


@_action
def continue_with(key: str, models: tuple[ModelInfo, ...], failed: MessageRecord | None) -> None:
    """The thread in a new chat with another model; the prompt of a failed answer goes back into the input."""
    page, name, chats = state.chat(), state.widget_value(key), get_runtime().chats
    model = next(info for info in models if model_id(info) == name)
    chat_id = _chat_id(page)
    if failed is None or failed.role != "user":
        _show(chats.continue_in_new(**_me(), chat_id=chat_id, model=model))
        return
    if failed.parent_id is not None:
        _show(chats.continue_in_new(**_me(), chat_id=chat_id, model=model, upto_message_id=failed.parent_id))
    else:
        fresh = chats.new_chat(**_me())
        chats.choose_model(**_me(), chat_id=fresh.chat.id, model=model)
        _show(fresh)
    page.give_back, page.focus = failed.content, True


@_action
def set_overflow(policy: OverflowPolicy) -> None:
    """What happens in this chat when the context is full."""
    chat_id = _chat_id(state.chat())
    get_runtime().chats.set_overflow(user_id=state.person().id, chat_id=chat_id, policy=policy)


@_action
def toggle_overflow(key: str) -> None:
    """The box in the settings."""
    policy: OverflowPolicy = "drop_oldest" if state.widget_value(key) else "hold_back"
    get_runtime().chats.set_overflow(user_id=state.person().id, chat_id=_chat_id(state.chat()), policy=policy)


@_action
def use_example(text: str) -> None:
    """An example prompt, into the input to be read before it is sent."""
    state.chat().give_back = text
    state.chat().focus = True


@_action
def focus_input() -> None:
    state.chat().focus = True


# ---- shared ------------------------------------------------------------------------------------


def current_params(page: ChatState) -> Params:
    """The settings on the page, in the ranges of the chat's model."""
    model = model_of(page.view) if page.view else None
    return params_panel.current(page.view.chat.params if page.view else Params(), model.ranges if model else {})


def model_of(view: ChatView) -> ModelInfo | None:
    """The chat's model; None while it is not running."""
    try:
        return get_runtime().catalog.get(view.chat.model_name, role=state.person().role, upstream=view.chat.upstream)
    except (NotFound, BadInput):
        return None


def model_id(model: ModelInfo) -> str:
    """Name and upstream: two upstreams may serve the same name."""
    return f"{model.name} · {model.upstream}"


def running_generation(page: ChatState) -> UUID | None:
    """The generation the page is following, as far as it knows."""
    for turn in reversed(page.turns):
        if turn.assistant_message.id not in page.answers:
            return turn.generation_id
    return None


def _me() -> dict[str, Any]:
    person = state.person()
    return {"user_id": person.id, "role": person.role}


def _chat_id(page: ChatState) -> UUID:
    if page.chat_id is None:
        raise NotFound("No chat is open.", cure="Open a chat on the left or begin a new one.")
    return page.chat_id


def _show(view: ChatView) -> None:
    page = state.chat()
    page.open(view.chat.id)
    page.notice = None


def _leave_lost_chat(page: ChatState) -> None:
    """The chat was deleted elsewhere: go on in a fresh one, with the text that could not be sent."""
    page.notice = Notice(
        "This chat was deleted in another tab or browser.",
        "Here is a fresh one; your text is in the input.",
        kind="warning",
    )
    page.open(get_runtime().chats.new_chat(**_me()).chat.id)


def _remember_params(page: ChatState) -> None:
    """Settings that were changed without sending stay with their chat."""
    if page.view is None or page.chat_id is None:
        return
    params = current_params(page)
    if params != page.view.chat.params:
        get_runtime().chats.remember_params(user_id=state.person().id, chat_id=page.chat_id, params=params)
