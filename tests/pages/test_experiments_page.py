"""The experiments page beyond the plan: the list, a run and its extension, links; no worker runs, so nothing moves."""

from dataclasses import replace

from sqlalchemy import text

from chatplay.experiments.values import Caps, Pace, Plan
from tests.pages.plan_form import field, fill, stored
from tests.pages.screen import button, figures, labels, notices, opened, press, said

# ---- the list ----------------------------------------------------------------------------------


def test_first_visit_says_what_an_experiment_is_and_opens_an_example_in_one_click(services, ada):
    app = opened("experiments")
    assert "asks the same cases with several settings" in said(app)
    app = press(app, "Open a ready example")
    assert "3 values: 0, 0.7, 1" in said(app)
    assert not button(app, "Start 27 trials").disabled


def test_list_shows_each_experiment_with_its_size_and_state(services, ada, running):
    app = opened("experiments")
    assert "3 arms x 3 cases, 0 of 27 trials" in said(app)
    assert "Running" in said(app)
    label = next(one.label for one in app.button if one.label.startswith("Sample"))
    assert "0 of 27 trials" in press(app, label).get("progress")[0].proto.text


def test_run_that_waits_for_a_worker_says_so(services, ada, running):
    with services.store.transaction() as conn:
        conn.execute(text("UPDATE experiments SET updated_at = now() - interval '1 minute'"))
    assert "No worker is running, so no call begins." in notices(
        opened("experiments", experiment=running.id, tab="run")
    )


def test_full_list_is_shown_in_parts(services, ada):
    for number in range(53):
        services.experiments.create(user_id=ada.id, name=f"Trial run {number}")
    app = opened("experiments")
    shown = [one.label for one in app.button if one.label.startswith("Trial run")]
    assert len(shown) == 50
    app = press(app, "Show more")
    assert len([one for one in app.button if one.label.startswith("Trial run")]) == 53


def test_address_of_no_experiment_says_so_and_leads_back(services, ada):
    app = opened("experiments", experiment="8d13dec5-c284-47d1-8bac-7107c1d95568")
    assert "There is no such experiment." in said(app)
    assert "asks the same cases" in said(press(app, "All experiments"))


def test_hostile_names_are_shown_as_text(services, ada):
    made = services.experiments.create(user_id=ada.id, name="<img src=x> **bold** :red[x]")
    assert "\\<img" in opened("experiments", experiment=made.id).subheader[0].value


# ---- the run -----------------------------------------------------------------------------------


def test_run_is_paused_resumed_and_cancelled(services, ada, running):
    app = press(opened("experiments", experiment=running.id), "Pause")
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
    app = opened("experiments", experiment=running.id)
    assert "The cap is reached." in said(app)
    assert figures(app)["Calls"] == "5 of 5"
    assert "Raise it, then resume." in said(press(app, "Resume"))


def test_failures_are_grouped_by_reason_and_run_again(services, ada, running):
    with services.store.transaction() as conn:
        conn.execute(
            text("UPDATE experiment_trials SET state = 'failed', error = 'The server is away.' WHERE case_no < 2")
        )
    app = opened("experiments", experiment=running.id, tab="run")
    assert "**18 trials:** The server is away." in said(app)
    assert figures(app)["Failed"] == "18"
    app = press(app, "Run 18 failed trials again")
    assert figures(app)["Failed"] == "0"


def test_failed_trials_of_a_paused_experiment_are_said_to_run_once_it_is_resumed(services, ada, running):
    services.experiments.pause(user_id=ada.id, experiment_id=running.id)
    with services.store.transaction() as conn:
        conn.execute(text("UPDATE experiment_trials SET state = 'failed' WHERE case_no < 2"))
    app = press(opened("experiments", experiment=running.id, tab="run"), "Run 18 failed trials again")
    assert "runs once it is resumed" in notices(app)
    assert stored(services, ada, running).state == "paused"
    assert "runs once it is resumed" not in notices(press(app, "Resume"))


def test_extension_tells_how_many_trials_are_new_and_runs_only_those(services, ada, running):
    app = press(opened("experiments", experiment=running.id), "Extend")
    assert "Nothing new so far" in said(app)
    app = fill(app, Repeats=5, Temperature="0, 0.7, 1, 0.3")
    app = press(app, "Run 33 new trials")
    assert "0 of 60 trials" in app.get("progress")[0].proto.text


def test_extension_by_another_wording_of_the_prompt_leaves_the_one_that_ran_as_it_is(services, ada, running):
    before = stored(services, ada, running).plan.prompts
    app = press(press(opened("experiments", experiment=running.id), "Extend"), "Add another version")
    assert "Nothing new so far" in said(app)
    app = fill(app, Prompt="Explain {{topic}} to {{reader}}")
    assert "the cases have no column `reader`" in said(app)
    assert "Add the column to the cases" not in labels(app)
    press(fill(app, Prompt="What is {{topic}}?"), "Run 27 new trials")
    after = stored(services, ada, running).plan.prompts
    assert after[:-1] == before
    assert after[-1].prompt == "What is {{topic}}?"
    assert services.experiments.get_progress(user_id=ada.id, experiment_id=running.id).waiting == 54


