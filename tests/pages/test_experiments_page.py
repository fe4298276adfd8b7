"""What the experiments page shows in each of its states, on real services; no worker runs, so nothing moves."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from chatplay.experiments.values import AxisText, Caps, CaseTable, ModelRef, Plan
from chatplay.ui.experiments import sample as experiments_sample
from tests.sign_in_rig import PASSWORD

APP = str(Path(__file__).resolve().parents[2] / "app.py")
DEMO = ModelRef("demo-small", "demo")


@pytest.fixture
def ada(services, sign_in_as):
    """Signed in."""
    user_id = services.set_up.create_administrator(
        token=services.set_up.make_token(), username="ada", display_name="Ada", password=PASSWORD, repeated=PASSWORD
    )
    return services.sessions.find_person(sign_in_as(user_id))


@pytest.fixture
def draft(services, ada):
    """The ready example, not started."""
    models = services.catalog.list_running(ada.role)
    return experiments_sample.create(services.experiments, models, user_id=ada.id)


@pytest.fixture
def running(services, ada, draft):
    """The same, started; nobody works on it."""
    return services.experiments.start(user_id=ada.id, role=ada.role, experiment_id=draft.id)


def opened(**query):
    app = AppTest.from_file(APP, default_timeout=60)
    app.run()
    for name, value in query.items():
        app.query_params[name] = str(value)
    return ran(app.switch_page("pages/experiments.py"))


def ran(app):
    """Run, and nothing was raised on the page."""
    app.run()
    assert not app.exception, app.exception
    return app


def button(app, label):
    return next(one for one in app.button if one.label == label)


def press(app, label):
    button(app, label).click()
    return ran(app)


def field(app, label):
    items = [*app.text_input, *app.text_area, *app.number_input, *app.multiselect, *app.selectbox]
    return next(one for one in items if one.label.replace("\\", "") == label)


def fill(app, **texts):
    for label, value in texts.items():
        field(app, label.replace("_", " ")).set_value(value)
    return ran(app)


def paste(app, cases):
    app.segmented_control[0].set_value("Paste")
    ran(app)
    field(app, "Pasted cases").set_value(cases)
    return ran(app)


def said(app):
    kinds = (app.error, app.warning, app.info, app.success, app.markdown, app.caption, app.subheader, app.title)
    texts = [item.value for kind in kinds for item in kind]
    texts += [item.proto.body for kind in ("badge", "html") for item in app.get(kind)]
    return "\n".join(texts).replace("\\", "").replace(":color[:]", ":")


def stored(services, ada, experiment):
    return services.experiments.get(user_id=ada.id, experiment_id=experiment.id)


# ---- the list ----------------------------------------------------------------------------------


def test_first_visit_says_what_an_experiment_is_and_opens_an_example_in_one_click(services, ada):
    app = opened()
    assert "asks the same cases with several settings" in said(app)
    app = press(app, "Open a ready example")
    assert "3 values: 0, 0.7, 1" in said(app)
    assert not button(app, "Start 27 trials").disabled


def test_list_shows_each_experiment_with_its_size_and_state(services, ada, running):
    app = opened()
    assert "3 arms x 3 cases, 0 of 27 trials" in said(app)
    assert "Running" in said(app)
    label = next(one.label for one in app.button if one.label.startswith("Sample"))
    assert "0 of 27 trials" in press(app, label).get("progress")[0].proto.text


def test_full_list_is_shown_in_parts(services, ada):
    for number in range(53):
        services.experiments.create(user_id=ada.id, name=f"Trial run {number}")
    app = opened()
    shown = [one.label for one in app.button if one.label.startswith("Trial run")]
    assert len(shown) == 50
    app = press(app, "Show more")
    assert len([one for one in app.button if one.label.startswith("Trial run")]) == 53


def test_address_of_no_experiment_says_so_and_leads_back(services, ada):
    app = opened(experiment="8d13dec5-c284-47d1-8bac-7107c1d95568")
    assert "There is no such experiment." in said(app)
    assert "asks the same cases" in said(press(app, "All experiments"))


def test_hostile_names_are_shown_as_text(services, ada):
    made = services.experiments.create(user_id=ada.id, name="<img src=x> **bold** :red[x]")
    assert "\\<img" in opened(experiment=made.id).subheader[0].value


# ---- the plan ----------------------------------------------------------------------------------


def test_plan_is_saved_as_it_is_typed_and_there_after_a_reload(services, ada):
    app = press(press(opened(), "New experiment"), "Add another version")
    fill(app, Prompt="Say {{word}}", Temperature="0, 1", Max_tokens="300")
    made = services.experiments.list_experiments(user_id=ada.id)[0]
    plan = stored(services, ada, made).plan
    assert [one.prompt for one in plan.prompts] == ["Say {{word}}"]
    assert (plan.axes, plan.base.max_tokens) == ((AxisText("temperature", "0, 1"),), 300)
    again = opened(experiment=made.id)
    assert field(again, "Prompt").value == "Say {{word}}"
    assert field(again, "Temperature").value == "0, 1"


def test_axis_that_cannot_be_read_is_said_at_its_field_and_kept(services, ada, draft):
    app = fill(opened(experiment=draft.id), Temperature="0, warm")
    assert "`warm` is not a number" in said(app)
    assert button(app, "Start").disabled
    assert field(opened(experiment=draft.id), "Temperature").value == "0, warm"


def test_value_outside_the_range_of_a_model_is_said_at_the_field_and_at_the_start(services, ada, draft):
    app = fill(opened(experiment=draft.id), Temperature="0, 9")
    assert said(app).count("outside 0 to 1") == 2


def test_variable_without_a_column_is_marked_and_the_column_added_by_a_button(services, ada, draft):
    app = fill(opened(experiment=draft.id), Prompt="Explain {{topic}} to {{reader}}")
    assert "the cases have no column `reader`" in said(app)
    app = press(app, "Add the column to the cases")
    assert "no column" not in said(app)
    assert stored(services, ada, draft).case_columns == ("topic", "expected", "reader")


def test_pasted_cases_with_a_mistake_name_its_row_and_keep_what_was_typed(services, ada, draft):
    app = paste(opened(experiment=draft.id), "topic,expected\nrain,wet\nsun,dry,far")
    app = press(app, "Replace the 3 cases")
    assert "Row 3 has 3 cells, the head has 2 columns" in said(app)
    assert field(app, "Pasted cases").value.endswith("far")
    assert stored(services, ada, draft).cases == 3


def test_pasted_cases_take_the_place_of_those_there(services, ada, draft):
    app = press(paste(opened(experiment=draft.id), "topic\texpected\nrain\twet"), "Replace the 3 cases")
    assert services.experiments.get_cases(user_id=ada.id, experiment_id=draft.id).rows == (("rain", "wet"),)
    assert not button(app, "Start 9 trials").disabled


def test_rule_is_added_and_removed(services, ada, draft):
    app = opened(experiment=draft.id)
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
    app = press(opened(experiment=draft.id), "Add another version")
    assert "The same as the first prompt" in said(app)
    next(one for one in reversed(app.text_area) if one.label == "Prompt").set_value("Explain {{topic}} briefly.")
    app = ran(app)
    assert [one.label for one in stored(services, ada, draft).plan.prompts] == ["Sample v1", "Sample v2"]
    assert not button(app, "Start 54 trials").disabled


def test_typing_on_stays_in_the_version_that_was_begun(services, ada, draft):
    app = opened(experiment=draft.id)
    for prompt in ("Explain {{topic}} in", "Explain {{topic}} in three words."):
        app = fill(app, Prompt=prompt)
    versions = services.experiments.list_prompt_versions(user_id=ada.id, name="Sample")
    assert [one.number for one in versions] == [2, 1]
    assert versions[0].prompt == "Explain {{topic}} in three words."


def test_forecast_says_what_is_not_known(services, ada, draft):
    app = opened(experiment=draft.id)
    assert "27 (3 arms x 3 cases x 3 repeats)" in said(app)
    assert "<dt>Time</dt><dd>n/a</dd>" in said(app)
    assert "No stored call of `demo-small` yet" in said(app)


def test_full_plan_of_40_arms_and_500_cases_is_drawn(services, ada):
    prompt = services.experiments.save_prompt(user_id=ada.id, name="Long", prompt="Say {{word}}")
    axes = (AxisText("temperature", "0:0.9:0.1"), AxisText("top_p", "0.4:1:0.2"))
    cases = CaseTable(("word",), tuple((f"word {number}",) for number in range(500)))
    plan = Plan(prompts=(prompt,), models=(DEMO,), axes=axes, repeats=1)
    made = services.experiments.create(user_id=ada.id, name="Full", plan=plan, cases=cases)
    app = opened(experiment=made.id)
    assert len(app.dataframe[-1].value) == 40
    assert not button(app, "Start 20,000 trials").disabled


def test_start_turns_to_the_run(services, ada, draft):
    app = press(opened(experiment=draft.id), "Start 27 trials")
    assert app.query_params["tab"] == "run"
    assert "0 of 27 trials" in app.get("progress")[0].proto.text


def test_change_that_comes_together_with_the_start_is_part_of_what_starts(services, ada, draft):
    app = opened(experiment=draft.id)
    field(app, "Temperature").set_value("0, 0.3, 0.9")
    press(app, "Start 27 trials")
    started = stored(services, ada, draft)
    assert (started.state, [arm.params.temperature for arm in started.arms]) == ("running", [0, 0.3, 0.9])


def test_change_to_another_number_of_trials_than_the_button_said_waits_for_a_second_press(services, ada, draft):
    app = opened(experiment=draft.id)
    field(app, "Repeats").set_value(2)
    app = press(app, "Start 27 trials")
    assert stored(services, ada, draft).state == "draft"
    assert "these are 18 trials, not 27." in said(app)
    press(app, "Start 18 trials")
    assert "0 of 18 trials" in app.get("progress")[0].proto.text


def test_mistake_that_comes_together_with_the_start_keeps_it_from_starting(services, ada, draft):
    app = opened(experiment=draft.id)
    field(app, "Temperature").set_value("0, warm")
    press(app, "Start 27 trials")
    assert stored(services, ada, draft).state == "draft"
    assert "`warm` is not a number" in said(app)


def test_started_plan_can_only_be_read(services, ada, running):
    app = opened(experiment=running.id, tab="plan")
    assert "It has started, so its plan stays." in said(app)
    assert not app.text_area


# ---- the run -----------------------------------------------------------------------------------


def figures(app):
    return {item.label: item.value for item in app.metric}


def test_run_is_paused_resumed_and_cancelled(services, ada, running):
    app = press(opened(experiment=running.id), "Pause")
    assert stored(services, ada, running).state == "paused"
    app = press(app, "Resume")
    assert stored(services, ada, running).state == "running"
    app = press(press(app, "Cancel"), "Cancel the experiment")
    assert stored(services, ada, running).state == "cancelled"
    assert figures(app)["Cancelled"] == "27"


def test_cap_that_was_reached_is_said_with_its_cure(services, ada, running):
    plan = stored(services, ada, running).plan
    service = services.experiments
    service.set_caps(user_id=ada.id, experiment_id=running.id, plan=Plan(caps=Caps(max_calls=5), pace=plan.pace))
    with services.store.transaction() as conn:
        conn.execute(text("UPDATE experiments SET calls = 5, state = 'paused', paused_because = 'The cap is reached.'"))
    app = opened(experiment=running.id)
    assert "The cap is reached." in said(app)
    assert figures(app)["Calls"] == "5 of 5"
    assert "Raise it, then resume." in said(press(app, "Resume"))


def test_failures_are_grouped_by_reason_and_run_again(services, ada, running):
    with services.store.transaction() as conn:
        conn.execute(
            text("UPDATE experiment_trials SET state = 'failed', error = 'The server is away.' WHERE case_no < 2")
        )
    app = opened(experiment=running.id, tab="run")
    assert "**18 trials:** The server is away." in said(app)
    assert figures(app)["Failed"] == "18"
    app = press(app, "Run 18 failed trials again")
    assert figures(app)["Failed"] == "0"


def test_extension_tells_how_many_trials_are_new_and_runs_only_those(services, ada, running):
    app = press(opened(experiment=running.id), "Extend")
    assert "Nothing new so far" in said(app)
    app = fill(app, Repeats=5, Temperature="0, 0.7, 1, 0.3")
    app = press(app, "Run 33 new trials")
    assert "0 of 60 trials" in app.get("progress")[0].proto.text


def test_extension_to_another_number_than_the_button_said_waits_for_a_second_press(services, ada, running):
    app = fill(press(opened(experiment=running.id), "Extend"), Repeats=4)
    field(app, "Repeats").set_value(5)
    app = press(app, "Run 9 new trials")
    assert "these are 18 trials, not 9." in said(app)
    app = press(app, "Run 18 new trials")
    assert "0 of 45 trials" in app.get("progress")[0].proto.text


def test_extension_in_a_second_tab_is_told_that_there_was_another(services, ada, running):
    app = fill(press(opened(experiment=running.id), "Extend"), Repeats=4)
    plan = stored(services, ada, running).plan
    more = replace(plan, axes=(*plan.axes[:-1], replace(plan.axes[-1], text="0, 0.7")))
    services.experiments.extend(user_id=ada.id, role=ada.role, experiment_id=running.id, plan=more)
    app = press(app, "Run 9 new trials")
    assert "changed in another tab" in said(app)
    assert stored(services, ada, running).plan == more


def test_extension_that_another_tab_has_overtaken_says_so_and_begins_anew(services, ada, running):
    app = press(opened(experiment=running.id), "Extend")
    plan = replace(stored(services, ada, running).plan, repeats=4)
    services.experiments.extend(user_id=ada.id, role=ada.role, experiment_id=running.id, plan=plan)
    app = fill(app, Repeats=4)
    assert "it may have been extended there" in said(app)
    app = press(app, "Show it as it is now")
    assert field(app, "Repeats").value == 4


def test_mistake_that_comes_together_with_the_press_runs_nothing_and_is_said(services, ada, running):
    app = fill(press(opened(experiment=running.id), "Extend"), Repeats=4)
    field(app, "Temperature").set_value("0, warm")
    app = press(app, "Run 9 new trials")
    assert "`warm` is not a number" in said(app)
    assert stored(services, ada, running).plan.repeats == 3


def test_extension_by_cases_names_a_column_that_is_not_there(services, ada, running):
    app = press(opened(experiment=running.id), "Extend")
    app = fill(app, **{"Columns:_topic,_expected": "tpoic\nrain"})
    assert "The experiment has no column `tpoic`" in said(app)
    app = fill(app, **{"Columns:_topic,_expected": "topic,expected\nrain,wet"})
    assert not button(app, "Run 9 new trials").disabled


def test_extension_of_a_part_of_the_grid_leaves_the_rest_out(services, ada, draft):
    arms = services.experiments.preview(user_id=ada.id, role=ada.role, experiment_id=draft.id).arms
    plan = stored(services, ada, draft).plan
    chosen = Plan(**{**vars(plan), "chosen": frozenset({arms[0].hash})})
    services.experiments.save_plan(user_id=ada.id, experiment_id=draft.id, plan=chosen)
    services.experiments.start(user_id=ada.id, role=ada.role, experiment_id=draft.id)
    app = fill(press(opened(experiment=draft.id), "Extend"), Repeats=4)
    assert not button(app, "Run 3 new trials").disabled


def test_cancelled_experiment_is_extended_by_what_was_cancelled(services, ada, running):
    services.experiments.cancel(user_id=ada.id, experiment_id=running.id)
    app = press(opened(experiment=running.id, tab="run"), "Extend")
    assert "27 cancelled trials will run, too." in said(app)
    press(app, "Run 27 trials")
    assert stored(services, ada, running).state == "running"


def test_results_of_a_draft_say_how_to_get_them(services, ada, draft):
    assert "Start the experiment on the Plan tab" in said(opened(experiment=draft.id, tab="results"))


# ---- from elsewhere ----------------------------------------------------------------------------


def test_shared_experiment_is_read_only_and_can_be_cloned(services, ada, running, sign_in_as):
    token = services.experiments.add_link(user_id=ada.id, experiment_id=running.id).token
    services.accounts.add_person(actor=ada, username="ben", display_name="Ben", role="analyst")
    ben = next(one for one in services.accounts.list_people(actor=ada) if one.username == "ben")
    with services.store.transaction() as conn:
        conn.execute(text("UPDATE users SET must_change_password = false"))
    sign_in_as(ben.id)
    app = opened(shared=token, tab="run")
    assert "Shared with you, read-only." in said(app)
    assert "Pause" not in [one.label for one in app.button]
    press(app, "Clone")
    assert services.experiments.list_experiments(user_id=ben.id)[0].state == "draft"


def test_comparison_becomes_a_draft_once(services, ada):
    view = services.compare.new(user_id=ada.id, role=ada.role)
    app = opened(from_compare=view.comparison.id)
    made = services.experiments.list_experiments(user_id=ada.id)
    assert len(made) == 1
    assert app.query_params["experiment"] == str(made[0].id)
    plan = stored(services, ada, made[0]).plan
    assert [axis.param for axis in plan.axes] == ["temperature"]
    assert plan.prompts[0].prompt == view.comparison.prompt


# ---- two tabs ----------------------------------------------------------------------------------


@pytest.fixture
def overtaken(services, ada, draft):
    """A tab with seven repeats, after another one has saved five."""
    app = opened(experiment=draft.id)
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
