"""The hub and its log on a real database: nothing that arrived is lost."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from sqlalchemy import text

from chatplay.errors import ProviderAuthFailed, ProviderBadAnswer, RateLimited, StreamCut, StreamingUnsupported
from chatplay.generation.running import Limits
from chatplay.params import Params
from chatplay.providers.base import Chunk, End, Usage
from tests.db.chat_rig import STOP, Gate, eventually, process, read_to_end, rig


def _error(kind, **more):
    return kind("It failed.", provider="scripted", model="tiny", cure="Do this.", **more)


def _answer(house, turn):
    return house.view(turn.user_message.session_id).messages[-1]


def test_followers_from_two_threads_see_the_same_text(house):
    gate = Gate()
    house.provider.script = ["a", "b", gate, "c", STOP]
    turn = house.send()
    assert gate.reached.wait(10)
    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(read_to_end(house.chats, house.user_id, turn.generation_id)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    gate.open()
    for thread in threads:
        thread.join(10)
    assert [shown for shown, _ in seen] == ["abc", "abc"]


def test_follower_that_comes_after_the_end_gets_it_all(house):
    turn = house.ask()
    shown, end = read_to_end(house.chats, house.user_id, turn.generation_id)
    assert (shown, end.status, end.content) == ("Hello there", "complete", "Hello there")


def test_reported_usage_is_kept_and_not_flagged(house):
    house.provider.script = ["x", Chunk(end=End("length", Usage(11, 22), model="tiny-1", request_id="r1"))]
    metrics = _answer(house, house.ask()).metrics
    assert (metrics.prompt_tokens, metrics.completion_tokens, metrics.tokens_estimated) == (11, 22, False)
    assert (metrics.finish_reason, metrics.model_used) == ("length", "tiny-1")


def test_stop_closes_the_upstream_and_keeps_the_text_so_far(house):
    gate = Gate()
    house.provider.script = ["so ", "far", gate, "never", STOP]
    turn = house.send()
    assert gate.reached.wait(10)
    house.chats.stop(user_id=house.user_id, generation_id=turn.generation_id)
    assert house.provider.closed.wait(10)
    house.finish(turn)
    answer = _answer(house, turn)
    assert (answer.status, answer.content) == ("stopped", "so far")


def test_stop_at_once_after_the_start_still_ends_the_answer(house):
    gate = Gate()
    house.provider.script = [gate, STOP]
    for _ in range(20):
        turn = house.send(chat_id=house.new_chat())
        house.process.generations.hub.stop(turn.generation_id)
        assert house.finish(turn).status == "stopped"


@pytest.mark.parametrize("kind", [StreamingUnsupported, StreamCut, ProviderBadAnswer])
def test_stream_that_fails_before_its_first_token_is_asked_again_without_streaming(house, kind):
    house.provider.script = [_error(kind)]
    answer = _answer(house, house.ask())
    assert (answer.status, answer.content) == ("complete", "the whole answer")
    assert (answer.metrics.streamed, answer.metrics.fallback_reason) == (False, "It failed.")
    assert [request.stream for request in house.provider.requests] == [True, False]


def test_fallback_has_what_is_left_of_the_time_and_counts_none_of_it_as_queueing(database_url, monkeypatch):
    now = [1000.0]
    limits = Limits(first_token_sec=1e6, silence_sec=1e6, total_sec=600.0)
    with rig(database_url, limits=limits, clock=lambda: now[0]) as house:
        first, second = Gate(), Gate()
        house.provider.script = [first, _error(StreamCut)]
        monkeypatch.setattr(type(house.provider), "whole", [second, STOP])
        turn = house.send()
        assert first.reached.wait(10)
        now[0] += 400.0
        first.open()
        assert second.reached.wait(10)
        now[0] += 250.0
        live = house.process.generations.hub.find_live(turn.generation_id)
        eventually(lambda: live.end is not None)
        end = house.finish(turn)
        assert "did not finish within 600 s" in end.metrics.error_message
        with house.store.reading() as conn:
            assert conn.execute(text("SELECT queue_ms, duration_ms FROM usage")).one() == (0.0, 250_000.0)


def test_fallback_that_fails_is_not_given_the_fingerprint_of_the_first_try(house, monkeypatch):
    monkeypatch.setattr(type(house.provider), "whole", [_error(RateLimited)])
    house.provider.script = [Chunk(opening=End(fingerprint="f" * 64)), _error(StreamCut)]
    house.ask()
    with house.store.reading() as conn:
        assert conn.execute(text("SELECT fingerprint FROM usage")).scalar_one() is None


@pytest.mark.parametrize("kind", [ProviderAuthFailed, RateLimited])
def test_failure_that_no_fallback_can_cure_is_shown_at_once(house, kind):
    house.provider.script = [_error(kind, retry_after_sec=7.0)]
    answer = _answer(house, house.ask())
    assert (answer.status, answer.metrics.error_code) == ("failed", kind.code)
    assert (answer.metrics.error_message, answer.metrics.error_cure) == ("It failed.", "Do this.")
    assert answer.metrics.retry_after_sec == 7.0
    assert answer.metrics.completion_tokens is None
    assert len(house.provider.requests) == 1


def test_failure_after_the_first_token_keeps_the_text_and_asks_nobody_again(house):
    house.provider.script = ["half an ans", _error(StreamCut)]
    answer = _answer(house, house.ask())
    assert (answer.status, answer.content, answer.metrics.error_code) == ("failed", "half an ans", "stream_cut")
    assert len(house.provider.requests) == 1


def test_bug_in_a_provider_is_a_failed_answer_and_not_a_hanging_one(house):
    house.provider.script = ["x", ZeroDivisionError("oops")]
    answer = _answer(house, house.ask())
    assert (answer.status, answer.content) == ("failed", "x")
    assert "oops" not in answer.metrics.error_message


@pytest.mark.parametrize(("script", "words"), [([], "did not answer"), (["a"], "stopped sending")])
def test_silence_is_ended_by_the_limit(database_url, script, words):
    limits = Limits(silence_sec=0.2) if script else Limits(first_token_sec=0.2)
    with rig(database_url, limits=limits) as house:
        house.provider.script = [*script, Gate(), STOP]
        answer = _answer(house, house.ask())
        assert (answer.status, answer.content, answer.metrics.error_code) == (
            "failed",
            "".join(script),
            "provider_silent",
        )
        assert words in answer.metrics.error_message


def test_event_log_is_empty_after_the_end(house):
    gate = Gate()
    house.provider.script = ["a", gate, "b", STOP]
    turn = house.send()
    eventually(lambda: house.count("generation_events") == 1)
    gate.open()
    house.finish(turn)
    assert house.count("generation_events") == 0


def test_another_process_follows_from_the_database_without_gap_or_repeat(house):
    gate, words = Gate(), [f"w{number} " for number in range(300)]
    house.provider.script = [*words[:150], gate, *words[150:], STOP]
    turn = house.send()
    with process(house.url) as other:
        updates = other.chats.follow(user_id=house.user_id, generation_id=turn.generation_id, interval_sec=0.01)
        shown = ""
        for update in updates:
            shown += update.text
            if len(shown) == len("".join(words[:150])):
                gate.open()
        assert shown == "".join(words)
        assert update.end.content == shown


def test_another_process_can_stop_it(house):
    gate = Gate()
    house.provider.script = ["a", gate, STOP]
    turn = house.send()
    with process(house.url) as other:
        other.chats.stop(user_id=house.user_id, generation_id=turn.generation_id)
        assert read_to_end(other.chats, house.user_id, turn.generation_id)[1].status == "stopped"


def test_database_that_goes_away_in_mid_answer_costs_no_token(house):
    gate = Gate()
    house.provider.script = ["before ", gate, "after", STOP]
    turn = house.send()
    assert gate.reached.wait(10)
    with house.store.transaction() as conn:
        conn.execute(text("ALTER TABLE chat_messages RENAME TO away"))
        conn.execute(text("ALTER TABLE generation_events RENAME TO away_events"))
    gate.open()
    live = house.process.generations.hub.find_live(turn.generation_id)
    shown, end = "", None
    for update in live.follow(after_seq=0, interval_sec=0.01):
        shown, end = shown + update.text, update.end
    assert (shown, end.status) == ("before after", "complete")
    with house.store.transaction() as conn:
        conn.execute(text("ALTER TABLE away RENAME TO chat_messages"))
        conn.execute(text("ALTER TABLE away_events RENAME TO generation_events"))
    assert live.saved.wait(20)
    assert _answer(house, turn).content == "before after"


def test_gaps_and_rates_are_those_of_the_deltas(house):
    house.provider.script = ["a", "b", "c", "d", STOP]
    house.ask()
    with house.store.reading() as conn:
        row = conn.execute(text("SELECT gaps_ms, tokens_per_second, duration_ms, ttft_ms FROM usage")).one()
    assert len(row.gaps_ms) == 3
    assert row.duration_ms >= row.ttft_ms + sum(row.gaps_ms) - 0.1


def test_ttft_begins_when_the_request_was_sent_not_when_it_was_made(house):
    gate = Gate()
    house.provider.script = [gate, Chunk("a", opening=End(connect_ms=50.0)), STOP]
    began = time.perf_counter()
    turn = house.send()
    time.sleep(0.06)
    gate.open()
    house.finish(turn)
    passed_ms = (time.perf_counter() - began) * 1000
    with house.store.reading() as conn:
        row = conn.execute(text("SELECT ttft_ms, queue_ms FROM usage")).one()
    assert 0 <= row.ttft_ms <= passed_ms - 50 - row.queue_ms


def test_model_that_never_stops_is_cut_with_its_text_kept(house):
    house.provider.script = ["x" * 40_000, "y" * 40_000, STOP]
    answer = _answer(house, house.ask(params=Params(max_tokens=256)))
    assert (answer.status, answer.metrics.error_code, len(answer.content)) == ("failed", "stream_cut", 40_000)
    assert "did not stop" in answer.metrics.error_message
    assert house.provider.closed.wait(10)


def test_chore_that_tidies_up_when_it_is_cancelled_may_finish(database_url):
    started, tidied = threading.Event(), threading.Event()

    async def chore():
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            tidied.set()

    with process(database_url) as app:
        app.generations.hub.submit(chore())
        assert started.wait(10)
    assert tidied.is_set()
