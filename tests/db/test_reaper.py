"""Answers whose process has died: ended with what had arrived, and nobody's who lives."""

from __future__ import annotations

import threading
import time
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from chatplay.generation.reaper import Reaper
from chatplay.params import Params
from db import generations
from tests.db.chat_rig import STOP, Gate, eventually, process, read_to_end, rig


def test_process_that_ends_in_order_leaves_interrupted_with_its_text(database_url):
    gate = Gate()
    with rig(database_url) as house:
        house.provider.script = ["kept", gate, STOP]
        turn = house.send()
        assert gate.reached.wait(10)
        with process(database_url) as other:
            house.process.generations.close()
            shown, end = read_to_end(other.chats, house.user_id, turn.generation_id)
    assert (shown, end.status) == ("kept", "interrupted")


def test_reaper_ends_what_a_dead_process_left_with_the_text_that_had_arrived(database_url):
    with rig(database_url) as house, process(database_url, reap_after_sec=0.5) as living:
        house.provider.script = ["arrived", Gate(), STOP]
        turn = house.send()
        eventually(lambda: house.count("generation_events") == 1)
        house.process.generations.log.on_tick = None  # as dead as its heart
        shown, end = read_to_end(living.chats, house.user_id, turn.generation_id)
        assert (shown, end.status) == ("arrived", "interrupted")
        with living.store.reading() as conn:
            row = conn.execute(text("SELECT status, ttft_ms, error_class FROM usage")).one()
        assert (row.status, row.error_class) == ("interrupted", "interrupted")
        assert row.ttft_ms is not None


def test_what_was_measured_of_an_answer_is_kept_when_its_process_dies(database_url):
    with rig(database_url) as house, process(database_url, reap_after_sec=0.5) as living:
        gates = [Gate(), Gate(), Gate()]
        house.provider.script = ["one ", gates[0], "two ", gates[1], "three", gates[2], STOP]
        turn = house.send(params=Params(temperature=0.3))
        for gate in gates[:2]:
            assert gate.reached.wait(10)
            time.sleep(0.03)
            gate.open()
        eventually(lambda: _stored(house, turn) == "one two three")
        house.process.generations.log.on_tick = None
        _shown, end = read_to_end(living.chats, house.user_id, turn.generation_id)
        with living.store.reading() as conn:
            row = conn.execute(text("SELECT gaps_ms, itl_max_ms, tokens_per_second, duration_ms FROM usage")).one()
    assert len(row.gaps_ms) == 2
    assert row.itl_max_ms == pytest.approx(max(row.gaps_ms))
    assert end.metrics.itl_p50_ms >= 30
    assert row.tokens_per_second == pytest.approx(end.metrics.tokens_per_second)
    assert row.duration_ms is end.metrics.duration_ms is None  # nobody saw the end
    assert end.metrics.params.temperature == 0.3


def _stored(house, turn):
    with house.store.reading() as conn:
        batches = generations.list_events(conn, generation_id=turn.generation_id)
    return "".join(text for batch in batches for text in batch.texts)


class Watched:
    """A reaper of another process that looks at moments the test tells."""

    def __init__(self, house) -> None:
        self._now = 0.0
        self._reaper = Reaper(
            store=house.store,
            lives_here=lambda _: False,
            after_sec=10,
            gone_after_sec=4,
            clock=lambda: self._now,
        )

    def look(self, at_sec: float) -> list[UUID]:
        self._now = at_sec
        return self._reaper.look()


@pytest.fixture
def mute(database_url):
    """A running answer whose process shows no sign of life, and is connected."""
    with rig(database_url) as house:
        house.process.generations.log.on_tick = None
        house.provider.script = ["arrived", Gate(), STOP]
        house.send()
        owner = house.process.calls.owner
        eventually(lambda: _is_connected(house, owner))
        yield house


def _is_connected(house, owner):
    with house.store.reading() as conn:
        return generations.list_connected(conn, owners={owner, uuid4()}) == {owner}


def test_answer_of_a_process_that_has_left_the_database_is_not_waited_for_long(mute):
    watched = Watched(mute)
    assert [watched.look(at_sec) for at_sec in (0, 2, 4, 6)] == [[]] * 4  # it may only be slow
    mute.process.generations.listener.close()
    eventually(lambda: not _is_connected(mute, mute.process.calls.owner))
    assert len(watched.look(8)) == 1
    assert watched.look(9) == []


def test_database_that_was_away_kills_nobody_who_could_not_reach_it(mute, monkeypatch):
    watched = Watched(mute)
    assert watched.look(0) == []
    with monkeypatch.context() as patched:
        patched.setattr(mute.store.engine, "connect", Mock(side_effect=OperationalError("", None, Exception("away"))))
        assert watched.look(11) == []
    assert [watched.look(at_sec) for at_sec in (12, 20)] == [[], []]
    assert len(watched.look(22)) == 1


def test_reaper_ends_what_its_own_process_was_never_told_to_begin(database_url, monkeypatch):
    with rig(database_url, reap_after_sec=0.5) as house:
        with monkeypatch.context() as patched:
            patched.setattr(house.process.calls, "run", lambda job: None)  # as if the reply to the commit was lost
            turn = house.send("lost")
        eventually(lambda: house.view(turn.user_message.session_id).running is None)
        message = house.view(turn.user_message.session_id).messages[-1]
        assert (message.status, message.metrics.error_code) == ("interrupted", "interrupted")
        house.ask("again", chat_id=turn.user_message.session_id)


def test_reaper_spares_the_living_however_the_clock_jumps(database_url):
    gate = Gate()
    with rig(database_url) as house, process(database_url, reap_after_sec=0.6, heartbeat_sec=0.1):
        house.provider.script = ["a", gate, "b", STOP]
        turn = house.send()
        eventually(lambda: house.count("generation_events") == 1)
        with house.store.transaction() as conn:  # as if the database's clock had stood an hour back until now
            conn.execute(text("UPDATE generations SET heartbeat_at = heartbeat_at - interval '1 hour'"))
        threading.Event().wait(1.5)
        gate.open()
        assert house.finish(turn).status == "complete"


def test_answer_that_somebody_holds_keeps_no_other_from_its_heartbeat(database_url):
    gate = Gate()
    with rig(database_url, heartbeat_sec=60.0, reap_after_sec=120.0) as house:
        house.provider.script = ["a", gate, STOP]
        held, other = (house.send().generation_id for _ in range(2))
        owner = house.process.calls.owner
        seen = text("SELECT heartbeat_at FROM generations WHERE id = :id")
        with house.store.transaction() as holding, house.store.transaction() as conn:
            before = conn.execute(seen, {"id": other}).scalar_one()
            holding.execute(text("SELECT FROM generations WHERE id = :id FOR UPDATE"), {"id": held})
            conn.execute(text("SET LOCAL lock_timeout = '2s'"))
            assert generations.beat(conn, owner=owner, generation_ids=[held, other]) == []
            assert conn.execute(seen, {"id": other}).scalar_one() > before
        gate.open()
