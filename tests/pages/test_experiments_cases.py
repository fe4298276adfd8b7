"""The Cases tab of experiments whose answers are known: the table, one cell, and what differs."""

from sqlalchemy import text

from chatplay.experiments.values import JudgePlan
from tests.experiment_results_rig import MODEL, finish, judge, pause
from tests.pages.screen import labels, notices, opened, press, ran, said, table_with


def test_the_case_table_has_a_column_for_each_arm(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="cases")
    rows = table_with(app, "Case")
    assert list(rows.columns) == ["Case", "word", "expected", "Temperature 0", "Temperature 1"]
    assert list(rows["Temperature 1"][:2]) == ["0.00", "1.00"]


def test_cases_where_arms_differ_are_found(services, ada):
    experiment = finish(services, ada.id)
    app = opened("experiments", experiment=experiment.id, tab="cases")
    app.button_group(key=f"experiments_cells_only_{experiment.id}").set_value("arms_differ")
    assert list(table_with(ran(app), "Case")["Case"]) == [1, 3, 5]


def test_scores_of_a_judge_are_shown_and_a_reload_shows_them_again(services, ada):
    experiment = judge(services, finish(services, ada.id), ada.id, score=0.75)
    app = opened("experiments", experiment=experiment.id, tab="cases")
    app.selectbox(key=f"experiments_cells_scores_{experiment.id}").select("judge:1")
    app = ran(app)
    assert list(table_with(app, "Case")["Temperature 1"][:2]) == ["0.75", "0.75"]
    again = opened("experiments", experiment=experiment.id, tab="cases", scores=app.query_params["scores"])
    assert list(table_with(again, "Case")["Temperature 1"][:2]) == ["0.75", "0.75"]


def test_a_search_without_a_hit_says_so(services, ada):
    experiment = finish(services, ada.id)
    app = opened("experiments", experiment=experiment.id, tab="cases")
    app.text_input(key=f"experiments_cells_search_{experiment.id}").input("zebra")
    assert "No case holds this text" in said(ran(app))


def test_a_cell_shows_every_repeat_with_the_reasons_of_rules(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="cases", case=1, arm=2)
    text = said(app)
    assert "No idea 0." in text
    assert "No idea 1." in text
    assert "2 different answers" in text
    assert "“w0” is not in the answer." in text


def test_a_cell_whose_rule_gave_no_verdict_says_why(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, blank=(0,)).id, tab="cases", case=1, arm=1)
    assert "n/a. This case has nothing in the column expected." in said(app)


def test_a_cell_whose_judge_gave_no_verdict_shows_what_it_said(services, ada):
    experiment = finish(services, ada.id)
    number = services.experiments.run_judge(
        user_id=ada.id, role="analyst", experiment_id=experiment.id, plan=JudgePlan(MODEL, "Right?")
    )
    said_by_judge = """UPDATE experiment_trials SET state = 'done', rule_scores = '[{"reason": "I would rather not."}]'
      WHERE experiment_id = :id AND judge = :judge"""
    with services.store.transaction() as conn:
        conn.execute(text(said_by_judge), {"id": experiment.id, "judge": number})
    shown = said(opened("experiments", experiment=experiment.id, tab="cases", case=1, arm=1))
    assert "Judge 1 gave no verdict: I would rather not." in shown


def test_a_cell_that_still_runs_offers_no_recording_of_its_old_calls(services, ada):
    experiment = finish(services, ada.id)
    services.experiments.rerun_cell(user_id=ada.id, experiment_id=experiment.id, arm=0, case=0)
    shown = labels(opened("experiments", experiment=experiment.id, tab="cases", case=1, arm=1))
    assert "Flight recorder" not in shown


def test_the_difference_of_two_repeats_is_marked(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="cases", case=1, arm=2)
    app.toggle(key="experiments_cell_diff").set_value(True)
    assert "<del>0</del><ins>1</ins>" in said(ran(app))


def test_hostile_answers_stay_text(services, ada):
    experiment = finish(services, ada.id, lambda arm, case, repeat: "![x](http://elsewhere.example/?leak) <b>w0</b>")
    app = opened("experiments", experiment=experiment.id, tab="cases", case=1, arm=1)
    assert not any("![x](http" in one.value for one in app.markdown)


def test_a_cell_run_again_waits(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="cases", case=1, arm=1)
    app = press(app, "Run this cell again")
    assert "Waiting" in said(app)
    assert "Running" in said(app)  # the experiment
    assert notices(app) == ""


def test_a_cell_of_a_paused_experiment_is_said_to_run_again_once_it_is_resumed(services, ada):
    experiment = finish(services, ada.id)
    pause(services, experiment)
    app = press(opened("experiments", experiment=experiment.id, tab="cases", case=1, arm=1), "Run this cell again")
    assert "runs once it is resumed" in notices(app)
    assert "Waiting" in said(app)


def test_an_address_outside_the_table_shows_the_table(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="cases", case=99, arm=1)
    assert len(table_with(app, "Case")) == 6
