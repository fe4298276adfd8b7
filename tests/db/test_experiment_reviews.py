"""What people and judge models say of trials, and who may see an experiment at all."""

import io
import json
import threading
import zipfile

import pytest

from chatplay.errors import BadInput, Conflict, NotFound
from chatplay.experiments.scoring import Contains
from chatplay.experiments.values import JudgePlan
from tests.db.chat_rig import add_person, eventually
from tests.db.experiment_rig import MODEL
from tests.db.experiment_rig import house as make_house
from tests.db.processes import query


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


def says(text):
    return lambda request: text


def test_rules_score_each_trial_when_it_ends(house):
    experiment_id = house.run(rules=(Contains("{{expected}}"),))
    table = house.call("get_results", experiment_id).table
    assert {(arm, score) for arm, score in zip(table.arm.tolist(), table.score.tolist(), strict=True)} == {
        (0, 1.0),  # "Say w0 at 0" holds "w0 at 0"
        (1, 1.0),  # and so does "Say w0 at 0.5"
    }
    trial = house.call("get_cell", experiment_id, arm=0, case=0).trials[0]
    assert trial.rule_scores[0].passed is True


def test_review_hands_out_each_answer_once_and_never_its_arm(house):
    experiment_id = house.run()
    seen = []
    while item := house.call("next_for_review", experiment_id):
        seen.append(item.trial_id)
        assert not hasattr(item, "arm")
        house.call("add_hand_score", experiment_id, trial_id=item.trial_id, score=0.5)
    assert len(seen) == len(set(seen)) == 12
    assert item is None


def test_hand_score_of_an_answer_that_was_run_again_does_not_count(house):
    experiment_id = house.run(axes="0", cases=1, repeats=1)
    trial = house.call("get_cell", experiment_id, arm=0, case=0).trials[0]
    house.call("add_hand_score", experiment_id, trial_id=trial.id, score=1.0)
    assert house.call("get_results", experiment_id, scored_by="hand").table.score.tolist() == [1.0]
    house.call("rerun_cell", experiment_id, arm=0, case=0)
    house.finish(experiment_id)
    assert house.call("get_cell", experiment_id, arm=0, case=0).trials[0].hand_scores == ()
    assert house.call("next_for_review", experiment_id).trial_id == trial.id


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_score_outside_its_range_is_refused(house, score):
    experiment_id = house.run(axes="0", cases=1, repeats=1)
    with pytest.raises(BadInput, match="0 to 1"):
        house.call("add_hand_score", experiment_id, trial_id=1, score=score)


def test_votes_come_out_by_arm_whatever_side_was_shown(house):
    experiment_id = house.run(cases=4, repeats=1)
    while pair := house.call("next_pair", experiment_id):
        sides = {
            "left": house.call("get_trial", experiment_id, trial_id=pair.left_trial_id).arm,
            "right": house.call("get_trial", experiment_id, trial_id=pair.right_trial_id).arm,
        }
        winner = "left" if sides["left"] == 1 else "right"
        ids = {"left_trial_id": pair.left_trial_id, "right_trial_id": pair.right_trial_id}
        house.call("add_vote", experiment_id, winner=winner, **ids)
    votes = house.call("list_votes", experiment_id)
    assert len(votes) == 4
    assert all((vote.left if vote.winner == "left" else vote.right) == 1 for vote in votes)


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
    assert house.call("get_trial", experiment_id, trial_id=trial).judgements[0].is_withdrawn
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


