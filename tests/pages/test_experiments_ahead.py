"""Figures of an ended experiment are read while its Run tab is on show."""

import threading

import pytest

from chatplay.experiments.service import ExperimentService
from chatplay.ui.experiments.results import ahead
from chatplay.ui.experiments.results.data import Board
from tests.experiment_results_rig import finish
from tests.pages.screen import opened, said


@pytest.fixture
def computed(monkeypatch):
    """The names of what is read or computed from here on, in this order."""
    names, keep, get_results = [], Board.keep, ExperimentService.get_results

    def noted_keep(board, name, compute):
        return keep(board, name, lambda: (names.append(name), compute())[1])

    def noted_results(service, **asked):
        names.append("results")
        return get_results(service, **asked)

    monkeypatch.setattr(Board, "keep", noted_keep)
    monkeypatch.setattr(ExperimentService, "get_results", noted_results)
    return names


def wait_for_readers():
    for thread in threading.enumerate():
        if thread.name == "results-ahead":
            thread.join(timeout=30)


def test_results_have_only_to_be_drawn_after_a_look_at_run(services, ada, computed):
    experiment = finish(services, ada.id, axes="0, 1", others={"top_p": "0.5, 1"})
    opened("experiments", experiment=experiment.id, tab="run")
    wait_for_readers()
    assert {"results", "arms", "baseline 0", "frontier"} <= set(computed)
    computed.clear()
    app = opened("experiments", experiment=experiment.id, tab="results")
    assert "Two settings together" in said(app)
    assert computed == []


def test_nothing_is_read_ahead_of_a_run_that_goes_on(services, ada, computed):
    experiment = finish(services, ada.id)
    services.experiments.rerun_cell(user_id=ada.id, experiment_id=experiment.id, arm=0, case=0)
    opened("experiments", experiment=experiment.id, tab="run")
    wait_for_readers()
    assert computed == []


def test_a_reading_that_fails_leaves_the_place_to_the_next(services, ada, computed, monkeypatch, caplog):
    experiment = finish(services, ada.id)
    with monkeypatch.context() as broken:
        broken.setattr(Board, "work_out", lambda board: 1 / 0)
        opened("experiments", experiment=experiment.id, tab="run")
        wait_for_readers()
    assert "ZeroDivisionError" in caplog.text
    opened("experiments", experiment=experiment.id, tab="run")
    wait_for_readers()
    assert "frontier" in computed


def test_two_looks_at_once_read_once(services, ada, computed, monkeypatch):
    experiment, go_on, began = finish(services, ada.id), threading.Event(), threading.Event()
    work_out = Board.work_out

    def slow(board):
        began.set()
        go_on.wait(30)
        work_out(board)

    monkeypatch.setattr(Board, "work_out", slow)
    opened("experiments", experiment=experiment.id, tab="run")
    assert began.wait(30)
    ahead.begin(experiment, None)
    assert sum(thread.name == "results-ahead" for thread in threading.enumerate()) == 1
    go_on.set()
    wait_for_readers()
    assert computed.count("results") == 1
