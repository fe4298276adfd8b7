"""A thread that goes on in a new chat: what is copied, also of an answer that still comes."""

from __future__ import annotations

from uuid import uuid4

from chatplay.params import Params
from tests.db.chat_rig import STOP, Gate, contents, eventually


def test_continue_in_new_copies_the_thread_up_to_a_message(house):
    turn = house.ask("one")
    house.ask("two", chat_id=turn.user_message.session_id)
    view = house.chats.continue_in_new(
        user_id=house.user_id,
        role="analyst",
        chat_id=turn.user_message.session_id,
        upto_message_id=turn.assistant_message.id,
    )
    assert view.chat.id != turn.user_message.session_id
    assert contents(view) == [("user", "one"), ("assistant", "Hello there")]
    house.ask("three", chat_id=view.chat.id)
    assert [m.content for m in house.provider.requests[-1].messages] == ["one", "Hello there", "three"]


def _continued(house, turn):
    chat_id = turn.user_message.session_id
    return house.chats.continue_in_new(user_id=house.user_id, role="analyst", chat_id=chat_id)


def test_continue_in_new_in_mid_answer_copies_what_has_come(house):
    gate = Gate()
    house.provider.script = ["So", " far", gate, STOP]
    turn = house.send("one")
    assert gate.reached.wait(10)
    eventually(lambda: contents(_continued(house, turn)) == [("user", "one"), ("assistant", "So far")])
    gate.open()
    house.finish(turn)


def test_continue_in_new_before_the_first_word_ends_with_the_prompt(house):
    gate = Gate()
    house.provider.script = [gate, "late", STOP]
    turn = house.send("one")
    assert gate.reached.wait(10)
    copied = _continued(house, turn)
    assert contents(copied) == [("user", "one")]
    gate.open()
    house.finish(turn)
    house.provider.script = ["Now", STOP]
    again = house.chats.regenerate(
        user_id=house.user_id,
        role="analyst",
        chat_id=copied.chat.id,
        message_id=None,
        params=Params(),
        request_key=uuid4(),
    )
    assert house.finish(again).content == "Now"


def test_continue_in_new_goes_on_leaving_out_the_oldest_turns(house):
    turn = house.ask("one")
    chat_id = turn.user_message.session_id
    house.chats.set_overflow(user_id=house.user_id, chat_id=chat_id, policy="drop_oldest")
    assert _continued(house, turn).chat.overflow_policy == "drop_oldest"
