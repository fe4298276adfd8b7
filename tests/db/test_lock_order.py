"""Deletes meet ends, heartbeats and the reaper in the same moment: they wait for each other, never in a circle."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from chatplay.errors import StoreConflict
from chatplay.generation import reaper
from chatplay.generation.reaper import Reaper
from chatplay.store import Store
from db import call_ends, chats
from tests.db.chat_rig import Gate, eventually, rig
from tests.db.experiment_rig import house as experiment_house

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


class Hold:
    """Stands in the way of somebody who holds locks already, until the test lets them go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def wait(self) -> None:
        self.reached.set()
        assert self.go_on.wait(10)


@pytest.fixture
def end_held(monkeypatch):
    """Holds the first end that comes to a statement of `end_calls`."""
    run = call_ends.run_each

    def hold_before(held):
        hold = Hold()

        def run_or_wait(conn, statement, rows):
            if statement is held and rows and not hold.reached.is_set():
                hold.wait()
            run(conn, statement, rows)

        monkeypatch.setattr(call_ends, "run_each", run_or_wait)
        return hold

    return hold_before


@contextmanager
def meeting(store, act):
    """Runs `act` in a thread of its own; the block begins when it waits for a lock, and ends when it is done."""
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        eventually(lambda: acting.done() or _waiting(store) > 0)
        yield
        acting.result(timeout=30)


def _waiting(store):
    with store.reading() as conn:
        return conn.execute(text(_WAITING)).scalar_one()


def _count(store, table):
    with store.reading() as conn:
        return conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


def test_comparison_is_deleted_while_its_answers_end(desk, end_held):
    desk.provider.script = ["Hello", gate := Gate()]
    desk.run()
    assert gate.reached.wait(10)
    hold = end_held(call_ends._FINISH_GENERATION)
    desk.compare.stop(**desk.me)
    assert hold.reached.wait(10)
    with meeting(desk.store, lambda: desk.compare.delete(**desk.me)):
        hold.go_on.set()
    assert [_count(desk.store, table) for table in ("comparisons", "generations", "answers")] == [0, 0, 0]


def test_experiment_is_deleted_while_a_trial_ends(database_url, end_held):
    with experiment_house(database_url) as house:
        hold = end_held(call_ends._FINISH_USAGE)
        experiment_id = house.start()
        house.work()
        assert hold.reached.wait(10)
        with meeting(house.process.store, lambda: house.call("delete", experiment_id)):
            hold.go_on.set()
        assert [_count(house.process.store, table) for table in ("experiments", "generations", "answers")] == [0, 0, 0]


@pytest.fixture
def lost(database_url, monkeypatch):
    """A rig whose turns nobody makes, as when their process has died."""
    with rig(database_url) as house:
        monkeypatch.setattr(house.process.calls, "run", lambda job: None)
        yield house


def test_chat_is_deleted_while_the_reaper_ends_its_answer(lost, monkeypatch):
    chat_id, hold, interrupted = lost.send().user_message.session_id, Hold(), reaper._interrupted
    monkeypatch.setattr(reaper, "_interrupted", lambda *what: hold.wait() or interrupted(*what))
    looking = Reaper(store=lost.store, lives_here=lambda _: False, after_sec=0.0, gone_after_sec=0.0)

    def delete():
        with lost.store.transaction() as conn:
            assert chats.delete_chat(conn, user_id=lost.user_id, chat_id=chat_id)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(looking.look)
        assert hold.reached.wait(10)
        with meeting(lost.store, delete):
            hold.go_on.set()
        assert len(ended.result(timeout=30)) == 1
    assert _count(lost.store, "chat_sessions") == 0


def test_all_chats_are_deleted_while_their_answers_show_signs_of_life(lost):
    ids = sorted(lost.send(f"prompt {number}").generation_id for number in range(6))

    def delete_all():
        with lost.store.transaction() as conn:
            assert chats.delete_chats(conn, user_id=lost.user_id) == 6

    with lost.store.transaction() as beating:  # locks as a heartbeat does, one after the other
        beat = text("SELECT FROM generations WHERE id = :id FOR NO KEY UPDATE")
        beating.execute(beat, {"id": ids[0]})
        with meeting(lost.store, delete_all):
            for generation_id in ids[1:]:
                beating.execute(beat, {"id": generation_id})
            beating.commit()
    assert _count(lost.store, "generations") == 0


_LOCK = text("SELECT pg_advisory_xact_lock(:number)")


def test_of_two_works_that_wait_in_a_circle_one_is_told_to_try_again(engine):
    store, both_hold_one = Store(engine), threading.Barrier(2)

    def lock(first, then):
        with store.transaction() as conn:
            conn.execute(_LOCK, {"number": first})
            both_hold_one.wait(10)
            conn.execute(_LOCK, {"number": then})

    with ThreadPoolExecutor(2) as pool:
        works = [pool.submit(lock, 1, 2), pool.submit(lock, 2, 1)]
    failed = [work.exception() for work in works if work.exception()]
    assert [(type(error), error.cure) for error in failed] == [(StoreConflict, "Try again.")]


def test_work_whose_ground_has_moved_is_told_so(engine):
    store, change = Store(engine), text("UPDATE alembic_version SET version_num = version_num")

    def change_late():
        with store.transaction() as conn:
            conn.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            conn.execute(text("SELECT FROM alembic_version"))
            with store.transaction() as other:
                other.execute(change)
            conn.execute(change)

    with pytest.raises(StoreConflict, match="Something else changed"):
        change_late()
