"""What a turn begins with: the thread it sends, its settings, its place among its siblings, its key."""

from __future__ import annotations

from uuid import uuid4

import pytest

from chatplay.errors import BadInput
from chatplay.params import Params
from tests.db.chat_rig import rig


@pytest.fixture
def house(database_url):
    with rig(database_url) as house:
        yield house


def test_request_of_a_long_chat_carries_all_of_it_in_order(house):
    chat_id = house.ask("prompt 0").user_message.session_id
    for number in range(1, 9):
        house.ask(f"prompt {number}", chat_id=chat_id)
    sent = house.provider.requests[-1].messages
    assert [message.content for message in sent[::2]] == [f"prompt {number}" for number in range(9)]
    assert {(message.role, message.content) for message in sent[1::2]} == {("assistant", "Hello there")}


def test_turn_of_a_long_chat_knows_its_place_among_its_siblings(house):
    chat_id = house.ask("prompt 0").user_message.session_id
    for number in range(1, 8):
        turn = house.ask(f"prompt {number}", chat_id=chat_id)
    again = house.chats.regenerate(
        user_id=house.user_id,
        role="analyst",
        chat_id=chat_id,
        message_id=turn.assistant_message.id,
        params=Params(),
        request_key=uuid4(),
    )
    house.finish(again)
    assert (again.assistant_message.variant, again.assistant_message.variants) == (2, 2)
    assert again.user_message.id == turn.user_message.id


def test_settings_by_name_change_those_the_chat_used_last(house):
    turn = house.ask(params=Params(temperature=0.3, top_p=0.5))
    chat_id = turn.user_message.session_id
    common = {"user_id": house.user_id, "role": "analyst", "chat_id": chat_id, "text": "more", "request_key": uuid4()}
    house.finish(house.chats.send(**common, params={"temperature": 0.9}))
    assert house.provider.requests[-1].params == Params(temperature=0.9, top_p=0.5)
    with pytest.raises(BadInput, match="Temperature"):
        house.chats.send(**common | {"request_key": uuid4()}, params={"temperature": 99})
    assert len(house.view(chat_id).messages) == 4


def test_refused_turn_sent_again_with_a_used_key_is_the_first_one(house):
    key = uuid4()
    chat_id = house.new_chat()
    common = {"user_id": house.user_id, "role": "analyst", "chat_id": chat_id, "params": Params(), "request_key": key}
    first = house.chats.send(**common, text="one")
    house.finish(first)
    again = house.chats.send(**common | {"params": {"temperature": 99}}, text="one")
    assert again.generation_id == first.generation_id
