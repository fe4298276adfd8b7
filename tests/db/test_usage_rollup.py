"""The roll-up counts each call once: in the middle of a crash, beside another process, from its end on."""

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from chatplay.store import Store
from db import call_ends, chats, usage_rollup
from db.call_ends import CallEnd
from db.generations import UsageFigures
from tests.db.chat_rig import eventually, rig
from tests.db.usage_rig import NOON, count_pending, day, make_rig, rows_of

HOUR = timedelta(hours=1)


@pytest.fixture
def house(engine):
    return make_rig(Store(engine))


# ---- exactly once --------------------------------------------------------------------------------


def test_call_is_counted_once_however_often_the_roll_up_runs(house):
    house.add()
    assert [house.count(), house.count(), house.count()] == [1, 0, 0]
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 1


@pytest.mark.parametrize(
    "statement", ["INSERT INTO usage_rollups", "INSERT INTO usage_settings", "DELETE FROM usage_p"]
)
def test_crash_in_the_middle_leaves_nothing_half(house, engine, monkeypatch, statement):
    house.add()
    house.count()
    before = rows_of(house)
    house.add(session_id=uuid4())
    real = Connection.execute

    def crash(self, clause, *args, **more):
        result = real(self, clause, *args, **more)
        if str(clause).lstrip().startswith(statement):
            raise ConnectionError("the process died here")
        return result

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "execute", crash)
        with pytest.raises(ConnectionError):
            house.count()
    assert (rows_of(house), house.pending(), rows_of(house, "usage_chats")) == (before, 1, [])
    assert house.count() == 1
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 2


def test_server_that_kills_the_connection_in_the_middle_loses_and_doubles_nothing(house, engine):
    house.add()
    with engine.connect() as conn:
        usage_rollup.roll_up(conn, limit=10)
        with pytest.raises(OperationalError):
            conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert (house.pending(), house.count(), house.pending()) == (1, 1, 0)
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 1


def test_second_process_passes_while_the_first_counts(house, engine):
    house.add()
    with engine.begin() as first:
        assert usage_rollup.roll_up(first, limit=10) == 1
        assert house.count() == 0
    assert house.count() == 0
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 1


def test_call_that_commits_late_is_counted_although_newer_ones_were(house, engine):
    call = house.add(count=False)
    with engine.begin() as late:
        late.execute(text("INSERT INTO usage_pending VALUES (:id, :at)"), {"id": call, "at": NOON})
        house.add(NOON + HOUR)
        assert house.count() == 1
    assert house.count() == 1
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 2


def test_backlog_is_counted_in_batches_each_of_its_own(house):
    for _ in range(7):
        house.add(session_id=UUID(int=1))
    house.worker._batch = 3
    assert house.count() == 7
    assert house.usage.tiles(house.everyone(**day()), "UTC").prompts_per_chat.value == 7


def test_worker_counts_by_itself_and_ends_when_told(house):
    house.add()
    worker = type(house.worker)(store=house.store, every_sec=0.01)
    worker.start()
    eventually(lambda: house.pending() == 0)
    worker.close()
    assert not worker._thread.is_alive()


# ---- from the end of a call ----------------------------------------------------------------------


@pytest.fixture
def playground(database_url):
    with rig(database_url) as house:
        yield house


def test_every_ended_answer_waits_to_be_counted(playground):
    playground.ask()
    assert count_pending(playground.store) == 1


def end_again(playground, generation_id, **figures):
    with playground.store.transaction() as conn:
        figures = UsageFigures(status="complete", **figures)
        call_ends.end_calls(conn, [CallEnd(generation_id, figures)])


def prompt_tokens(playground, generation_id):
    with playground.store.reading() as conn:
        query = text("SELECT prompt_tokens FROM usage WHERE generation_id = :id")
        return conn.execute(query, {"id": generation_id}).scalar_one()


def test_figures_written_again_before_they_are_counted_replace_the_first(playground):
    turn = playground.ask()
    end_again(playground, turn.generation_id, prompt_tokens=77)
    assert (prompt_tokens(playground, turn.generation_id), count_pending(playground.store)) == (77, 1)


def test_figures_stand_once_they_are_counted(playground):
    turn = playground.ask()
    with playground.store.transaction() as conn:
        usage_rollup.roll_up(conn, limit=10)
    end_again(playground, turn.generation_id, prompt_tokens=77)
    assert prompt_tokens(playground, turn.generation_id) != 77
    assert count_pending(playground.store) == 0


def test_end_that_comes_while_its_call_is_counted_waits_and_changes_nothing(playground):
    turn = playground.ask()
    with playground.store.transaction() as conn:
        usage_rollup.roll_up(conn, limit=10)
        late = threading.Thread(target=lambda: end_again(playground, turn.generation_id, prompt_tokens=77))
        late.start()
        blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        eventually(lambda: conn.execute(blocked).scalar_one() > 0)
    late.join(10)
    assert (prompt_tokens(playground, turn.generation_id) != 77, count_pending(playground.store)) == (True, 0)


def test_deleted_chat_keeps_its_usage(playground):
    chat_id = playground.new_chat()
    playground.ask(chat_id=chat_id)
    with playground.store.transaction() as conn:
        chats.delete_chat(conn, user_id=playground.user_id, chat_id=chat_id)
        assert usage_rollup.roll_up(conn, limit=10) == 1
        counted = text("SELECT sum(calls) FROM usage_rollups WHERE (level, scope, shape, scope_id) = (1, 2, 0, :id)")
        assert conn.execute(counted, {"id": playground.user_id}).scalar_one() == 1
