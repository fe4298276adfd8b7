"""An experiment that has started is extended: what runs then, and what is refused."""

from dataclasses import replace

import pytest

from chatplay.errors import BadInput, PlanChanged
from chatplay.experiments.values import CaseTable
from tests.db.experiment_rig import house as make_house
from tests.db.experiment_rig import words


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


def test_what_was_cancelled_is_part_of_what_an_extension_will_run(house):
    experiment_id = house.start()
    house.call("cancel", experiment_id)
    plan = replace(house.call("get", experiment_id).plan, repeats=3)
    ahead = house.call("preview", experiment_id, role="analyst", plan=plan)
    assert (ahead.trials, ahead.new_trials, ahead.forecast.calls) == (18, 18, 18)
    assert house.call("extend", experiment_id, role="analyst", plan=plan) == 18


def test_extension_by_fewer_repeats_than_there_are_is_refused(house):
    experiment_id = house.start()
    fewer = replace(house.call("get", experiment_id).plan, repeats=1)
    problem = house.call("preview", experiment_id, role="analyst", plan=fewer).problems[0]
    assert (problem.field, problem.cure) == ("repeats", "Write 2 or more.")
    with pytest.raises(BadInput, match="2 repeats already"):
        house.call("extend", experiment_id, role="analyst", plan=fewer)
    assert house.call("get", experiment_id).plan.repeats == 2


def test_second_tab_that_extends_is_told_of_the_first(house):
    experiment_id = house.start()
    seen = house.call("get", experiment_id)
    more = {"role": "analyst", "plan": replace(seen.plan, repeats=seen.plan.repeats + 1), "revision": seen.revision}
    assert house.call("extend", experiment_id, **more) > 0
    with pytest.raises(PlanChanged, match="another tab"):
        house.call("extend", experiment_id, **more)


def test_extension_runs_only_what_is_missing(house):
    experiment_id = house.run(axes="0, 0.5", cases=3, repeats=2)
    plan = house.call("get", experiment_id).plan
    more = replace(plan, repeats=3, axes=(replace(plan.axes[0], text="0, 0.5, 1"),))
    new = house.call("extend", experiment_id, role="analyst", plan=more, cases=words(1))
    house.finish(experiment_id)
    assert new == 3 * 4 * 3 - 12
    assert len(house.answerer.requests) == 36
    found = house.call("get", experiment_id)
    assert [arm.levels["temperature"] for arm in found.arms] == ["0", "0.5", "1"]


def test_extension_by_cases_with_an_unknown_column_is_refused_and_runs_nothing(house):
    experiment_id = house.start(cases=1)
    plan, wrong = house.call("get", experiment_id).plan, CaseTable(("wrod",), (("dear",),))
    with pytest.raises(BadInput, match="no column `wrod`") as refused:
        house.call("extend", experiment_id, role="analyst", plan=plan, cases=wrong)
    assert (refused.value.param, refused.value.cure) == ("cases", "Rename it; there are `word`, `expected`.")
    assert house.progress(experiment_id).trials == 4


def test_extension_by_cases_that_lack_a_column_leaves_it_empty(house):
    experiment_id = house.start(cases=1)
    plan, more = house.call("get", experiment_id).plan, CaseTable(("word",), (("dear",),))
    assert house.call("extend", experiment_id, role="analyst", plan=plan, cases=more) == 4
    assert house.call("get_cases", experiment_id).rows[1] == ("dear", "")
