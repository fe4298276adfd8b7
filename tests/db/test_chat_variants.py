"""Other answers and other threads of a chat: kept, shown again, and known while they come."""

from __future__ import annotations

from uuid import uuid4

import pytest

from chatplay.chats.values import Coming
from chatplay.params import Params
from tests.db.chat_rig import STOP, Gate, contents


def test_regenerate_keeps_the_earlier_answer_as_a_variant(house):
    turn = house.ask()
    house.provider.script = ["Another", STOP]
    again = house.chats.regenerate(
        user_id=house.user_id,
        role="analyst",
        chat_id=turn.user_message.session_id,
        message_id=turn.assistant_message.id,
        params=Params(),
        request_key=uuid4(),
    )
    house.finish(again)
    answer = house.view(turn.user_message.session_id).messages[-1]
    assert (answer.content, answer.variant, answer.variants) == ("Another", 2, 2)
    assert answer.previous_id == turn.assistant_message.id


@pytest.fixture
def coming_elsewhere(house):
    """An answer to a second prompt, held by its gate, while an earlier version of the first answer is on show."""
    first, gate = house.ask("one"), Gate()
    chat_id, me = first.user_message.session_id, {"user_id": house.user_id, "role": "analyst"}
    again = house.chats.regenerate(
        **me, chat_id=chat_id, message_id=first.assistant_message.id, params=Params(), request_key=uuid4()
    )
    house.finish(again)
    house.provider.script = ["Begun", gate, STOP]
    turn = house.send("two", chat_id=chat_id)
    assert gate.reached.wait(10)
    house.chats.show_variant(user_id=house.user_id, chat_id=chat_id, message_id=first.assistant_message.id)
    yield turn
    gate.open()
    house.finish(turn)


def test_answer_that_comes_in_another_version_is_known_and_can_be_stopped(house, coming_elsewhere):
    turn, chat_id = coming_elsewhere, coming_elsewhere.user_message.session_id
    view = house.view(chat_id)
    assert (len(view.messages), view.running) == (2, None)
    assert view.elsewhere == Coming(turn.generation_id, turn.assistant_message.id)
    assert [chat.streaming for chat in house.chats.list_chats(user_id=house.user_id)] == [True]
    house.chats.stop(user_id=house.user_id, generation_id=view.elsewhere.generation_id)
    assert house.finish(turn).status == "stopped"
    assert house.view(chat_id).elsewhere is None
    assert [chat.streaming for chat in house.chats.list_chats(user_id=house.user_id)] == [False]


def test_answer_that_comes_on_show_is_not_told_as_one_of_another_version(house, coming_elsewhere):
    turn, chat_id = coming_elsewhere, coming_elsewhere.user_message.session_id
    house.chats.show_variant(user_id=house.user_id, chat_id=chat_id, message_id=turn.assistant_message.id)
    view = house.view(chat_id)
    assert (view.running, view.elsewhere) == (turn.generation_id, None)


def test_show_variant_brings_back_the_thread_below_it(house):
    first = house.ask("one")
    chat_id = first.user_message.session_id
    house.ask("two", chat_id=chat_id)
    edited = house.chats.edit(
        user_id=house.user_id,
        role="analyst",
        chat_id=chat_id,
        message_id=first.user_message.id,
        text="ONE",
        params=Params(),
        request_key=uuid4(),
    )
    house.finish(edited)
    assert [content for _, content in contents(house.view(chat_id))] == ["ONE", "Hello there"]
    house.chats.show_variant(user_id=house.user_id, chat_id=chat_id, message_id=first.user_message.id)
    assert [content for _, content in contents(house.view(chat_id))] == ["one", "Hello there", "two", "Hello there"]
