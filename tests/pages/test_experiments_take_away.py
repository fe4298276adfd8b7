"""Files, code, links and clones of experiments whose answers are known, and what a link opens."""

import pytest
from sqlalchemy import text

from chatplay.experiments.values import JudgePlan
from tests.db.chat_rig import add_person
from tests.experiment_results_rig import MODEL, finish
from tests.pages.screen import labels, opened, press, said


@pytest.fixture
def bob(services):
    """Somebody else's id; not signed in."""
    return add_person(services.store, "bob")


def test_a_link_is_told_once_and_can_be_revoked(services, ada):
    experiment = finish(services, ada.id)
    app = press(opened("experiments", experiment=experiment.id, tab="take-away"), "Make a link")
    address = next(one.value for one in app.code if "shared=" in one.value)
    token = address.partition("shared=")[2]
    assert services.experiments.get_shared(user_id=ada.id, token=token).id == experiment.id
    app = press(app, "Revoke")
    assert not any("shared=" in one.value for one in app.code)
    assert services.experiments.list_links(user_id=ada.id, experiment_id=experiment.id) == []


def test_a_clone_is_a_draft_of_its_own(services, ada):
    experiment = finish(services, ada.id)
    press(opened("experiments", experiment=experiment.id, tab="take-away"), "Clone this experiment")
    states = [line.state for line in services.experiments.list_experiments(user_id=ada.id)]
    assert sorted(states) == ["done", "draft"]


def test_all_files_are_offered(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="take-away")
    files = [one for one in app.get("link_button") if "/export?" in one.proto.url]
    assert [one.proto.label for one in files] == ["CSV", "JSONL", "Parquet", "Notebook"]
    assert "format=zip" in files[-1].proto.url


def test_code_asks_this_app_with_a_token_of_ones_own(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="take-away")
    code = next(one.value for one in app.code if one.language == "bash")
    assert "/v1/chat/completions" in code
    assert "$CHATPLAY_TOKEN" in code


@pytest.fixture
def shared(services, ada, bob, sign_in_as):
    """The token of ada's experiment; bob is signed in."""
    experiment = finish(services, ada.id)
    services.experiments.run_judge(
        user_id=ada.id, role="analyst", experiment_id=experiment.id, plan=JudgePlan(MODEL, "Right?")
    )
    token = services.experiments.add_link(user_id=ada.id, experiment_id=experiment.id).token
    sign_in_as(bob)
    return token


@pytest.mark.parametrize("tab", ["results", "cases", "take-away"])
def test_who_comes_by_a_link_sees_the_tab_and_can_change_nothing(shared, tab):
    app = opened("experiments", shared=shared, tab=tab)
    assert not app.error
    changing = {"Run this cell again", "Make a link", "Revoke", "Good", "Judge 24 answers"}
    assert not changing & set(labels(app))


def test_a_cell_through_a_link_has_no_run_again_but_its_flight_recorder(services, shared):
    app = opened("experiments", shared=shared, tab="cases", case=1, arm=1)
    assert "Run this cell again" not in labels(app)
    with services.store.transaction() as conn:
        conn.execute(text("UPDATE usage SET reasoning_tokens = 1234"))
    app = press(app, "Flight recorder")
    assert "demo-small" in said(app)
    assert "<dt>Reasoning tokens</dt><dd>1,234</dd>" in said(app)


def test_a_revoked_link_shows_nothing(services, ada, shared):
    (line,) = services.experiments.list_experiments(user_id=ada.id)
    (link,) = services.experiments.list_links(user_id=ada.id, experiment_id=line.id)
    services.experiments.revoke_link(user_id=ada.id, experiment_id=line.id, link_id=link.id)
    assert "There is no such experiment" in said(opened("experiments", shared=shared, tab="results"))
