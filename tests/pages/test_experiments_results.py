"""The Results tab of experiments whose answers are known."""

from html import unescape

from tests.experiment_results_rig import cut_off, finish, judge
from tests.pages.screen import opened, ran, said, table_with, with_numbers


def test_results_of_a_finished_experiment_show_each_arm_with_its_mean_and_trials(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="results")
    arms = table_with(app, "Cases")
    assert list(arms["Arm"]) == ["Temperature 0", "Temperature 1"]
    assert list(arms["n"]) == [12, 12]
    assert list(arms["Score"]) == [1.0, 0.5]


def right_at_the_first_try(arm, case, repeat):
    return f"It is w{case}." if not (arm and repeat) else f"No idea {repeat}."


def test_arms_tell_what_of_their_repeats_passes_and_how_far_these_agree(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, right_at_the_first_try).id, tab="results")
    arms = table_with(app, "Cases")
    shown = {name: list(arms[name]) for name in ("pass@2", "pass^2", "Repeats agree")}
    assert shown == {"pass@2": [1.0, 1.0], "pass^2": [1.0, 0.0], "Repeats agree": [1.0, 0.0]}


def drawn(app):
    """How many charts there are, and how many of them are heat maps."""
    specs = [one.proto.spec for one in app.get("vega_lite_chart")]
    return len(specs), sum('"rect"' in spec for spec in specs)


def test_two_settings_have_a_plot_each_and_a_heat_map_together(services, ada):
    one = opened("experiments", experiment=finish(services, ada.id).id, tab="results")
    assert drawn(one) == (4, 0)
    experiment = finish(services, ada.id, others={"top_p": "0.5, 1"})
    app = with_numbers(opened("experiments", experiment=experiment.id, tab="results"), experiment, "heat")
    assert drawn(app) == (6, 1)
    heat = next(one.value for one in app.dataframe if list(one.value.columns[:2]) == ["Temperature", "Top-p"])
    cells = {(row[0], row[1]): row[2] for row in heat.itertuples(index=False)}
    assert cells == {("0", "0.5"): 1.0, ("0", "1"): 0.5, ("1", "0.5"): 0.5, ("1", "1"): 0.5}


def test_scores_of_a_judge_stand_beside_those_by_hand_of_the_same_answers(services, ada):
    experiment = judge(services, finish(services, ada.id), ada.id, score=0.5)
    whose = {"user_id": ada.id, "experiment_id": experiment.id}
    for score in (0.25, 0.5):
        item = services.experiments.next_for_review(**whose)
        services.experiments.add_hand_score(**whose, trial_id=item.trial_id, score=score)
    shown = said(opened("experiments", experiment=experiment.id, tab="results"))
    assert "<dt>Answers with both scores</dt><dd>2</dd>" in shown
    assert "<dt>Same score</dt><dd>50.0 %" in shown
    assert "<dt>Judge minus hand</dt><dd>+0.12" in shown


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
    assert table_with(app, "In words")["In words"][0].startswith("can't tell yet, about 3 more cases would settle it (")
    assert "No interval: all 3 cases differ by the same amount" in said(app)


def first_arm_scores_and_second_fails(arm, case, repeat):
    """The first arm is right in two of five cases, the second fails altogether, the third is always right."""
    is_right = arm == 2 or case < 2
    return None if arm == 1 else f"It is w{case}." if is_right else "No idea."


def test_mean_of_the_baseline_is_its_own_when_the_first_arm_beside_it_failed(services, ada):
    experiment = finish(services, ada.id, first_arm_scores_and_second_fails, axes="0, 0.5, 1", cases=5)
    app = opened("experiments", experiment=experiment.id, tab="results")
    assert "Score minus Temperature 0 (0.40)." in said(app)


def test_arm_without_any_value_has_nothing_to_compare(services, ada):
    experiment = finish(services, ada.id, first_arm_scores_and_second_fails, axes="0, 0.5, 1", cases=5)
    app = with_numbers(opened("experiments", experiment=experiment.id, tab="results"), experiment, "baseline")
    words = next(one.value for one in app.dataframe if list(one.value.columns[:2]) == ["Arm", "Score"])
    assert list(words["Score"]) == ["nothing to compare", "can't tell yet"]


