"""A model call of its own, without a chat: opened, followed from anywhere, kept or not kept."""

import time

import pytest

from chatplay.calls import Call
from chatplay.errors import NotFound
from chatplay.params import Params
from chatplay.providers.base import Message
from db import answers, generations
from tests.db.chat_rig import STOP, Gate, add_person, eventually, process


def call_of(house, **more):
    model = house.process.catalog.get("tiny", role="analyst", upstream="scripted")
    values = {"user_id": house.user_id, "messages": (Message("user", "Hi"),), "params": Params(), "source": "compare"}
    return Call(model=model, **(values | more))


def read(calls, house, generation_id, after_seq=0):
    updates = list(calls.follow(user_id=house.user_id, generation_id=generation_id, after_seq=after_seq))
    return "".join(update.text for update in updates), updates[-1]


def start_and_finish(house, **more):
    calls = house.process.calls
    generation_id = calls.start(call_of(house, **more))
    end = calls.wait(user_id=house.user_id, generation_id=generation_id)
    assert house.process.generations.hub.find_live(generation_id).saved.wait(10)
    return generation_id, end


def test_call_without_a_chat_keeps_its_answer(house):
    generation_id, end = start_and_finish(house)
    with house.store.reading() as conn:
        row = answers.find_answer(conn, generation_id=generation_id)
    assert (row.content, row.status) == (end.content, "complete") == ("Hello there", "complete")


def test_call_that_keeps_nothing_still_has_its_usage_row(house):
    generation_id, _ = start_and_finish(house, keeps_answer=False, source="completions", attempt=2)
    with house.store.reading() as conn:
        assert answers.find_answer(conn, generation_id=generation_id) is None
        assert generations.get_call(conn, generation_id=generation_id).attempt == 2


def test_answer_that_is_not_kept_is_said_to_be_gone_in_another_process(house):
    generation_id, _ = start_and_finish(house, keeps_answer=False)
    with process(house.url) as other, pytest.raises(NotFound, match="not kept"):
        read(other.calls, house, generation_id)


def test_chat_deleted_while_its_answer_is_read_in_another_process_is_said_to_be_gone(house, monkeypatch):
    turn, find = house.ask(), generations.find_generation

    def find_and_delete(conn, *, generation_id):
        row = find(conn, generation_id=generation_id)
        house.chats.delete(user_id=house.user_id, chat_id=turn.assistant_message.session_id)
        return row

    with process(house.url) as other:
        source = other.calls.find_source(user_id=house.user_id, generation_id=turn.generation_id)
        monkeypatch.setattr(generations, "find_generation", find_and_delete)
        with pytest.raises(NotFound, match="its chat was deleted"):
            source.look(0)


@pytest.mark.parametrize("after_seq", [0, 1, 2])
def test_reader_resumes_between_two_deltas_after_the_end_in_another_process(house, after_seq):
    generation_id, _ = start_and_finish(house)
    with process(house.url) as other:
        text, last = read(other.calls, house, generation_id, after_seq)
    assert text == "".join(["Hello", " there"][after_seq:])
    assert (last.seq, last.end.content) == (2, "Hello there")


def test_reader_resumes_between_two_deltas_while_another_process_writes(house):
    gate = Gate()
    house.provider.script = ["Hello", gate, " there", STOP]
    calls = house.process.calls
    generation_id = calls.start(call_of(house))
    assert gate.reached.wait(10)
    eventually(lambda: house.process.generations.log.flush() or logged(house, generation_id))
    with process(house.url) as other:
        updates = other.calls.follow(user_id=house.user_id, generation_id=generation_id, after_seq=1)
        assert next(updates).text == ""
        gate.open()
        assert "".join(update.text for update in updates) == " there"


@pytest.mark.parametrize("after_seq", [0, 1, 3])
def test_figures_of_a_reader_that_resumes_in_another_process_are_of_the_whole_answer(house, after_seq):
    gate, later, last = Gate(), Gate(), Gate()
    house.provider.script = ["Hello to you ", later, "all, ", "and ", gate, "good day", last, STOP]
    generation_id = house.process.calls.start(call_of(house))
    assert later.reached.wait(10)
    time.sleep(0.1)  # two deltas in one packet have no rate
    later.open()
    assert gate.reached.wait(10)
    house.process.generations.log.flush()
    in_memory = house.process.generations.hub.find_live(generation_id)
    with process(house.url) as other:
        source = other.calls.find_source(user_id=house.user_id, generation_id=generation_id)
        first = source.look(after_seq)
        same_figures(first.live, in_memory.metrics())
        assert first.live.elapsed_ms >= in_memory.metrics().ttft_ms + 100
        gate.open()
        assert last.reached.wait(10)
        house.process.generations.log.flush()
        second = source.look(first.seq)
        same_figures(second.live, in_memory.metrics())
        assert second.text == "good day"
        last.open()
        assert in_memory.saved.wait(10)
        ended = source.look(second.seq)
        told, known = ended.live, ended.end.metrics
        assert (told.ttft_ms, told.elapsed_ms) == (known.ttft_ms, known.duration_ms)
        assert (told.tokens_per_second, told.completion_tokens) == (known.tokens_per_second, known.completion_tokens)
        assert told.ttft_ms > 0


def same_figures(stored, known):
    assert stored.ttft_ms == pytest.approx(known.ttft_ms, abs=0.01)
    assert stored.tokens_per_second == pytest.approx(known.tokens_per_second, rel=0.001)
    assert stored.completion_tokens == known.completion_tokens


def test_reader_that_waits_for_the_first_token_in_another_process_counts_from_the_beginning(house):
    gate = Gate()
    house.provider.script = [gate, STOP]
    generation_id = house.process.calls.start(call_of(house))
    time.sleep(0.1)
    with process(house.url) as other:
        live = other.calls.find_source(user_id=house.user_id, generation_id=generation_id).look(0).live
    assert (live.ttft_ms, live.completion_tokens, live.tokens_per_second) == (None, 0, None)
    assert live.elapsed_ms >= 100
    gate.open()


def logged(house, generation_id):
    with house.store.reading() as conn:
        return generations.list_events(conn, generation_id=generation_id)


def test_call_of_another_person_does_not_exist(house):
    generation_id, _ = start_and_finish(house)
    stranger = add_person(house.store, "bo")
    with pytest.raises(NotFound):
        house.process.calls.stop(user_id=stranger, generation_id=generation_id)
    with pytest.raises(NotFound):
        house.process.calls.follow(user_id=stranger, generation_id=generation_id)
