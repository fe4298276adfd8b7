"""Judge models on a real database: asked with the rubric, counted beside people, removed or withdrawn."""

import io
import json
import threading
import zipfile

import pytest

from chatplay.errors import Conflict, NotFound
from chatplay.experiments.values import JudgePlan
from tests.db.chat_rig import eventually
from tests.db.experiment_rig import MODEL
from tests.db.experiment_rig import house as make_house
from tests.db.processes import query


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


def says(text):
    return lambda request: text


def test_judge_scores_every_answer_with_the_rubric_and_the_case(house):
    experiment_id = house.run(cases=2, repeats=1)
    house.answerer.answer = says(json.dumps({"score": 0.75, "reason": "fine"}))
    house.answerer.requests.clear()
    number = house.call("run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, "Is it like {{expected}}?"))
    house.finish(experiment_id)
    assert house.call("get_results", experiment_id, scored_by=f"judge:{number}").table.score.tolist() == [0.75] * 4
    asked = {request.messages[-1].content for request in house.answerer.requests}
    assert any("Is it like w1 at 0?" in text and "Say w1 at 0.5" in text for text in asked)
    assert house.progress(experiment_id).judgements_done == 4


def test_pair_judge_sees_both_places_and_a_lean_to_the_first_is_found(house):
    experiment_id = house.run(cases=3, repeats=1)
    house.answerer.answer = says('{"winner": "A", "reason": "first"}')
    number = house.call(
        "run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, "Which is better?", pairs=True)
    )
    house.finish(experiment_id)
    assert house.call("list_swaps", experiment_id, judge=number) == [("left", "left")] * 3
    votes = house.call("list_votes", experiment_id, judge=number)
    assert sorted(vote.winner for vote in votes) == ["left"] * 3 + ["right"] * 3


def test_judge_whose_answer_holds_no_verdict_is_counted_unreadable(house):
    experiment_id = house.run(axes="0", cases=1, repeats=1)
    house.answerer.answer = says("I would rather not.")
    house.call("run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, "Good?"))
    house.finish(experiment_id)
    (judge,) = house.call("list_judges", experiment_id)
    assert (judge.total, judge.done, judge.unreadable) == (1, 1, 1)


def test_judge_beside_hand_scores(house):
    experiment_id = house.run(axes="0", cases=3, repeats=1)
    item = house.call("next_for_review", experiment_id)
    house.call("add_hand_score", experiment_id, trial_id=item.trial_id, score=1.0)
    house.answerer.answer = says('{"score": 0.5}')
    number = house.call("run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, "Good?"))
    house.finish(experiment_id)
    columns = house.call("get_judge_columns", experiment_id, judge=number)
    assert (columns.judge, columns.hand, columns.case) == ((0.5,), (1.0,), (item.case.number,))


def test_judge_before_the_first_answer_is_refused(house):
    experiment_id = house.start()
    with pytest.raises(Conflict, match="nothing to judge"):
        house.call("run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, "Good?"))


def test_judge_of_a_cancelled_experiment_runs_none_of_its_cancelled_trials(house):
    experiment_id = house.start_held(cases=10)
    house.call("pause", experiment_id)
    house.answerer.hold.set()
    eventually(lambda: house.progress(experiment_id).done == 4)
    house.call("cancel", experiment_id)
    house.answerer.answer = says('{"score": 0.5}')
    house.call("run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, "Good?"))
    house.finish(experiment_id, "cancelled")
    found = house.progress(experiment_id)
    assert (found.judgements_done, found.judgements_left, found.cancelled) == (4, 0, 36)
    assert len(house.answerer.requests) == 8


def test_judge_of_a_paused_experiment_waits_until_it_is_resumed(house):
    experiment_id = house.run(axes="0", cases=2, repeats=1)
    house.answerer.answer = says('{"score": 0.5}')
    query(house.url, "UPDATE experiments SET state = 'paused' RETURNING id")
    house.call("run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, "Good?"))
    assert (house.progress(experiment_id).state, house.progress(experiment_id).judgements_left) == ("paused", 2)
    house.call("resume", experiment_id)
    house.finish(experiment_id)
    assert house.progress(experiment_id).judgements_done == 2


def test_judge_removed_before_its_first_verdict_is_gone_with_the_calls_that_run(house):
    experiment_id = house.run(cases=10, repeats=1)
    house.answerer.hold = threading.Event()
    number = house.call("run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, "Good?"))
    eventually(lambda: house.answerer.running == 4)
    house.call("remove_judge", experiment_id, judge=number)
    eventually(lambda: house.answerer.running == 0)
    house.finish(experiment_id)
    assert house.call("list_judges", experiment_id) == []
    found = house.progress(experiment_id)
    assert (found.judgements_left, found.judgements_done, found.done) == (0, 0, 20)
    assert len(house.answerer.requests) == 24


def judged_in_part(house):
    """An experiment whose judge has given its first verdicts and is held up with the rest."""
    experiment_id = house.run(cases=10, repeats=1)

    def answer(request):
        house.answerer.hold = threading.Event()
        return json.dumps({"score": 0.25})

    house.answerer.answer = answer
    house.call("run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, "Good?"))
    eventually(lambda: house.call("list_judges", experiment_id)[0].verdicts and house.answerer.running == 4)
    return experiment_id, house.call("list_judges", experiment_id)[0].verdicts


def test_withdrawn_judge_drops_what_is_left_and_keeps_its_verdicts_in_files(house):
    experiment_id, given = judged_in_part(house)
    before = house.call("get_standing", experiment_id).marks
    house.call("remove_judge", experiment_id, judge=1)
    house.finish(experiment_id)
    (judge,) = house.call("list_judges", experiment_id)
    assert (judge.is_withdrawn, judge.verdicts, judge.done - judge.total) == (True, given, 0)
    lines = [json.loads(line) for line in b"".join(house.call("export", experiment_id, fmt="jsonl")).splitlines()]
    assert sorted(one["judge_1_score"] for one in lines if one["judge_1_score"] is not None) == [0.25] * given
    trial = next(one["trial"] for one in lines if one["judge_1_score"] is not None)
    assert house.trial(experiment_id, trial).judgements[0].is_withdrawn
    with zipfile.ZipFile(io.BytesIO(b"".join(house.call("export_notebook", experiment_id)))) as archive:
        assert "WITHDRAWN = [1]" in archive.read("experiment.ipynb").decode()
    withdrawn = house.call("get_standing", experiment_id).marks
    house.call("readmit_judge", experiment_id, judge=1)
    assert len({before, withdrawn, house.call("get_standing", experiment_id).marks}) == 3
    assert not house.call("list_judges", experiment_id)[0].is_withdrawn
    house.call("extend", experiment_id, role="analyst", plan=house.call("get", experiment_id).plan)
    assert house.progress(experiment_id).judgements_left == 0  # what was dropped does not come back


@pytest.mark.parametrize("method", ["remove_judge", "readmit_judge"])
def test_judge_that_is_not_there_can_be_neither_removed_nor_readmitted(house, method):
    experiment_id = house.run(axes="0", cases=1, repeats=1)
    with pytest.raises(NotFound):
        house.call(method, experiment_id, judge=1)