def test_what_is_chosen_stands_in_the_address_so_a_link_shows_the_same(services, ada):
    experiment = finish(services, ada.id)
    about = {"experiment": experiment.id, "tab": "results"}
    app = opened("experiments", **about, baseline=2, figure="ttft_ms", scores="hand")
    names = ("scored_by", "baseline", "figure")
    keys = [f"experiments_{name}_{experiment.id}" for name in names]
    assert [app.selectbox(key=key).value for key in keys] == ["hand", 1, "ttft_ms"]
    assert "TTFT minus Temperature 1" in said(app)
    app.selectbox(key=keys[0]).select("rules")  # the first: goes without saying
    ran(app).selectbox(key=keys[2]).select("duration_ms")
    query = ran(app).query_params
    assert (query["baseline"], query["figure"], "scores" in query) == ("2", "duration_ms", False)


def test_an_address_that_names_what_is_not_there_shows_what_comes_first(services, ada):
    experiment = finish(services, ada.id)
    app = opened(
        "experiments", experiment=experiment.id, tab="results", baseline=9, figure="nonsense", scores="judge:7"
    )
    assert app.selectbox(key=f"experiments_baseline_{experiment.id}").value == 0
    assert app.selectbox(key=f"experiments_scored_by_{experiment.id}").value == "rules"


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


def test_counts_and_costs_of_nothing_take_no_column(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id).id, tab="results")
    columns = list(table_with(app, "Cases").columns)
    assert columns.index("Duration") == columns.index("Answer tokens") + 1
    assert not {"Failed", "Cost"} & set(columns)


def test_answers_that_were_cut_off_are_said_of_their_arm_and_marked_in_its_cells(services, ada):
    experiment = finish(services, ada.id)
    cut_off(services, experiment, arm=1)
    shown = said(opened("experiments", experiment=experiment.id, tab="results"))
    assert "Temperature 1: 12 of 12 answers cut off" in shown
    assert "Temperature 0: " not in shown
    cell = opened("experiments", experiment=experiment.id, tab="cases", case=1, arm=2)
    assert "Cut off" in said(cell)


def test_results_of_a_run_under_way_say_how_many_trials_have_ended(services, ada):
    experiment = finish(services, ada.id)
    services.experiments.rerun_cell(user_id=ada.id, experiment_id=experiment.id, arm=0, case=0)
    app = opened("experiments", experiment=experiment.id, tab="results")
    assert "22 of 24 trials have ended" in said(app)
    assert list(table_with(app, "n")["n"]) == [10, 12]


def test_results_before_the_first_end_of_a_trial_say_that_figures_will_come(services, ada):
    experiment = finish(services, ada.id, cases=1, repeats=1, axes="0")
    services.experiments.rerun_cell(user_id=ada.id, experiment_id=experiment.id, arm=0, case=0)
    assert "No trial has ended yet" in said(opened("experiments", experiment=experiment.id, tab="results"))


def test_one_arm_has_a_row_but_nothing_to_be_compared_with(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, axes="0.5").id, tab="results")
    assert "nothing to compare it with" in said(app)
    assert len(table_with(app, "Cases")) == 1


def test_one_case_says_what_is_lost(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, cases=1).id, tab="results")
    assert "1 case only: an interval takes at least 3." in said(app)
    assert "intervals are rough" not in said(app)  # there is none


def test_what_is_lost_is_said_once_on_the_page(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, cases=5).id, tab="results")
    assert said(app).count("5 cases only: intervals are rough") == 1


def test_without_scores_the_other_figures_are_shown(services, ada):
    app = opened("experiments", experiment=finish(services, ada.id, rules=False).id, tab="results")
    assert "No answer has a score" in said(app)
    assert "TTFT" in table_with(app, "Cases").columns


def test_scores_by_hand_replace_those_of_rules_when_chosen(services, ada):
    experiment = finish(services, ada.id)
    item = services.experiments.next_for_review(user_id=ada.id, experiment_id=experiment.id)
    app = opened("experiments", experiment=experiment.id, tab="results")
    whose = {"user_id": ada.id, "experiment_id": experiment.id}
    services.experiments.add_hand_score(**whose, trial_id=item.trial_id, score=0.25)
    app.selectbox(key=f"experiments_scored_by_{experiment.id}").select("hand")
    assert 0.25 in set(table_with(ran(app), "Cases")["Score"])


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
    assert table_with(first, "Cases").equals(table_with(second, "Cases"))
