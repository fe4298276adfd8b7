"""How far an experiment is, and how long it will still take by what it did last."""

from types import SimpleNamespace

import pytest

from chatplay.experiments.runs import progress_of
from chatplay.ui.experiments.run import _headline
from db.trials import StateCount


def progress(*counts: StateCount, state: str = "running"):
    row = SimpleNamespace(state=state, paused_because=None, calls=0, retries=0, cost_usd=0.0, unknown_costs=0)
    return progress_of(row, counts)


WAITING = StateCount(False, "waiting", 60, 0, None, None)
DONE = StateCount(False, "done", 40, 21, 10.0, None)  # 20 ends in the 10 s since the first of the 21


def test_time_left_is_that_of_all_calls_at_the_pace_of_the_last_ones():
    judged = StateCount(True, "waiting", 20, 0, None, None)
    assert (progress(WAITING, DONE).trials_per_sec, progress(WAITING, DONE).left_sec) == (2.0, 30.0)
    assert progress(WAITING, DONE, judged).left_sec == pytest.approx(40.0)
    assert _headline(progress(WAITING, DONE), 40) == "40 of 100 trials, about 30 s left"


@pytest.mark.parametrize("state", ["running", "paused"])
def test_nothing_is_said_of_the_time_left_before_two_calls_ended_or_while_none_begins(state):
    found = progress(WAITING, StateCount(False, "done", 1, 1, 10.0, None) if state == "running" else DONE, state=state)
    assert found.left_sec is None
    assert "about" not in _headline(found, 1)
