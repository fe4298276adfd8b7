"""A worker's process is killed with SIGKILL: no trial is lost, none is counted twice."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from chatplay.errors import StoreError
from chatplay.experiments.endings import INTERRUPTED, MOST_INTERRUPTIONS
from tests.db.chat_rig import eventually
from tests.db.experiment_rig import house as make_house
from tests.db.processes import ROOT, query


@pytest.fixture
def house(database_url):
    with make_house(database_url, reap_after_sec=1.0) as found:
        yield found


@contextmanager
def working_process(url, how):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "db" / "worker_process.py"), url, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        assert process.stdout.readline() == "working\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def counted(house):
    """(trials with another number of complete calls than one, trials, calls that were interrupted)."""
    return query(
        house.url,
        """
        WITH RECURSIVE chain AS (
          SELECT id AS trial, generation_id FROM experiment_trials
          UNION ALL SELECT c.trial, u.retry_of FROM chain c JOIN usage u USING (generation_id)
          WHERE u.retry_of IS NOT NULL)
        SELECT count(*) FILTER (WHERE complete <> 1), count(*), sum(interrupted) FROM (
          SELECT trial, count(*) FILTER (WHERE status = 'complete') AS complete,
                 count(*) FILTER (WHERE status = 'interrupted') AS interrupted
          FROM chain JOIN usage USING (generation_id) GROUP BY trial) x
        """,
    )[0]


def test_worker_killed_in_the_middle_of_calls_has_them_made_again(house):
    experiment_id = house.start(cases=10)
    with working_process(house.url, "hold") as process:
        eventually(lambda: house.progress(experiment_id).running == 4, tries=6000)
        process.kill()
        process.wait(timeout=30)
    house.work()
    house.finish(experiment_id)
    assert house.progress(experiment_id).done == 40
    assert counted(house) == (0, 40, 4)


def test_trial_whose_calls_died_with_their_worker_too_often_fails(house):
    experiment_id = house.start(cases=10)
    with working_process(house.url, "hold") as process:
        eventually(lambda: house.progress(experiment_id).running == 4, tries=6000)
        last = query(
            house.url,
            f"UPDATE experiment_trials SET attempt = {MOST_INTERRUPTIONS} WHERE state = 'running' RETURNING id",
        )
        process.kill()
        process.wait(timeout=30)
    house.work()
    house.finish(experiment_id)
    assert (house.progress(experiment_id).failed, house.progress(experiment_id).done) == (4, 36)
    assert {house.trial(experiment_id, row[0]).error for row in last} == {INTERRUPTED.error}


def test_worker_killed_at_full_speed_loses_and_doubles_nothing(house):
    experiment_id = house.start(cases=100)
    with working_process(house.url, "run") as process:
        eventually(lambda: house.progress(experiment_id).done > 40, tries=6000)
        process.kill()
        process.wait(timeout=30)
    assert house.progress(experiment_id).state == "running"
    house.work()
    house.finish(experiment_id)
    assert house.progress(experiment_id).done == 400
    wrong, trials, _ = counted(house)
    assert (wrong, trials) == (0, 400)


def test_cancel_reaches_a_worker_in_another_process(house):
    experiment_id = house.start(cases=10)
    with working_process(house.url, "hold"):
        eventually(lambda: house.progress(experiment_id).running == 4, tries=6000)
        house.call("cancel", experiment_id)
        eventually(lambda: house.progress(experiment_id).cancelled == 40, tries=6000)


def test_calls_that_could_not_be_stored_count_as_no_attempt(house, monkeypatch):
    calls, failures = house.process.calls, [StoreError("The database does not answer.")]
    open_many = calls.open_many

    def failing(conn, wanted, terms):
        if failures:
            raise failures.pop()
        return open_many(conn, wanted, terms)

    monkeypatch.setattr(calls, "open_many", failing)
    house.run(cases=2)
    assert not failures
    assert query(house.url, "SELECT count(*) FROM usage WHERE attempt > 1 OR retry_of IS NOT NULL") == [(0,)]
