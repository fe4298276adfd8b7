"""What the buttons around a chat do: open, begin, name, clear and delete chats; dialogs; the chat's own settings.

Each is a callback: it acts at once, before anything is drawn again.
"""

from __future__ import annotations

from uuid import UUID

from chatplay.chats.values import MessageRecord, OverflowPolicy
from chatplay.models.catalog import ModelInfo
from chatplay.runtime import get_runtime
from chatplay.ui import model_menu, state
from chatplay.ui.chat.callbacks import action, own_chat_id, remember_params, show

_OLDER_PAGE = 36


@action
def new_chat() -> None:
    """The person's empty chat, ready to type."""
    remember_params(state.chat())
    show(get_runtime().chats.new_chat(**state.me()))
    state.chat().focus = "now"


@action
def open_chat(chat_id: UUID) -> None:
    """Another chat of the history."""
    page = state.chat()
    remember_params(page)
    page.open(chat_id)
    page.notice = None


@action
def choose_model(models: tuple[ModelInfo, ...]) -> None:
    """The model of a chat that has not begun."""
    page, name = state.chat(), state.widget_value(state.MODEL)
    model = next((info for info in models if model_menu.model_id(info) == name), None)
    if model is not None:
        get_runtime().chats.choose_model(**state.me(), chat_id=own_chat_id(page), model=model)


@action
def show_older() -> None:
    """Loads the page of messages before the earliest on show."""
    page = state.chat()
    earliest = (page.older or list(page.view.messages if page.view else ()))[:1]
    if not earliest:
        return
    older, page.has_older = get_runtime().chats.older_messages(
        user_id=state.person().id, chat_id=own_chat_id(page), before=earliest[0], limit=_OLDER_PAGE
    )
    page.older = [*older, *page.older]


@action
def show_from(message_id: int) -> None:
    """Draws earlier messages from this one on with all that can be done with them."""
    state.chat().whole_from = message_id


@action
def more_chats() -> None:
    """A longer history."""
    state.chat().more_chats += 1


@action
def ask(dialog: str, about: object = None) -> None:
    """Opens a dialog."""
    state.chat().dialog = (dialog, about)


@action
def ask_to_clear_all() -> None:
    """The dialog says how many chats that takes."""
    state.chat().dialog = ("clear_all", get_runtime().chat_log.count_chats(user_id=state.person().id))


@action
def close_dialog() -> None:
    """Only draws the page anew."""


@action
def chat_menu(chat_id: UUID, title: str, key: str) -> None:
    """What was chosen in a chat's menu."""
    state.chat().dialog = (str(state.widget_value(key)), (chat_id, title))


@action
def rename(chat_id: UUID, key: str) -> None:
    get_runtime().chats.rename(user_id=state.person().id, chat_id=chat_id, title=str(state.widget_value(key) or ""))


@action
def delete(chat_id: UUID) -> None:
    get_runtime().chats.delete(user_id=state.person().id, chat_id=chat_id)
    if state.chat().chat_id == chat_id:
        show(get_runtime().chats.new_chat(**state.me()))


@action
def delete_all() -> None:
    get_runtime().chats.delete_all(user_id=state.person().id)
    show(get_runtime().chats.new_chat(**state.me()))


@action
def clear_chat() -> None:
    remember_params(state.chat())
    show(get_runtime().chats.end_chat(**state.me(), chat_id=own_chat_id(state.chat())))
    state.chat().focus = "now"


@action
def continue_with(key: str, models: tuple[ModelInfo, ...], failed: MessageRecord | None) -> None:
    """The thread in a new chat with another model; the prompt of a failed answer goes back into the input."""
    page, name, chats = state.chat(), state.widget_value(key), get_runtime().chats
    model = next(info for info in models if model_menu.model_id(info) == name)
    chat_id = own_chat_id(page)
    remember_params(page)
    if failed is None or failed.role != "user":
        show(chats.continue_in_new(**state.me(), chat_id=chat_id, model=model))
        return
    if failed.parent_id is not None:
        show(chats.continue_in_new(**state.me(), chat_id=chat_id, model=model, upto_message_id=failed.parent_id))
    else:
        fresh = chats.new_chat(**state.me())
        chats.choose_model(**state.me(), chat_id=fresh.chat.id, model=model)
        show(fresh)
    page.give_back, page.focus = failed.content, "now"


@action
def set_overflow(policy: OverflowPolicy) -> None:
    """What happens in this chat when the context is full."""
    chat_id = own_chat_id(state.chat())
    get_runtime().chats.set_overflow(user_id=state.person().id, chat_id=chat_id, policy=policy)


@action
def toggle_overflow(key: str) -> None:
    """The box in the settings."""
    policy: OverflowPolicy = "drop_oldest" if state.widget_value(key) else "hold_back"
    get_runtime().chats.set_overflow(user_id=state.person().id, chat_id=own_chat_id(state.chat()), policy=policy)


@action
def use_example(text: str) -> None:
    """An example prompt, into the input to be read before it is sent."""
    state.chat().give_back = text
    state.chat().focus = "now"


@action
def focus_input() -> None:
    state.chat().focus = "now"
