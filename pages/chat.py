"""The chat: history on the left, the model and its figures on top, messages below, the input at the foot."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from chatplay.chats.values import ChatView
from chatplay.errors import StoreError
from chatplay.runtime import get_runtime
from chatplay.ui import frame, model_menu, state
from chatplay.ui.away import draw_away
from chatplay.ui.chat import actions as chat_actions
from chatplay.ui.chat import callbacks, composer, dialogs, earlier, header, history, opening, transcript, turns


def draw() -> None:
    page = state.chat()
    runtime = get_runtime()
    models = runtime.catalog.list_running(state.person().role)
    try:
        view = opening.open_view(page)
    except StoreError as error:
        draw_unreachable(error)
        return
    model = callbacks.model_of(view)
    if view.chat.title:
        frame.name_tab(view.chat.title)

    top = history.draw(view)
    column = st.container(key="chat_column")
    with column:
        head = header.draw(view, models, model)
        if not models:
            model_menu.draw_no_models(runtime.catalog.status(state.person().role))
        thread = fresh_container() if page.turns else st.container()
        with thread:
            draw_history(view)
    context = composer.draw(view, model)
    page.is_asking = dialogs.draw(models)
    places = turns.Places(head, top, context, thread, view)
    turns.draw(places, follow=not page.is_asking, disabled=not models)  # last: it stays as long as an answer is coming


def fresh_container() -> DeltaGenerator:
    """Without what stood there before: that would stay, in grey, for as long as an answer is coming."""
    place = st.empty()
    place.expander("")  # a container would take over what is in one before it; not what is in another kind of block
    return place.container()


def draw_history(view: ChatView) -> None:
    """Messages before the turn that is coming; older ones on demand."""
    page = state.chat()
    if page.has_older:
        st.button("Show earlier messages", key="chat_older", type="tertiary", on_click=chat_actions.show_older)
    cut = cut_place(view)
    if page.older:
        earlier.draw(page.older, cut=cut)
    before = page.older[-1] if page.older else None
    for place, message in enumerate(view.messages[:-2] if page.turns else view.messages, start=len(page.older)):
        if place == cut:
            transcript.draw_cut()
        transcript.draw_message(message, before=before)
        before = message


def cut_place(view: ChatView) -> int | None:
    """Which message of the thread is the first that the last prompt held; None when nothing was left out, or that
    was not asked for yet.
    """
    page = state.chat()
    metrics = next((message.metrics for message in reversed(view.messages) if message.metrics), None)
    if metrics is None or not metrics.omitted_messages or page.has_older:
        return None
    return metrics.omitted_messages


def draw_unreachable(error: StoreError) -> None:
    """The database is away: say so, keep what was typed."""
    with st.container(key="chat_column"):
        draw_away(error, "Nothing that was sent is lost.", key="chat_try_again")
    composer.draw(None, None)
    turns.draw(None)


draw()