def test_extension_to_another_number_than_the_button_said_waits_for_a_second_press(services, ada, running):
    app = fill(press(opened("experiments", experiment=running.id), "Extend"), Repeats=4)
    field(app, "Repeats").set_value(5)
    app = press(app, "Run 9 new trials")
    assert "these are 18 trials, not 9." in said(app)
    app = press(app, "Run 18 new trials")
    assert "0 of 45 trials" in app.get("progress")[0].proto.text


def test_extension_in_a_second_tab_is_told_that_there_was_another(services, ada, running):
    app = fill(press(opened("experiments", experiment=running.id), "Extend"), Repeats=4)
    plan = stored(services, ada, running).plan
    more = replace(plan, axes=(*plan.axes[:-1], replace(plan.axes[-1], text="0, 0.7")))
    services.experiments.extend(user_id=ada.id, role=ada.role, experiment_id=running.id, plan=more)
    app = press(app, "Run 9 new trials")
    assert "changed in another tab" in said(app)
    assert stored(services, ada, running).plan == more


def test_extension_that_another_tab_has_overtaken_says_so_and_begins_anew(services, ada, running):
    app = press(opened("experiments", experiment=running.id), "Extend")
    plan = replace(stored(services, ada, running).plan, repeats=4)
    services.experiments.extend(user_id=ada.id, role=ada.role, experiment_id=running.id, plan=plan)
    app = fill(app, Repeats=4)
    assert "it may have been extended there" in said(app)
    app = press(app, "Show it as it is now")
    assert field(app, "Repeats").value == 4


def test_mistake_that_comes_together_with_the_press_runs_nothing_and_is_said(services, ada, running):
    app = fill(press(opened("experiments", experiment=running.id), "Extend"), Repeats=4)
    field(app, "Temperature").set_value("0, warm")
    app = press(app, "Run 9 new trials")
    assert "`warm` is not a number" in said(app)
    assert stored(services, ada, running).plan.repeats == 3


def test_extension_by_cases_names_a_column_that_is_not_there(services, ada, running):
    app = press(opened("experiments", experiment=running.id), "Extend")
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
    app = fill(press(opened("experiments", experiment=draft.id), "Extend"), Repeats=4)
    assert not button(app, "Run 3 new trials").disabled


def test_cancelled_experiment_is_extended_by_what_was_cancelled(services, ada, running):
    services.experiments.cancel(user_id=ada.id, experiment_id=running.id)
    app = press(opened("experiments", experiment=running.id, tab="run"), "Extend")
    assert "27 cancelled trials will run, too." in said(app)
    assert "27, and retries" in said(app)
    assert field(app, "Repeats").min == 3
    press(app, "Run 27 trials")
    assert stored(services, ada, running).state == "running"


def test_extension_of_a_paused_experiment_says_that_it_goes_on(services, ada, running):
    services.experiments.pause(user_id=ada.id, experiment_id=running.id)
    app = fill(press(opened("experiments", experiment=running.id), "Extend"), Repeats=4)
    assert "The experiment goes on: 27 waiting trials will run, too." in said(app)
    press(app, "Run 9 new trials")
    assert stored(services, ada, running).state == "running"


def test_limit_of_a_paused_experiment_is_taken_away_by_emptying_its_field(services, ada, running):
    services.experiments.pause(user_id=ada.id, experiment_id=running.id)
    plan = replace(stored(services, ada, running).plan, caps=Caps(7), pace=Pace(calls_at_once=2))
    services.experiments.set_caps(user_id=ada.id, experiment_id=running.id, plan=plan)
    app = press(opened("experiments", experiment=running.id), "Change limits")
    assert [field(app, label).value for label in ("Cap on calls", "Calls at once")] == [7, 2]
    press(fill(app, Cap_on_calls=None, Calls_at_once=None), "Apply")
    plan = stored(services, ada, running).plan
    assert (plan.caps, plan.pace) == (Caps(), Pace())


def test_results_of_a_draft_say_how_to_get_them(services, ada, draft):
    assert "Start the experiment on the Plan tab" in said(opened("experiments", experiment=draft.id, tab="results"))


# ---- from elsewhere ----------------------------------------------------------------------------


def test_shared_experiment_is_read_only_and_can_be_cloned(services, ada, running, sign_in_as):
    token = services.experiments.add_link(user_id=ada.id, experiment_id=running.id).token
    services.accounts.add_person(actor=ada, username="ben", display_name="Ben", role="analyst")
    ben = next(one for one in services.accounts.list_people(actor=ada) if one.username == "ben")
    with services.store.transaction() as conn:
        conn.execute(text("UPDATE users SET must_change_password = false"))
    sign_in_as(ben.id)
    app = opened("experiments", shared=token, tab="run")
    assert "Shared with you, read-only." in said(app)
    assert "Pause" not in [one.label for one in app.button]
    press(app, "Clone")
    assert services.experiments.list_experiments(user_id=ben.id)[0].state == "draft"


def test_comparison_becomes_a_draft_with_what_was_typed_last(services, ada):
    view = services.compare.new(user_id=ada.id, role=ada.role)
    app = opened("compare", comparison=view.comparison.id)
    app.text_area[0].set_value("What is {{thing}}?")
    app = press(app, "Make it an experiment")
    made = services.experiments.list_experiments(user_id=ada.id)
    assert len(made) == 1
    assert app.query_params["experiment"] == str(made[0].id)
    plan = stored(services, ada, made[0]).plan
    assert [axis.param for axis in plan.axes] == ["temperature"]
    assert plan.prompts[0].prompt == field(app, "Prompt").value == "What is {{thing}}?"
