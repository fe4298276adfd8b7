"""Chats of the page tests: asked on the page or by the service, and read once they are over."""

import threading
from uuid import uuid4

from chatplay.params import Params
from tests.pages.screen import ran


def send(app, text):
    app.chat_input[0].set_value(text)
    return ran(app)


def settled(services, user_id, chat_id=None):
    """The chat once its answer has reached the database."""
    for _ in range(2000):
        view = services.chats.open_chat(user_id=user_id, role="administrator", chat_id=chat_id)
        if view.running is None:
            return view
        threading.Event().wait(0.005)
    raise AssertionError("the answer never reached the database")


def answered(services, user_id, *texts):
    """A chat in which each of `texts` was asked and answered; gives its last view."""
    me = {"user_id": user_id, "role": "administrator"}
    chat_id = services.chats.new_chat(**me).chat.id
    for text in texts:
        turn = services.chats.send(
            **me, chat_id=chat_id, text=text, params=Params(max_tokens=256, seed=1), request_key=uuid4()
        )
        list(services.chats.follow(user_id=user_id, generation_id=turn.generation_id))
    return settled(services, user_id, chat_id)
