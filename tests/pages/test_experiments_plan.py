"""What the Plan tab keeps of what is typed, says of mistakes, starts, and does when another tab was quicker."""

from dataclasses import replace

import pytest

from chatplay.experiments.values import AxisText, CaseTable, ModelRef, Plan
from tests.pages.plan_form import field, fill, paste, stored
from tests.pages.screen import button, labels, opened, press, ran, said
from tests.sheets import sheet

DEMO = ModelRef("demo-small", "demo")


# ---- the plan ----------------------------------------------------------------------------------


def test_plan_is_saved_as_it_is_typed_and_there_after_a_reload(services, ada):
    app = press(press(opened("experiments"), "New experiment"), "Add another version")
    fill(app, Prompt="Say {{word}}", Temperature="0, 1", Max_tokens="300")
    made = services.experiments.list_experiments(user_id=ada.id)[0]
    plan = stored(services, ada, made).plan
    assert [one.prompt for one in plan.prompts] == ["Say {{word}}"]
    assert (plan.axes, plan.base.max_tokens) == ((AxisText("temperature", "0, 1"),), 300)
    again = opened("experiments", experiment=made.id)
    assert field(again, "Prompt").value == "Say {{word}}"
    assert field(again, "Temperature").value == "0, 1"


def test_what_is_typed_last_is_saved_when_the_same_run_turns_to_another_tab(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    field(app, "Prompt").set_value("Explain {{topic}} briefly.")
    field(app, "Repeats").set_value(5)
    app.query_params["tab"] = "run"
    assert "Nothing runs yet" in said(ran(app))
    plan = stored(services, ada, draft).plan
    assert ([one.prompt for one in plan.prompts], plan.repeats) == (["Explain {{topic}} briefly."], 5)


def test_what_is_typed_last_is_saved_when_the_same_run_turns_to_the_list(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    field(app, "System prompt").set_value("You are brief.")
    press(app, "All experiments")
    assert stored(services, ada, draft).plan.prompts[0].system_prompt == "You are brief."


def test_prompt_without_variables_runs_with_one_case_without_values_and_keeps_it(services, ada):
    app = fill(press(opened("experiments"), "New experiment"), Prompt="Say something")
    app = press(app, "Use one case without values")
    assert not button(app, "Start 3 trials").disabled
    app = fill(app, Prompt="Say something else")
    assert not button(app, "Start 3 trials").disabled
    made = services.experiments.list_experiments(user_id=ada.id)[0]
    assert services.experiments.get_cases(user_id=ada.id, experiment_id=made.id).rows == (("",),)


def test_axis_that_cannot_be_read_is_said_at_its_field_and_kept(services, ada, draft):
    app = fill(opened("experiments", experiment=draft.id), Temperature="0, warm")
    assert "`warm` is not a number" in said(app)
    assert button(app, "Start").disabled
    assert field(opened("experiments", experiment=draft.id), "Temperature").value == "0, warm"


def test_value_outside_the_range_of_a_model_is_said_at_the_field_and_at_the_start(services, ada, draft):
    app = fill(opened("experiments", experiment=draft.id), Temperature="0, 9")
    assert said(app).count("outside 0 to 1") == 2


def test_variable_without_a_column_is_marked_and_the_column_added_by_a_button(services, ada, draft):
    app = fill(opened("experiments", experiment=draft.id), Prompt="Explain {{topic}} to {{reader}}")
    assert "the cases have no column `reader`" in said(app)
    app = press(app, "Add the column to the cases")
    assert "no column" not in said(app)
    assert "The column `reader` is empty in 3 of 3 cases" in said(app)
    assert not button(app, "Start 27 trials").disabled
    assert stored(services, ada, draft).case_columns == ("topic", "expected", "reader")


def test_pasted_cases_with_a_mistake_name_its_row_and_keep_what_was_typed(services, ada, draft):
    app = paste(opened("experiments", experiment=draft.id), "topic,expected\nrain,wet\nsun,dry,far")
    app = press(app, "Replace the 3 cases")
    assert "Row 3 has 3 cells, the head has 2 columns" in said(app)
    assert field(app, "Pasted cases").value.endswith("far")
    assert stored(services, ada, draft).cases == 3


def test_pasted_cases_take_the_place_of_those_there(services, ada, draft):
    app = press(paste(opened("experiments", experiment=draft.id), "topic\texpected\nrain\twet"), "Replace the 3 cases")
    assert services.experiments.get_cases(user_id=ada.id, experiment_id=draft.id).rows == (("rain", "wet"),)
    assert not button(app, "Start 9 trials").disabled
    assert button(paste(app, "topic\nsun"), "Replace the case")


def upload(app, name, data):
    app.segmented_control[0].set_value("Upload")
    app = ran(app)
    app.get("file_uploader")[0].upload(name, data)
    return ran(app)


def test_uploaded_sheet_takes_the_place_of_the_cases_or_says_in_which_row_it_is_wrong(services, ada, draft):
    app = upload(opened("experiments", experiment=draft.id), "cases.xlsx", sheet(["topic"], ["rain"], ["sun", "dry"]))
    assert "Row 3 has 2 cells, the head has 1 columns" in said(app)
    assert stored(services, ada, draft).cases == 3
    app = upload(app, "cases.xlsx", sheet(["topic", "expected"], ["rain", "wet"]))
    assert services.experiments.get_cases(user_id=ada.id, experiment_id=draft.id).rows == (("rain", "wet"),)
    assert not button(app, "Start 9 trials").disabled


def test_arms_that_are_not_ticked_do_not_run(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    arms = services.experiments.preview(user_id=ada.id, role=ada.role, experiment_id=draft.id).arms
    grid = app.dataframe[-1].proto.id.split("-", 2)[2]
    app.session_state[grid] = {"selection": {"rows": [0, 2], "columns": [], "cells": []}}
    app = ran(app)
    assert "2 of 3 arms will run" in said(app)
    assert stored(services, ada, draft).plan.chosen == {arms[0].hash, arms[2].hash}
    press(app, "Start 18 trials")
    assert len(stored(services, ada, draft).arms) == 2


def test_rule_is_added_and_removed(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    field(app, "Rule").set_value("regex")
    app = fill(ran(app), Regular_expression="(")
    app = press(app, "Add")
    assert "This is no regular expression" in said(app)
    assert len(stored(services, ada, draft).plan.rules) == 1
    app = press(fill(app, Regular_expression=r"\d+"), "Add")
    assert len(stored(services, ada, draft).plan.rules) == 2
    press(app, "Remove")
    assert len(stored(services, ada, draft).plan.rules) == 1


def test_second_version_is_an_arm_of_its_own_and_its_difference_can_be_read(services, ada, draft):
    app = press(opened("experiments", experiment=draft.id), "Add another version")
    assert "The same as the first prompt" in said(app)
    next(one for one in reversed(app.text_area) if one.label == "Prompt").set_value("Explain {{topic}} briefly.")
    app = ran(app)
    assert [one.label for one in stored(services, ada, draft).plan.prompts] == ["Sample v1", "Sample v2"]
    assert not button(app, "Start 54 trials").disabled
    typed = next(one for one in reversed(app.text_area) if one.label == "Prompt")
    app.session_state[typed.key.replace("_prompt_", "_difference_")] = True
    assert "<ins>" in said(ran(app))


def test_typing_on_stays_in_the_version_that_was_begun(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    for prompt in ("Explain {{topic}} in", "Explain {{topic}} in three words."):
        app = fill(app, Prompt=prompt)
    versions = services.experiments.list_prompt_versions(user_id=ada.id, name="Sample")
    assert [one.number for one in versions] == [2, 1]
    assert versions[0].prompt == "Explain {{topic}} in three words."


def test_forecast_says_what_is_not_known(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    assert "27 (3 arms x 3 cases x 3 repeats)" in said(app)
    assert "<dt>Time</dt><dd>n/a</dd>" in said(app)
    assert "No stored call of `demo-small` yet" in said(app)


def test_full_plan_of_40_arms_and_500_cases_is_drawn(services, ada):
    prompt = services.experiments.save_prompt(user_id=ada.id, name="Long", prompt="Say {{word}}")
    axes = (AxisText("temperature", "0:0.9:0.1"), AxisText("top_p", "0.4:1:0.2"))
    cases = CaseTable(("word",), tuple((f"word {number}",) for number in range(500)))
    plan = Plan(prompts=(prompt,), models=(DEMO,), axes=axes, repeats=1)
    made = services.experiments.create(user_id=ada.id, name="Full", plan=plan, cases=cases)
    app = opened("experiments", experiment=made.id)
    assert len(app.dataframe[-1].value) == 40
    assert not button(app, "Start 20,000 trials").disabled


def test_start_turns_to_the_run(services, ada, draft):
    app = press(opened("experiments", experiment=draft.id), "Start 27 trials")
    assert app.query_params["tab"] == "run"
    assert "0 of 27 trials" in app.get("progress")[0].proto.text


def test_change_that_comes_together_with_the_start_is_part_of_what_starts(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    field(app, "Temperature").set_value("0, 0.3, 0.9")
    press(app, "Start 27 trials")
    started = stored(services, ada, draft)
    assert (started.state, [arm.params.temperature for arm in started.arms]) == ("running", [0, 0.3, 0.9])


def test_change_to_another_number_of_trials_than_the_button_said_waits_for_a_second_press(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    field(app, "Repeats").set_value(2)
    app = press(app, "Start 27 trials")
    assert stored(services, ada, draft).state == "draft"
    assert "these are 18 trials, not 27." in said(app)
    press(app, "Start 18 trials")
    assert "0 of 18 trials" in app.get("progress")[0].proto.text


def test_mistake_that_comes_together_with_the_start_keeps_it_from_starting(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    field(app, "Temperature").set_value("0, warm")
    press(app, "Start 27 trials")
    assert stored(services, ada, draft).state == "draft"
    assert "`warm` is not a number" in said(app)


def test_started_plan_can_only_be_read(services, ada, running):
    app = opened("experiments", experiment=running.id, tab="plan")
    assert "It has started, so its plan stays." in said(app)
    assert not app.text_area


# ---- limits ------------------------------------------------------------------------------------

LIMITS = ("Cap on calls", "Cap on cost, $", "Calls at once", "Calls per minute")


def limits_of(plan):
    return plan.caps.max_calls, plan.caps.max_cost_usd, plan.pace.calls_at_once, plan.pace.calls_per_minute


def test_limit_that_was_set_can_be_taken_away_again(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    for label in LIMITS:
        field(app, label).set_value(7)
    ran(app)
    assert limits_of(stored(services, ada, draft).plan) == (7, 7, 7, 7)
    app = opened("experiments", experiment=draft.id)
    assert [field(app, label).value for label in LIMITS] == [7, 7, 7, 7]
    assert {field(app, label).proto.HasField("default") for label in LIMITS} == {False}  # such a field can be emptied
    for label in LIMITS:
        field(app, label).set_value(None)
    app = ran(app)
    assert [field(app, label).value for label in LIMITS] == [None] * 4
    assert limits_of(stored(services, ada, draft).plan) == (None,) * 4


# ---- two tabs ----------------------------------------------------------------------------------


@pytest.fixture
def overtaken(services, ada, draft):
    """A tab with seven repeats, after another one has saved five."""
    app = opened("experiments", experiment=draft.id)
    plan = stored(services, ada, draft).plan
    services.experiments.save_plan(user_id=ada.id, experiment_id=draft.id, plan=replace(plan, repeats=5))
    return fill(app, Repeats=7)


def test_tab_whose_plan_was_overtaken_says_so_and_saves_nothing_over_it(services, ada, draft, overtaken):
    assert "changed in another tab" in said(overtaken)
    assert next(one for one in overtaken.button if one.label.startswith("Start")).disabled
    assert stored(services, ada, draft).plan.repeats == 5


def test_overtaken_plan_becomes_a_copy_and_both_are_there(services, ada, draft, overtaken):
    press(overtaken, "Save mine as a copy")
    found = services.experiments.list_experiments(user_id=ada.id)
    assert sorted(stored(services, ada, one).plan.repeats for one in found) == [5, 7]


def test_overtaken_plan_takes_the_others_place_when_told_to(services, ada, draft, overtaken):
    app = press(overtaken, "Replace the other with mine")
    assert "changed in another tab" not in said(app)
    assert stored(services, ada, draft).plan.repeats == 7


def test_overtaken_plan_makes_way_for_the_other(services, ada, draft, overtaken):
    app = press(overtaken, "Show the other")
    assert app.number_input(key=next(one.key for one in app.number_input if one.label == "Repeats")).value == 5


def test_plan_that_another_tab_has_started_says_so_and_keeps_what_was_typed_here(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    services.experiments.start(user_id=ada.id, role=ada.role, experiment_id=draft.id)
    app = fill(app, Repeats=7)
    assert "started in another tab" in said(app)
    assert "Running" in said(app)
    assert "6 cases" not in said(app)
    assert "Replace the other with mine" not in labels(app)
    app = press(app, "Save mine as a copy")
    copy = services.experiments.list_experiments(user_id=ada.id)[0]
    assert (copy.state, stored(services, ada, copy).plan.repeats) == ("draft", 7)
    assert stored(services, ada, draft).plan.repeats == 3


def test_plan_that_another_tab_has_started_makes_way_for_what_runs(services, ada, draft):
    app = opened("experiments", experiment=draft.id)
    services.experiments.start(user_id=ada.id, role=ada.role, experiment_id=draft.id)
    app = press(fill(app, Repeats=7), "Show the other")
    assert "It has started, so its plan stays." in said(app)


def test_system_prompt_that_a_model_takes_none_of_is_told_and_not_among_what_it_will_read(services, ada, draft):
    app = fill(opened("experiments", experiment=draft.id), System_prompt="You are brief.")
    app.session_state[button(app, "Add another version").key.replace("add_version", "bound")] = True
    assert "You are brief." in [block.value for block in ran(app).code]
    view = services.catalog._view
    models = tuple(replace(one, supports_system_prompt=False) for one in view.models)
    services.catalog._view = replace(view, models=models)
    fill(app, Repeats=4)
    assert "You are brief." not in [block.value for block in app.code]
    assert "takes no system prompt" in said(app)
