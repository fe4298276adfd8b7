"""Whose experiments are whose: other people's do not exist, a link opens them to read."""

import pytest

from chatplay.errors import BadInput, NotFound
from tests.db.chat_rig import add_person
from tests.db.experiment_rig import house as make_house
from tests.db.processes import query


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


READS = [
    ("get", {}),
    ("get_cases", {}),
    ("get_progress", {}),
    ("get_results", {}),
    ("list_cells", {}),
    ("get_cell", {"arm": 0, "case": 0}),
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
