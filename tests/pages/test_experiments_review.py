"""The Review tab of experiments whose answers are known: scores by hand, votes, judges."""

from tests.experiment_results_rig import finish, judge, pause
from tests.pages.screen import notices, opened, press, ran, said, table_with, with_numbers


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


def test_thumbs_are_the_ends_of_the_scale(services, ada):
    experiment = finish(services, ada.id)
    app = opened("experiments", experiment=experiment.id, tab="review")
    app.button_group(key="experiments_scale").set_value("Thumbs")
    press(press(ran(app), ":material/thumb_up: Good"), ":material/thumb_down: Bad")
    assert sorted(hand.score for hand in scores_of(services, ada, experiment)) == [0.0, 1.0]


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


def test_a_judge_without_a_verdict_is_removed(services, ada):
    experiment = finish(services, ada.id)
    pause(services, experiment)
    app = opened("experiments", experiment=experiment.id, tab="review")
    app.button_group(key="experiments_review_mode").set_value("Judges")
    app = press(press(ran(app), "Judge 24 answers"), "Remove")
    assert services.experiments.list_judges(user_id=ada.id, experiment_id=experiment.id) == []
    assert "0 of 24" not in said(app)


def test_verdicts_of_a_withdrawn_judge_count_on_no_card_until_they_are_counted_again(services, ada):
    experiment = judge(services, finish(services, ada.id), ada.id)
    results = opened("experiments", experiment=experiment.id, tab="results")
    assert "Judge 1, demo" in str(results.selectbox(key=f"experiments_scored_by_{experiment.id}").options)
    app = opened("experiments", experiment=experiment.id, tab="review")
    app.button_group(key="experiments_review_mode").set_value("Judges")
    app = press(ran(app), "Withdraw")
    assert "Withdrawn: 24 verdicts kept in the exports" in said(app)
    results = opened("experiments", experiment=experiment.id, tab="results")
    assert results.selectbox(key=f"experiments_scored_by_{experiment.id}").options == ["Rules", "By hand"]
    press(app, "Count its verdicts again")
    (found,) = services.experiments.list_judges(user_id=ada.id, experiment_id=experiment.id)
    assert not found.is_withdrawn


def test_a_rubric_with_an_unknown_column_is_refused_in_words(services, ada):
    experiment = finish(services, ada.id)
    app = opened("experiments", experiment=experiment.id, tab="review")
    app.button_group(key="experiments_review_mode").set_value("Judges")
    ran(app).text_area(key=f"experiments_judge_rubric_{experiment.id}").input("Is it {{nonsense}}?")
    assert "The cases have no column `nonsense`" in said(press(app, "Judge 24 answers"))
