"""What a turn begins with: the thread it sends, its settings, its place among its siblings, its key."""

from __future__ import annotations

import threading
from contextlib import suppress
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from chatplay.chats import service
from chatplay.errors import BadInput, Conflict, NotFound, StoreError
from chatplay.params import Params
from db import turns
from tests.db.chat_rig import STOP, Gate


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


@pytest.fixture
def meanwhile(monkeypatch):
    """Has something happen once, after what a turn stands on was read and before the turn is written."""
    find = turns.find_ground

    def arrange(act):
        waiting = [act]

        def find_and_act(*args, **named):
            ground = find(*args, **named)
            if waiting:
                waiting.pop()()
            return ground

        monkeypatch.setattr(turns, "find_ground", find_and_act)

    return arrange


def test_turn_follows_what_came_while_it_was_prepared(house, meanwhile):
    chat_id = house.ask("one").user_message.session_id
    between = []
    meanwhile(lambda: between.append(house.ask("two", chat_id=chat_id)))
    turn = house.ask("three", chat_id=chat_id)
    assert turn.user_message.parent_id == between[0].assistant_message.id
    assert [message.content for message in house.provider.requests[-1].messages[::2]] == ["one", "two", "three"]
    assert [message.content for message in house.view(chat_id).messages[::2]] == ["one", "two", "three"]


def test_same_click_twice_is_one_turn_also_when_both_are_prepared_at_once(house, meanwhile):
    key, chat_id, first = uuid4(), house.new_chat(), []
    meanwhile(lambda: first.append(house.ask("one", chat_id=chat_id, request_key=key)))
    again = house.send("one", chat_id=chat_id, request_key=key)
    assert again.generation_id == first[0].generation_id
    assert len(house.view(chat_id).messages) == 2


def test_chat_deleted_while_a_turn_is_prepared_is_not_there(house, meanwhile):
    chat_id = house.ask("one").user_message.session_id
    meanwhile(lambda: house.chats.delete(user_id=house.user_id, chat_id=chat_id))
    with pytest.raises(NotFound, match="chat"):
        house.send("two", chat_id=chat_id)
    assert len(house.provider.requests) == 1


def test_chat_that_changes_all_the_time_is_written_to_alone(house, monkeypatch):
    chat_id = house.ask("one").user_message.session_id
    find, changed = turns.find_ground, []

    def find_and_change(*args, **named):
        ground = find(*args, **named)
        with suppress(StoreError), house.store.transaction() as conn:
            conn.execute(text("SET LOCAL lock_timeout = '100ms'"))
            conn.execute(text("UPDATE chat_sessions SET title = title || '!'"))
            changed.append(True)
        return ground

    monkeypatch.setattr(turns, "find_ground", find_and_change)
    house.ask("two", chat_id=chat_id)
    assert len(changed) == 1  # the other change waited for the turn
    assert [message.content for message in house.view(chat_id).messages[::2]] == ["one", "two"]


def test_settings_remembered_while_a_turn_is_prepared_are_those_it_changes(house, meanwhile):
    chat_id = house.ask("one", params=Params(temperature=0.1)).user_message.session_id
    changed = Params(temperature=0.9)
    meanwhile(lambda: house.chats.remember_params(user_id=house.user_id, chat_id=chat_id, params=changed))
    common = {"user_id": house.user_id, "role": "analyst", "chat_id": chat_id, "request_key": uuid4()}
    house.finish(house.chats.send(**common, text="two", params={"top_p": 0.5}))
    assert house.provider.requests[-1].params == Params(temperature=0.9, top_p=0.5)


def test_model_server_removed_while_a_turn_is_prepared_leaves_nothing_behind(house, meanwhile, monkeypatch):
    chat_id = house.ask("one").user_message.session_id

    def gone(_model):
        raise NotFound("There is no such model server.", cure="Choose another.")

    meanwhile(lambda: monkeypatch.setattr(house.process.catalog, "provider_for", gone))
    with pytest.raises(NotFound, match="server"):
        house.send("two", chat_id=chat_id)
    monkeypatch.undo()
    assert len(house.view(chat_id).messages) == 2
    house.ask("two", chat_id=chat_id)


def test_used_key_gives_its_turn_whatever_else_is_asked_with_it(house):
    key, chat_id = uuid4(), house.new_chat()
    first = house.ask("one", chat_id=chat_id, request_key=key)
    common = {"user_id": house.user_id, "role": "analyst", "chat_id": chat_id, "params": Params()}
    again = house.chats.edit(**common, message_id=10**12, text="x", request_key=key)
    assert again.generation_id == first.generation_id


def test_used_key_gives_the_answer_that_came_with_it_also_after_others(house):
    keys, chat_id = [uuid4(), uuid4()], house.new_chat()
    first = house.ask("one", chat_id=chat_id, request_key=keys[0])
    common = {"user_id": house.user_id, "role": "analyst", "chat_id": chat_id, "params": Params()}
    second = house.chats.regenerate(**common, message_id=first.assistant_message.id, request_key=keys[1])
    house.finish(second)
    house.ask("two", chat_id=chat_id)
    for key, turn in zip(keys, (first, second), strict=True):
        again = house.send("one", chat_id=chat_id, request_key=key)
        assert again.generation_id == turn.generation_id
        assert again.user_message.id == first.user_message.id


