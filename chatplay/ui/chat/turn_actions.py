"""What the buttons around a turn do: send, word anew, regenerate, stop, show another version.

Each is a callback: it acts at once, before anything is drawn again. What a person typed and could not send goes
back where it was typed.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

from chatplay.chats.values import MessageRecord
from chatplay.errors import ChatGone, ChatplayError, NotFound
from chatplay.params import Params
from chatplay.runtime import get_runtime
from chatplay.ui import gate, model_menu, params_panel, state
from chatplay.ui.chat.callbacks import (
    action,
    current_params,
    own_chat_id,
    remember_params,
    running_generation,
    show,
)
from chatplay.ui.state import ChatState, Notice

_STOP_SEC = 3.0
_MOST_TURNS = 4  # drawn with the input before the page is drawn as a whole again


def send() -> bool:
    """Sends what stands in the input; False when the whole page is to be drawn, not its turn alone."""
    page, text = state.chat(), str(state.widget_value(state.COMPOSER) or "")
    if not gate.still_signed_in():
        page.give_back = text
        return False
    had_notice, page.notice = page.notice is not None, None
    drawn = page.view
    try:
        _catch_up(page)
        turn = get_runtime().chats.send(
            **state.me(),
            chat_id=own_chat_id(page),
            text=text,
            params=current_params(page),
            request_key=page.request_key,
        )
    except ChatplayError as error:
        page.notice = Notice.of(error)
        if text.strip():
            page.give_back = text
            page.notice = replace(page.notice, cure=f"{error.cure} Your text is back in the input.".lstrip())
        if isinstance(error, ChatGone):
            _leave_lost_chat(page)
        return False
    page.request_key = uuid4()
    cut_short = running_generation(page) is not None  # what is drawn of an answer that had just ended
    went_on = turn.user_message.parent_id != page.end_id  # in another tab
    page.turns.append(turn)
    others_changed = had_notice or cut_short or went_on or page.view is not drawn
    return not others_changed and len(page.turns) <= _MOST_TURNS


def await_first_token(within_sec: float) -> None:
    """Of the turn that was just sent; or its end."""
    generation_id = state.chat().turns[-1].generation_id
    get_runtime().chats.has_begun(user_id=state.person().id, generation_id=generation_id, within_sec=within_sec)


def _catch_up(page: ChatState) -> None:
    """A message sent within milliseconds of a click cuts short what that click began: another chat may be open that
    was never drawn, and the model on show may be one that the chat was never given. Nor was it given a model that only
    stands in for one that does not run.
    """
    chats = get_runtime().chats
    if page.view is None or page.view.chat.id != page.chat_id:
        page.view = chats.open_chat(**state.me(), chat_id=own_chat_id(page))
    chat, shown = page.view.chat, state.widget_value(state.MODEL)
    if (
        chat.locked_at is not None
        or page.turns
        or not params_panel.is_of(chat)
        or (shown == model_menu.model_id_of(chat) and page.stood_in_for is None)
    ):
        return
    models = get_runtime().catalog.list_running(state.person().role)
    if (model := next((info for info in models if model_menu.model_id(info) == shown), None)) is not None:
        page.view = replace(page.view, chat=chats.choose_model(**state.me(), chat_id=chat.id, model=model))
        page.stood_in_for = None


@action
def resend(message: MessageRecord, key: str) -> None:
    """Sends another wording of an earlier prompt, in the middle of its answer too; a refused one stays in its field."""
    page = state.chat()
    if page.editing != message.id:
        return
    text, params = str(state.widget_value(key) or ""), current_params(page)
    try:
        _end_running(page)
        get_runtime().chats.edit(
            **state.me(),
            chat_id=message.session_id,
            message_id=message.id,
            text=text,
            params=params,
            request_key=_key_for(message, params, text),
        )
    except ChatGone:
        page.give_back = text
        _leave_lost_chat(page)
        return
    page.editing, page.notice, page.focus = None, None, "gently"


@action
def next_step(name: str, message: MessageRecord, prompt: MessageRecord | None) -> None:
    """The button under a failed answer."""
    if name == "regenerate":
        _regenerate(message)
    elif name == "other_model":
        state.chat().dialog = ("other_model", prompt or message)
    elif name == "shorten" and prompt is not None:
        _edit(prompt.id)


@action
def from_menu(message: MessageRecord, key: str) -> None:
    """What was chosen in a message's menu."""
    page, choice = state.chat(), state.widget_value(key)
    if choice == "copy":
        page.copy = message.content
    elif choice == "edit":
        _edit(message.id)
    elif choice == "regenerate":
        _regenerate(message)
    elif choice == "branch":
        remember_params(page)
        show(get_runtime().chats.continue_in_new(**state.me(), chat_id=message.session_id, upto_message_id=message.id))
    elif choice == "code":
        page.dialog = ("code", message)
    elif choice == "compare":
        remember_params(page)
        made = get_runtime().compare.from_chat(**state.me(), chat_id=message.session_id, message_id=message.id)
        state.compare().open(made)
        state.go_to("pages/compare.py")


@action
def cancel_edit() -> None:
    """Closes the field to word a prompt anew."""
    state.chat().editing, state.chat().focus = None, "gently"


def edit_key(message_id: int) -> str:
    """The field to word this prompt anew."""
    return f"chat_edit_{message_id}"


def _edit(message_id: int) -> None:
    state.chat().editing, state.chat().focus_field = message_id, edit_key(message_id)


@action
def stop() -> None:
    """Ends the answer that is coming; its text so far stays."""
    page = state.chat()
    running = page.stopped = running_generation(page)
    page.focus = "gently"
    if running is not None:
        get_runtime().chats.stop(user_id=state.person().id, generation_id=running)


def _end_running(page: ChatState) -> None:
    """Stops the answer that is coming, and waits a little for its end."""
    running, chats = running_generation(page), get_runtime().chats
    if running is None:
        return
    user_id, page.stopped = state.person().id, running
    patience = time.monotonic() + _STOP_SEC
    with contextlib.suppress(NotFound):  # gone with its chat
        chats.stop(user_id=user_id, generation_id=running)
        for update in chats.follow(user_id=user_id, generation_id=running):
            if update.end is not None or time.monotonic() > patience:
                return


@action
def show_variant(message_id: int) -> None:
    """Puts an earlier or later version of a message on show."""
    chat_id = own_chat_id(state.chat())
    get_runtime().chats.show_variant(user_id=state.person().id, chat_id=chat_id, message_id=message_id)


def _regenerate(message: MessageRecord) -> None:
    page = state.chat()
    params = current_params(page)
    get_runtime().chats.regenerate(
        **state.me(),
        chat_id=message.session_id,
        message_id=message.id,
        params=params,
        request_key=_key_for(message, params),
    )
    page.notice, page.focus = None, "gently"


def _key_for(message: MessageRecord, params: Params, text: str = "") -> UUID:
    """The same for two clicks on what is on show, so that they begin one turn; another tab's words are another turn."""
    shown = f"{message.session_id}/{message.id}/{message.variants}/{message.status}"
    return uuid5(NAMESPACE_OID, f"{shown}/{params}/{text}")


def _leave_lost_chat(page: ChatState) -> None:
    """The chat was deleted elsewhere: go on in a fresh one, with the text that could not be sent."""
    page.notice = Notice(
        "This chat was deleted in another tab or browser.",
        "Here is a fresh one; your text is in the input.",
        kind="warning",
    )
    page.open(get_runtime().chats.new_chat(**state.me()).chat.id)