@pytest.mark.parametrize("bad", ["a\0", "a\ud800"])
def test_rubric_and_note_that_can_not_be_stored_are_refused_by_their_names(house, bad):
    experiment_id = house.run(axes="0", cases=1, repeats=1)
    with pytest.raises(BadInput, match="Rubric holds") as refused:
        house.call("run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, bad))
    assert refused.value.param == "rubric"
    with pytest.raises(BadInput, match="The note holds"):
        house.call("add_hand_score", experiment_id, trial_id=1, score=1.0, note=bad)


def test_votes_go_round_the_cases_and_count_down(house):
    experiment_id = house.run(axes="0, 0.5, 1", cases=4, repeats=1)
    seen = []
    while pair := house.call("next_pair", experiment_id):
        seen.append((pair.case.number, pair.left))
        ids = {"left_trial_id": pair.left_trial_id, "right_trial_id": pair.right_trial_id}
        house.call("add_vote", experiment_id, winner="tie", **ids)
    assert [left for _, left in seen] == list(range(11, -1, -1))
    rounds = [{case for case, _ in seen[start : start + 4]} for start in (0, 4, 8)]
    assert rounds == [{0, 1, 2, 3}] * 3


def test_pairs_of_an_experiment_extended_to_very_many_cases_are_handed_out(house):
    experiment_id = house.run(cases=1, repeats=1)
    query(house.url, "UPDATE experiment_cases SET number = 150000")
    query(house.url, "UPDATE experiment_trials SET case_no = 150000")
    assert house.call("next_pair", experiment_id).case.number == 150_000


def test_pair_of_a_cell_that_was_run_again_is_voted_on_anew(house):
    experiment_id = house.run(cases=1, repeats=1)
    pair = house.call("next_pair", experiment_id)
    ids = {"left_trial_id": pair.left_trial_id, "right_trial_id": pair.right_trial_id}
    house.call("add_vote", experiment_id, winner="left", **ids)
    assert house.call("next_pair", experiment_id) is None
    house.call("rerun_cell", experiment_id, arm=0, case=0)
    house.finish(experiment_id)
    assert house.call("next_pair", experiment_id).left == 0


# ---- whose it is -------------------------------------------------------------------------------

READS = [
    ("get", {}),
    ("get_cases", {}),
    ("get_progress", {}),
    ("get_results", {}),
    ("list_cells", {}),
    ("get_cell", {"arm": 0, "case": 0}),
    ("get_trial", {"trial_id": 1}),
    ("list_attempts", {"trial_id": 1}),
    ("list_votes", {}),
    ("list_judges", {}),
    ("get_judge_columns", {"judge": 1}),
    ("list_swaps", {"judge": 1}),
    ("export", {"fmt": "csv"}),
    ("export_notebook", {}),
    ("clone", {}),
]
WRITES = [
    ("rename", {"name": "x"}),
    ("delete", {}),
    ("pause", {}),
    ("resume", {}),
    ("cancel", {}),
    ("start", {"role": "analyst"}),
    ("rerun_cell", {"arm": 0, "case": 0}),
    ("preview", {"role": "analyst"}),
    ("add_hand_score", {"trial_id": 1, "score": 1.0}),
    ("next_for_review", {}),
    ("next_pair", {}),
    ("add_vote", {"left_trial_id": 1, "right_trial_id": 2, "winner": "left"}),
    ("remove_judge", {"judge": 1}),
    ("readmit_judge", {"judge": 1}),
    ("add_link", {}),
    ("list_links", {}),
    ("revoke_link", {"link_id": 1}),
]


@pytest.fixture
def shared(house):
    experiment_id = house.run(axes="0", cases=1, repeats=1)
    stranger = add_person(house.process.store, "bo")
    return house.experiments, experiment_id, stranger, house.call("add_link", experiment_id)


def test_experiment_of_another_person_does_not_exist(shared):
    experiments, experiment_id, stranger, _ = shared
    for method, arguments in READS + WRITES:
        with pytest.raises(NotFound):
            getattr(experiments, method)(user_id=stranger, experiment_id=experiment_id, **arguments)
    assert experiments.list_experiments(user_id=stranger) == []


def test_link_opens_everything_to_read_and_nothing_to_change(shared):
    experiments, experiment_id, stranger, link = shared
    assert experiments.get_shared(user_id=stranger, token=link.token).is_mine is False
    for method, arguments in READS:
        found = getattr(experiments, method)(
            user_id=stranger, experiment_id=experiment_id, token=link.token, **arguments
        )
        assert found is not None
    with pytest.raises(TypeError, match="token"):
        experiments.pause(user_id=stranger, experiment_id=experiment_id, token=link.token)


def test_clone_through_a_link_is_ones_own_with_its_own_templates(shared):
    experiments, experiment_id, stranger, link = shared
    mine = experiments.clone(user_id=stranger, experiment_id=experiment_id, token=link.token)
    assert (mine.is_mine, mine.state, mine.cases) == (True, "draft", 1)
    assert [version.id for version in experiments.list_prompts(user_id=stranger)] == [mine.plan.prompts[0].id]


def test_revoked_link_opens_nothing(house, shared):
    experiments, experiment_id, stranger, link = shared
    house.call("revoke_link", experiment_id, link_id=link.id)
    with pytest.raises(NotFound):
        experiments.get(user_id=stranger, experiment_id=experiment_id, token=link.token)
    with pytest.raises(NotFound):
        experiments.get_shared(user_id=stranger, token=link.token)


def test_token_of_a_link_is_not_in_the_database(house, shared):
    link = shared[3]
    (row,) = query(house.url, "SELECT encode(token_hash, 'escape') FROM experiment_links")
    assert link.token not in row[0]
    assert house.call("list_links", shared[1])[0].token is None


def test_template_of_another_person_can_not_be_planned_with(house):
    draft = house.draft()
    stranger = add_person(house.process.store, "bo")
    with pytest.raises(BadInput, match="template"):
        house.experiments.create(user_id=stranger, name="Mine", plan=draft.plan)


def test_prompt_with_the_same_texts_stays_the_same_version(house):
    def save(text):
        return house.experiments.save_prompt(user_id=house.user_id, name="p", prompt=text)

    first, same, second = save("One"), save("One"), save("Two")
    assert (first.id, first.number) == (same.id, 1)
    assert second.number == 2
    versions = house.experiments.list_prompt_versions(user_id=house.user_id, name="p")
    assert [version.prompt for version in versions] == ["Two", "One"]