def test_chat_deleted_while_a_used_key_is_looked_up_is_not_there(house, meanwhile):
    key, chat_id = uuid4(), house.new_chat()
    house.ask("one", chat_id=chat_id, request_key=key)
    meanwhile(lambda: house.chats.delete(user_id=house.user_id, chat_id=chat_id))
    with pytest.raises(NotFound, match="chat"):
        house.send("one", chat_id=chat_id, request_key=key)


def test_strangers_learn_nothing_of_a_chats_messages(house):
    turn = house.ask("one")
    common = {"role": "analyst", "chat_id": turn.user_message.session_id, "params": Params()}
    for message_id in (turn.user_message.id, turn.assistant_message.id, 10**12):
        with pytest.raises(NotFound, match="no such chat"):
            house.chats.regenerate(**common, user_id=10**12, message_id=message_id, request_key=uuid4())
        with pytest.raises(NotFound, match="no such chat"):
            house.chats.edit(**common, user_id=10**12, message_id=message_id, text="x", request_key=uuid4())


def test_messages_of_another_chat_can_be_neither_reworded_nor_answered_again(house):
    here, there = house.ask("one").user_message, house.ask("two")
    assert here.session_id != there.user_message.session_id
    common = {"user_id": house.user_id, "role": "analyst", "chat_id": here.session_id, "params": Params()}
    for message_id in (there.user_message.id, there.assistant_message.id):
        with pytest.raises(NotFound, match="no such message"):
            house.chats.regenerate(**common, message_id=message_id, request_key=uuid4())
        with pytest.raises(NotFound, match="no such message"):
            house.chats.edit(**common, message_id=message_id, text="x", request_key=uuid4())


def test_answer_cannot_be_reworded(house):
    turn = house.ask("one")
    with pytest.raises(NotFound, match="no such message"):
        house.chats.edit(
            user_id=house.user_id,
            role="analyst",
            chat_id=turn.user_message.session_id,
            message_id=turn.assistant_message.id,
            text="x",
            params=Params(),
            request_key=uuid4(),
        )


def test_turn_is_told_as_it_is_stored(house):
    first = house.ask("one")
    chat_id = first.user_message.session_id
    common = {"user_id": house.user_id, "role": "analyst", "chat_id": chat_id, "params": Params()}
    reworded = house.chats.edit(**common, message_id=first.user_message.id, text="1", request_key=uuid4())
    house.finish(reworded)
    again = house.chats.regenerate(**common, message_id=reworded.assistant_message.id, request_key=uuid4())
    house.finish(again)
    for turn in (reworded, again):
        house.chats.show_variant(user_id=house.user_id, chat_id=chat_id, message_id=turn.assistant_message.id)
        stored = house.view(chat_id).messages
        assert stored[0] == turn.user_message
        answer = turn.assistant_message
        assert (stored[1].id, stored[1].parent_id, stored[1].created_at) == (
            answer.id,
            answer.parent_id,
            answer.created_at,
        )
    assert (again.user_message.variant, again.user_message.variants) == (2, 2)
    assert (again.assistant_message.variant, again.assistant_message.variants) == (2, 2)


def test_empty_chat_begun_in_another_tab_takes_no_copy(house, monkeypatch):
    chat_id, find = house.ask("one").user_message.session_id, service.empty_chat
    begun = []

    def find_and_begin(*args, **named):
        chat = find(*args, **named)
        begun.append(house.ask("elsewhere", chat_id=chat.id))
        return chat

    house.new_chat()
    monkeypatch.setattr(service, "empty_chat", find_and_begin)
    with pytest.raises(Conflict, match="another tab"):
        house.chats.continue_in_new(user_id=house.user_id, role="analyst", chat_id=chat_id)
    monkeypatch.undo()
    messages = house.view(begun[0].user_message.session_id).messages
    assert [message.content for message in messages] == ["elsewhere", "Hello there"]
    copied = house.chats.continue_in_new(user_id=house.user_id, role="analyst", chat_id=chat_id)
    assert [message.content for message in copied.messages] == ["one", "Hello there"]


def test_turn_begins_in_two_statements(house):
    chat_id, asked = house.ask("one").user_message.session_id, []
    gate = Gate()
    house.provider.script = [gate, STOP]
    here = threading.get_ident()

    def note(*_args):
        if threading.get_ident() == here:  # hub and event log have threads of their own
            asked.append(True)

    event.listen(house.store.engine, "before_cursor_execute", note)
    turn = house.send("two", chat_id=chat_id)
    event.remove(house.store.engine, "before_cursor_execute", note)
    gate.open()
    house.finish(turn)
    assert len(asked) == 2
