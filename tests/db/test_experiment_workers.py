"""Several workers on one experiment: they share it, leave it to others, and need not all have what others have."""

import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from chatplay.experiments import elsewhere
from chatplay.experiments.values import Standstill
from tests.db.chat_rig import eventually, process
from tests.db.experiment_rig import QUICK, make_worker
from tests.db.experiment_rig import house as make_house
from tests.db.processes import query


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


def test_two_workers_share_the_trials_and_run_none_twice(house):
    experiment_id = house.start(cases=40)
    house.work()
    house.work()
    house.finish(experiment_id)
    assert len(house.answerer.requests) == 160
    assert house.progress(experiment_id).calls == 160


def test_worker_that_is_closed_leaves_its_trials_to_the_next(house):
    house.answerer.hold = threading.Event()
    experiment_id = house.start(cases=10)
    worker = house.work()
    eventually(lambda: house.progress(experiment_id).running == 4)
    worker.close()
    house.answerer.hold.set()
    house.work()
    house.finish(experiment_id)
    assert house.progress(experiment_id).done == 40
    assert len(house.answerer.requests) == 40


def without_server(view):
    return replace(view, upstreams=(), models=())


def without_key(view):
    upstreams = tuple(replace(one, missing_key="stored but unreadable") for one in view.upstreams)
    return replace(view, upstreams=upstreams)


@contextmanager
def lacking_worker(house, lack, **pace):
    """A worker in a process of its own whose catalog `lack` has taken something from."""
    with process(house.url) as other:
        other.catalog._view = lack(other.catalog._view)
        worker = make_worker(other, house.url, replace(QUICK, **pace))
        worker.start()
        try:
            yield
        finally:
            worker.close()


def note_asked(house, *, sec_ago):
    query(
        house.url,
        "INSERT INTO upstream_health (upstream, base_url, checked_at, healthy, models, failed_checks, failed_calls) "
        f"VALUES ('scripted', '', now() - interval '{sec_ago} seconds', true, '[]', 0, 0)",
    )


def test_worker_that_was_never_started_leaves_nothing_open(house, database_url):
    worker = make_worker(house.process, database_url, QUICK)
    worker.close()
    assert worker._loop.is_closed()
    worker.close()


@pytest.mark.parametrize("lack", [without_server, without_key])
def test_worker_that_lacks_a_server_leaves_its_trials_to_those_who_have_it(house, caplog, lack):
    experiment_id = house.start(cases=10)
    note_asked(house, sec_ago=1)
    with lacking_worker(house, lack):
        eventually(lambda: "trials at scripted are left to other workers" in caplog.text)
        house.work()
        house.finish(experiment_id)
    assert len(house.answerer.requests) == house.progress(experiment_id).done == 40
    assert caplog.text.count("are left to other workers") == 1


def test_worker_that_has_just_begun_waits_for_others_to_begin(house, caplog):
    experiment_id = house.start()
    note_asked(house, sec_ago=3_600)
    with lacking_worker(house, without_server):
        eventually(lambda: "are left to other workers" in caplog.text)
    assert house.progress(experiment_id).state == "running"


@pytest.mark.parametrize(
    ("lack", "because"),
    [(without_server, "is not there any more. Add the server again"), (without_key, "API key cannot be opened")],
)
def test_experiment_pauses_when_nobody_has_its_server(house, lack, because):
    experiment_id = house.start()
    note_asked(house, sec_ago=3_600)
    with lacking_worker(house, lack, patience_sec=0.0):
        house.finish(experiment_id, "paused")
    assert because in house.progress(experiment_id).paused_because


def test_experiment_pauses_at_once_when_its_server_was_switched_off(house):
    experiment_id = house.start()
    note_asked(house, sec_ago=1)
    query(
        house.url,
        "INSERT INTO upstreams (name, base_url, allowed_models, enabled, settings, per_model) "
        "VALUES ('Scripted', 'http://127.0.0.1:9/v1', '{}', false, '{}', '{}')",
    )
    with lacking_worker(house, without_server):
        house.finish(experiment_id, "paused")


# ---- the built-in models, which nobody checks --------------------------------------------------


@pytest.fixture
def built_in(monkeypatch):
    """The server of these tests counts as one of the built-in ones."""
    monkeypatch.setattr(elsewhere, "RESERVED_NAMES", ("scripted",))


def test_worker_without_the_built_in_models_leaves_their_trials_to_other_workers(house, built_in, caplog):
    experiment_id = house.start_held(cases=100)  # more lots than one worker takes at once
    with lacking_worker(house, without_server, patience_sec=0.0):
        eventually(lambda: "trials at scripted are left to other workers: DEMO_MODELS is off here." in caplog.text)
        house.answerer.hold.set()
        house.finish(experiment_id)
    assert house.progress(experiment_id).done == 400


def test_experiment_on_built_in_models_pauses_when_the_only_worker_lacks_them(house, built_in):
    experiment_id = house.start()
    with lacking_worker(house, without_server, patience_sec=0.0):
        house.finish(experiment_id, "paused")
    assert "is not there any more" in house.progress(experiment_id).paused_because


# ---- nobody takes what waits -------------------------------------------------------------------


def test_experiment_that_no_worker_takes_up_says_so_after_a_moment(house):
    experiment_id = house.start()
    assert house.call("find_standstill", experiment_id) is None  # a worker may be about to begin
    query(house.url, "UPDATE experiments SET updated_at = now() - interval '20 seconds' RETURNING id")
    assert house.call("find_standstill", experiment_id) == Standstill(False, ("scripted",))
    house.call("pause", experiment_id)
    assert house.call("find_standstill", experiment_id) is None


def test_experiment_that_all_workers_leave_to_others_says_so(house):
    experiment_id = house.start()
    note_asked(house, sec_ago=1)
    with lacking_worker(house, without_server):
        eventually(lambda: query(house.url, "SELECT count(*) FROM procrastinate_workers") == [(1,)])
        query(house.url, "UPDATE experiments SET updated_at = now() - interval '1 minute' RETURNING id")
        assert house.call("find_standstill", experiment_id) is None  # a call may wait for its next attempt
        query(house.url, "UPDATE experiments SET updated_at = now() - interval '2 minutes' RETURNING id")
        assert house.call("find_standstill", experiment_id) == Standstill(True, ("scripted",))


def test_experiment_whose_calls_run_stands_still_for_nothing(house):
    experiment_id = house.start_held(cases=10)
    query(house.url, "UPDATE experiments SET updated_at = now() - interval '1 hour' RETURNING id")
    query(
        house.url,
        "UPDATE experiment_trials SET started_at = now() - interval '1 hour' WHERE state = 'running' RETURNING id",
    )
    assert house.call("find_standstill", experiment_id) is None
    house.answerer.hold.set()
