"""Chats and turns on a real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from chatplay.chats.log import ChatLog
from chatplay.errors import BadInput, GenerationRunning, ModelLocked, NotFound
from chatplay.models.catalog import ModelInfo
from chatplay.params import Params
from tests.db.chat_rig import STOP, Gate, add_person, eventually


def test_turn_when_finished_is_stored_with_text_status_and_figures(house):
    turn = house.ask("What is Python?")
    answer = house.view(turn.user_message.session_id).messages[-1]
    assert (answer.content, answer.status, answer.metrics.finish_reason) == ("Hello there", "complete", "stop")
    assert answer.metrics.ttft_ms is not None
    assert answer.metrics.tokens_estimated is True


def test_usage_row_holds_what_the_call_was_and_no_prompt_text(house):
    turn = house.ask("a secret question", params=Params(temperature=0.3, system_prompt="a secret role"))
    with house.store.reading() as conn:
        row = conn.execute(text("SELECT * FROM usage")).one()
    assert (row.generation_id, row.status, row.source, row.model) == (turn.generation_id, "complete", "chat", "tiny")
    assert row.params["temperature"] == 0.3
    assert row.organisation_id is not None
    assert len(row.gaps_ms) == 1
    assert "secret" not in str(row)


def test_request_carries_system_prompt_history_and_params(house):
    params = Params(system_prompt="Be brief.", temperature=0.1)
    turn = house.ask("one", params=params)
    house.ask("two", chat_id=turn.user_message.session_id, params=params)
    sent = house.provider.requests[-1]
    assert [message.content for message in sent.messages] == ["Be brief.", "one", "Hello there", "two"]
    assert sent.params == params


def test_title_is_the_first_message_cut_between_words(house):
    turn = house.ask("Explain to me in\nplain words what a B-tree index does for a query")
    assert house.view(turn.user_message.session_id).chat.title == "Explain to me in plain words what a…"


def test_new_chat_asked_for_in_ten_tabs_is_one(house):
    with ThreadPoolExecutor(10) as pool:
        ids = set(pool.map(lambda _: house.new_chat(), range(10)))
    assert len(ids) == 1


def test_model_after_the_first_message_is_locked_in_service_and_database(house):
    turn = house.ask()
    chat_id = turn.user_message.session_id
    model = ModelInfo("tiny", "scripted", "scripted", "demo")
    with pytest.raises(ModelLocked):
        house.chats.choose_model(user_id=house.user_id, role="analyst", chat_id=chat_id, model=model)
    with pytest.raises(DBAPIError, match="locked"), house.store.engine.begin() as conn:
        conn.execute(text("UPDATE chat_sessions SET model_name = 'other'"))


def test_same_request_key_sent_twice_is_one_message(house):
    chat_id, key = house.new_chat(), uuid4()
    first = house.send(chat_id=chat_id, request_key=key)
    second = house.send(chat_id=chat_id, request_key=key)
    assert second.generation_id == first.generation_id
    assert len(house.view(chat_id).messages) == 2
    assert len(house.provider.requests) == 1


def test_send_while_an_answer_is_coming_is_refused_and_nothing_is_added(house):
    gate = Gate()
    house.provider.script = ["a", gate, STOP]
    turn = house.send()
    with pytest.raises(GenerationRunning):
        house.send("second", chat_id=turn.user_message.session_id)
    gate.open()
    house.finish(turn)
    assert len(house.view(turn.user_message.session_id).messages) == 2


def test_send_in_two_tabs_at_once_lets_one_through(house):
    gate = Gate()
    house.provider.script = [gate, "a", STOP]
    chat_id = house.new_chat()

    def attempt(word):
        try:
            return house.send(word, chat_id=chat_id)
        except GenerationRunning:
            return None

    with ThreadPoolExecutor(2) as pool:
        turns = [turn for turn in pool.map(attempt, ["left", "right"]) if turn]
    gate.open()
    assert len(turns) == 1
    house.finish(turns[0])


@pytest.mark.parametrize(
    ("bad", "why"),
    [("", "empty"), ("  \n", "empty"), ("x" * 1001, "1,001"), ("a\0b", "NUL"), ("a\ud800", "surrogate")],
)
def test_text_that_cannot_be_sent_is_refused_by_name(house, bad, why):
    with pytest.raises(BadInput, match=why):
        house.send(bad)
    assert house.provider.requests == []


@pytest.mark.parametrize(
    "odd", ["\u202eright to left", "😀" * 100, "\r\n" * 400 + "x", "'; DROP TABLE users; --", "\x01"]
)
def test_odd_text_comes_back_as_it_was_sent(house, odd):
    turn = house.ask(odd)
    assert house.view(turn.user_message.session_id).messages[0].content == odd


def test_an_answer_has_begun_once_its_text_is_here(house):
    turn = house.ask()
    assert house.chats.has_begun(user_id=house.user_id, generation_id=turn.generation_id, within_sec=30)
    assert not house.chats.has_begun(user_id=house.user_id, generation_id=uuid4(), within_sec=30)


def test_setting_out_of_range_is_refused_and_nothing_is_stored(house):
    chat_id = house.new_chat()
    with pytest.raises(BadInput, match="Temperature is 2"):
        house.send(chat_id=chat_id, params=Params(temperature=2.0))
    assert house.view(chat_id).messages == ()


def test_everything_of_another_person_does_not_exist(house):
    turn = house.ask()
    chat_id, other = turn.user_message.session_id, add_person(house.store, "ben")
    chats, role = house.chats, "analyst"
    attempts = [
        lambda: chats.open_chat(user_id=other, role=role, chat_id=chat_id),
        lambda: chats.rename(user_id=other, chat_id=chat_id, title="mine"),
        lambda: chats.delete(user_id=other, chat_id=chat_id),
        lambda: chats.end_chat(user_id=other, role=role, chat_id=chat_id),
        lambda: chats.remember_params(user_id=other, chat_id=chat_id, params=Params()),
        lambda: chats.older_messages(user_id=other, chat_id=chat_id, before=turn.assistant_message),
        lambda: chats.continue_in_new(user_id=other, role=role, chat_id=chat_id),
        lambda: chats.show_variant(user_id=other, chat_id=chat_id, message_id=turn.user_message.id),
        lambda: chats.stop(user_id=other, generation_id=turn.generation_id),
        lambda: chats.follow(user_id=other, generation_id=turn.generation_id),
        lambda: chats.send(user_id=other, role=role, chat_id=chat_id, text="x", params=Params(), request_key=uuid4()),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert house.chats.list_chats(user_id=other) == []
    assert not chats.has_begun(user_id=other, generation_id=turn.generation_id)
    log = ChatLog(store=house.store, max_prompt_chars=1000)
    assert (log.count_chats(user_id=other), log.count_chats(user_id=house.user_id)) == (0, 1)
    assert chats.delete_all(user_id=other) == 0
    assert len(house.view(chat_id).messages) == 2


def test_message_of_another_chat_cannot_be_reached_through_mine(house):
    other = house.ask("other").user_message
    chat_id = house.ask("mine").user_message.session_id
    with pytest.raises(NotFound):
        house.chats.show_variant(user_id=house.user_id, chat_id=chat_id, message_id=other.id)


def test_list_is_newest_activity_first_and_searches_titles_and_words(house):
    first = house.ask("apples and pears").user_message.session_id
    second = house.ask("bridges").user_message.session_id
    house.ask("more about orchards", chat_id=first)
    chats, user_id = house.chats, house.user_id
    assert [chat.id for chat in chats.list_chats(user_id=user_id)] == [first, second]
    assert [chat.id for chat in chats.list_chats(user_id=user_id, search="orch")] == [first]
    assert [chat.id for chat in chats.list_chats(user_id=user_id, search="ridge")] == [second]
    assert chats.list_chats(user_id=user_id, search="100%_\\") == []


def test_list_continues_where_it_ended(house):
    for number in range(5):
        house.ask(f"chat {number}")
    page = house.chats.list_chats(user_id=house.user_id, limit=3)
    rest = house.chats.list_chats(user_id=house.user_id, limit=3, before=page[-1])
    assert [chat.title for chat in page + rest] == [f"chat {number}" for number in (4, 3, 2, 1, 0)]


def test_long_chat_opens_with_its_end_and_gives_the_rest_on_demand(house):
    chat_id = house.ask("m0").user_message.session_id
    for number in range(1, 6):
        house.ask(f"m{number}", chat_id=chat_id)
    view = house.view(chat_id, limit=4)
    assert [message.content for message in view.messages] == ["m4", "Hello there", "m5", "Hello there"]
    assert view.has_older
    older, more = house.chats.older_messages(user_id=house.user_id, chat_id=chat_id, before=view.messages[0], limit=100)
    assert [message.content for message in older[::2]] == ["m0", "m1", "m2", "m3"]
    assert not more


def test_clear_chat_ends_it_keeps_it_and_gives_the_empty_one(house):
    chat_id = house.ask().user_message.session_id
    fresh = house.chats.end_chat(user_id=house.user_id, role="analyst", chat_id=chat_id)
    assert fresh.chat.id != chat_id
    assert fresh.messages == ()
    assert house.view(chat_id).chat.ended_at is not None
    assert [chat.id for chat in house.chats.list_chats(user_id=house.user_id)] == [chat_id]


def test_cleared_chat_that_goes_on_has_not_ended(house):
    chat_id = house.ask().user_message.session_id
    house.chats.end_chat(user_id=house.user_id, role="analyst", chat_id=chat_id)
    house.ask("elsewhere")
    house.ask("more", chat_id=chat_id)
    assert house.view(chat_id).chat.ended_at is None
    assert house.view(None).chat.id == chat_id


def test_delete_while_an_answer_is_coming_stops_it_and_keeps_its_usage_row(house):
    gate = Gate()
    house.provider.script = ["a", gate, STOP]
    turn = house.send()
    assert gate.reached.wait(10)
    house.chats.delete(user_id=house.user_id, chat_id=turn.user_message.session_id)
    assert house.provider.closed.wait(10)

    def statuses():
        with house.store.reading() as conn:
            return list(conn.execute(text("SELECT status FROM usage")).scalars())

    eventually(lambda: statuses() == ["stopped"])


def test_settings_are_remembered_for_the_chat_and_for_new_ones(house):
    params = Params(temperature=0.15, stop=("END",), seed=7)
    chat_id = house.ask(params=params).user_message.session_id
    assert house.view(chat_id).chat.params == params
    assert house.view(house.new_chat()).chat.params == params


def test_last_open_chat_is_the_one_that_comes_back(house):
    house.ask("old")
    newest = house.ask("new").user_message.session_id
    assert house.view(None).chat.id == newest


def _default_is(house, name):
    info = next(info for info in house.process.catalog.list_running("analyst") if info.name == name)
    house.process.catalog.default = lambda role: info


def test_empty_chat_nobody_chose_a_model_for_follows_a_new_default(house):
    chat_id = house.new_chat()
    _default_is(house, "other")
    assert house.view(house.new_chat()).chat.model_name == "other"
    assert house.new_chat() == chat_id


def test_empty_chat_keeps_the_model_a_person_chose(house):
    chat_id = house.new_chat()
    tiny = next(info for info in house.process.catalog.list_running("analyst") if info.name == "tiny")
    house.chats.choose_model(user_id=house.user_id, role="analyst", chat_id=chat_id, model=tiny)
    _default_is(house, "other")
    assert house.view(house.new_chat()).chat.model_name == "tiny"
