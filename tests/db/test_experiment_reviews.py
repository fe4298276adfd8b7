"""What rules and people say of trials, on a real database."""

import pytest

from chatplay.errors import BadInput
from chatplay.experiments.scoring import Contains
from chatplay.experiments.values import JudgePlan
from tests.db.experiment_rig import MODEL
from tests.db.experiment_rig import house as make_house
from tests.db.processes import query


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


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
            "left": house.trial(experiment_id, pair.left_trial_id).arm,
            "right": house.trial(experiment_id, pair.right_trial_id).arm,
        }
        winner = "left" if sides["left"] == 1 else "right"
        ids = {"left_trial_id": pair.left_trial_id, "right_trial_id": pair.right_trial_id}
        house.call("add_vote", experiment_id, winner=winner, **ids)
    votes = house.call("list_votes", experiment_id)
    assert len(votes) == 4
    assert all((vote.left if vote.winner == "left" else vote.right) == 1 for vote in votes)


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


def test_prompt_with_the_same_texts_stays_the_same_version(house):
    def save(text):
        return house.experiments.save_prompt(user_id=house.user_id, name="p", prompt=text)

    first, same, second = save("One"), save("One"), save("Two")
    assert (first.id, first.number) == (same.id, 1)
    assert second.number == 2
    versions = house.experiments.list_prompt_versions(user_id=house.user_id, name="p")
    assert [version.prompt for version in versions] == ["Two", "One"]
