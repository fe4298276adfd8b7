"""Experiments on the real database: laid out, run once each, paused, capped, cancelled, extended, retried."""

import threading
from collections import Counter
from dataclasses import replace

import psycopg
import pytest

from chatplay.errors import BadInput, Conflict, NotFound, PlanChanged, ProviderError, RateLimited
from chatplay.experiments.scoring import Contains
from chatplay.experiments.values import AxisText, CaseTable, Pace
from chatplay.experiments.worker import sweep
from chatplay.params import Params
from chatplay.providers.base import last_user_text
from db import trial_claims
from db.engine import libpq_url
from tests.db.chat_rig import eventually
from tests.db.experiment_rig import house as make_house
from tests.db.processes import query


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


def limited(retry_after_sec=0.01):
    return RateLimited("Slow down.", provider="scripted", model="tiny", retry_after_sec=retry_after_sec)


def refused():
    return ProviderError("Not with me.", provider="scripted", model="tiny")


def test_experiment_runs_every_place_once(house):
    experiment_id = house.run()
    table = house.call("get_results", experiment_id).table
    places = Counter(zip(table.arm.tolist(), table.case.tolist(), table.repeat.tolist(), strict=True))
    assert len(places) == 2 * 3 * 2
    assert set(places.values()) == {1}
    assert len(house.answerer.requests) == 12


def test_trial_holds_the_answer_of_its_own_settings(house):
    experiment_id = house.run()
    cell = house.call("get_cell", experiment_id, arm=1, case=2)
    assert [trial.answer for trial in cell.trials] == ["Say w2 at 0.5", "Say w2 at 0.5"]
    assert cell.prompt == "Say w2"
    assert cell.trials[0].metrics.params.temperature == 0.5


def test_case_meets_all_arms_in_one_lot(house):
    experiment_id = house.start(axes="0:1:0.25", cases=20, repeats=2)
    rows = query(house.url, "SELECT case_no, repeat, count(DISTINCT lot) FROM experiment_trials GROUP BY 1, 2")
    assert {row[2] for row in rows} == {1}
    lots = query(house.url, "SELECT lot, count(*) FROM experiment_trials GROUP BY lot")
    assert all(16 <= count <= 64 for _, count in lots[:-1])
    assert house.progress(experiment_id).waiting == 200


def test_order_is_shuffled_and_kept_by_its_seed(house):
    house.start(axes="0, 1", cases=12, repeats=1)
    order = query(house.url, "SELECT case_no FROM experiment_trials ORDER BY position")
    assert order != sorted(order)


def test_varied_seeds_are_the_same_for_all_arms_of_a_case(house):
    house.run(axes="0, 0.5", cases=2, repeats=2)
    seeds = {}
    for request in house.answerer.requests:
        seeds.setdefault(request.messages[-1].content, Counter())[request.params.seed] += 1
    assert all(set(counts.values()) == {2} and len(counts) == 2 for counts in seeds.values())


@pytest.mark.parametrize(("policy", "sent"), [("fixed", 7), ("none", None)])
def test_seed_is_the_same_for_all_calls_or_left_to_the_server_as_planned(house, policy, sent):
    house.run(cases=2, seed_policy=policy, seed=7)
    assert {request.params.seed for request in house.answerer.requests} == {sent}


def test_paused_experiment_begins_no_more_calls_and_goes_on_after_resume(house):
    experiment_id = house.start_held(cases=10)
    house.call("pause", experiment_id)
    house.answerer.hold.set()
    eventually(lambda: house.progress(experiment_id).running == 0)
    assert house.progress(experiment_id).done == 4
    house.call("resume", experiment_id)
    house.finish(experiment_id)
    assert house.progress(experiment_id).done == 40


def test_cancelled_experiment_stops_what_runs_and_can_be_taken_up_again(house):
    experiment_id = house.start_held()
    house.call("cancel", experiment_id)
    eventually(lambda: house.progress(experiment_id).cancelled == 12)
    house.answerer.hold.set()
    plan = house.call("get", experiment_id).plan
    assert house.call("extend", experiment_id, role="analyst", plan=plan) == 12
    house.finish(experiment_id)
    found = house.progress(experiment_id)
    assert (found.done, found.retries) == (12, 0)


def test_rate_limited_trial_is_tried_again_and_both_calls_are_recorded(house):
    house.answerer.failures = [limited()]
    experiment_id = house.run(cases=1, repeats=1)
    (row,) = query(house.url, "SELECT id FROM experiment_trials WHERE attempt = 2")
    first, second = house.call("list_attempts", experiment_id, trial_id=row[0])
    assert (first.status, second.status) == ("failed", "complete")
    assert (first.attempt, second.attempt) == (1, 2)
    trial = house.trial(experiment_id, row[0])
    assert trial.metrics.duration_ms == second.duration_ms
    assert second.duration_ms in house.call("get_results", experiment_id).table.duration_ms.tolist()
    assert (house.progress(experiment_id).retries, house.progress(experiment_id).calls) == (1, 3)


def test_ends_that_are_written_together_have_each_their_own_outcome(house):
    experiment_id = house.start_held(axes="0", cases=4, repeats=1)
    trouble = {"w1": [limited()], "w2": [refused()]}

    def answer(request):
        word = last_user_text(request).removeprefix("Say ")
        if trouble.get(word):
            raise trouble[word].pop()
        return word

    house.answerer.answer = answer
    with psycopg.connect(libpq_url(house.url)) as conn:  # the first end waits for this row, the others for the first
        conn.execute("SELECT FROM experiments FOR UPDATE")
        house.answerer.hold.set()
        eventually(lambda: house.answerer.running == 0)
    house.finish(experiment_id)
    found = house.progress(experiment_id)
    assert (found.done, found.failed, found.retries, found.calls) == (3, 1, 1, 5)
    cells = [house.call("get_cell", experiment_id, arm=0, case=case).trials[0] for case in range(4)]
    assert [trial.answer for trial in cells] == ["w0", "w1", None, "w3"]
    assert cells[2].error == "Not with me."


def test_trial_fails_after_its_last_attempt(house):
    house.answerer.failures = [limited() for _ in range(2)]
    experiment_id = house.run(axes="0", cases=1, repeats=1, pace=Pace(max_attempts=2))
    found = house.progress(experiment_id)
    assert (found.done, found.failed) == (0, 1)
    trial = house.call("get_cell", experiment_id, arm=0, case=0).trials[0]
    assert (trial.error, trial.answer, trial.metrics) == ("Slow down.", None, None)


def test_cell_that_is_run_again_takes_the_place_of_the_old(house):
    experiment_id = house.run()
    house.answerer.answer = lambda request: "new"
    assert house.call("rerun_cell", experiment_id, arm=0, case=0) == 2
    house.finish(experiment_id)
    assert {trial.answer for trial in house.call("get_cell", experiment_id, arm=0, case=0).trials} == {"new"}
    assert house.progress(experiment_id).done == 12


AGAIN = [("rerun_failed", {}), ("rerun_cell", {"arm": 0, "case": 0})]


@pytest.mark.parametrize(("method", "place"), AGAIN)
def test_paused_experiment_stays_paused_when_trials_are_to_run_again(house, method, place):
    experiment_id = house.start()
    query(house.url, "UPDATE experiment_trials SET state = 'failed' WHERE arm = 0 AND case_no = 0 RETURNING id")
    house.call("pause", experiment_id)
    assert house.call(method, experiment_id, **place) == 2
    assert (house.progress(experiment_id).state, house.progress(experiment_id).waiting) == ("paused", 12)
    house.call("resume", experiment_id)
    house.work()
    house.finish(experiment_id)
    assert house.progress(experiment_id).done == 12


@pytest.mark.parametrize(("method", "place"), AGAIN)
def test_cancelled_experiment_runs_again_what_is_asked_for_and_stays_cancelled(house, method, place):
    experiment_id = house.start()
    query(house.url, "UPDATE experiment_trials SET state = 'failed' WHERE arm = 0 AND case_no = 0 RETURNING id")
    house.call("cancel", experiment_id)
    assert house.call(method, experiment_id, **place) == 2
    house.work()
    house.finish(experiment_id, "cancelled")
    assert (house.progress(experiment_id).done, house.progress(experiment_id).cancelled) == (2, 10)


@pytest.mark.parametrize(("method", "place"), AGAIN)
def test_nothing_runs_again_while_calls_of_a_cancelled_experiment_are_still_being_stopped(house, method, place):
    experiment_id = house.start()
    query(house.url, "UPDATE experiment_trials SET state = 'failed' WHERE arm = 0 AND case_no = 0 RETURNING id")
    running = "UPDATE experiment_trials SET state = 'running', generation_id = gen_random_uuid() WHERE arm = 1"
    query(house.url, f"{running} RETURNING id")
    house.call("cancel", experiment_id)
    with pytest.raises(Conflict, match="still being stopped"):
        house.call(method, experiment_id, **place)
    assert house.progress(experiment_id).failed == 2


def test_started_experiment_can_not_be_planned_anew(house):
    experiment_id = house.start()
    with pytest.raises(Conflict):
        house.call("save_plan", experiment_id, plan=house.call("get", experiment_id).plan)
    with pytest.raises(Conflict):
        house.call("start", experiment_id, role="analyst")


def test_sweep_gives_lots_without_a_job_a_new_one(house):
    house.start()
    query(house.url, "DELETE FROM procrastinate_jobs")
    sweep(house.process.store)
    assert query(house.url, "SELECT count(*) FROM procrastinate_jobs") == [(1,)]


def test_deleted_experiment_is_gone_with_its_answers_but_not_its_usage(house):
    experiment_id = house.run()
    house.call("delete", experiment_id)
    assert query(house.url, "SELECT count(*) FROM answers") == [(0,)]
    assert query(house.url, "SELECT count(*) FROM usage WHERE source = 'experiment'") == [(12,)]


def test_experiment_of_a_deactivated_person_pauses(house):
    experiment_id = house.start(cases=2)
    with house.process.store.transaction() as conn:
        trial_claims.pause_all_of(conn, user_id=house.user_id, because="Its owner's account was deactivated.")
    house.work()
    house.finish(experiment_id, "paused")
    assert house.progress(experiment_id).paused_because == "Its owner's account was deactivated."
    assert house.answerer.requests == []


def test_experiment_pauses_when_its_owner_may_not_use_the_model_any_more(house):
    house.answerer.hold = threading.Event()
    view = house.process.catalog._view
    object.__setattr__(view, "models", tuple(replace(one, roles=("administrator",)) for one in view.models))
    query(house.url, "UPDATE users SET role = 'administrator' RETURNING id")
    draft = house.draft(cases=10)
    house.call("start", draft.id, role="administrator")
    experiment_id = draft.id
    house.work()
    eventually(lambda: house.progress(experiment_id).running == 4)
    query(house.url, "UPDATE users SET role = 'analyst' RETURNING id")
    house.answerer.hold.set()
    house.finish(experiment_id, "paused")
    assert "no longer open to the owner" in house.progress(experiment_id).paused_because
    eventually(lambda: house.progress(experiment_id).done == 4)
    assert len(house.answerer.requests) == 4


@pytest.mark.parametrize("number", [-1, 2**31, 2**63 - 1, 2**63, 2**70])
def test_cells_at_absurd_places_do_not_exist(house, number):
    experiment_id = house.start()
    for method, wanted in (
        ("get_cell", {"arm": 0, "case": number}),
        ("get_cell", {"arm": number, "case": 0}),
        ("rerun_cell", {"arm": number, "case": 0}),
        ("list_attempts", {"trial_id": number}),
        ("get_code", {"trial_id": number, "language": "curl", "role": "analyst", "app_url": "http://here"}),
    ):
        with pytest.raises(NotFound, match="There is no such"):
            house.call(method, experiment_id, **wanted)


UNSENDABLE = [
    ({"axes": (AxisText("temperature", "0\0"),)}, "axes", "a NUL character at position 2"),
    ({"axes": (AxisText("temp\ud800", "0"),)}, "axes", "half of a surrogate pair"),
    ({"rules": (Contains("a\0"),)}, "rules", "a NUL character"),
    ({"base": Params(stop=("\ud800",))}, "base", "half of a surrogate pair"),
]


@pytest.mark.parametrize(("changes", "field", "says"), UNSENDABLE)
def test_texts_that_can_not_be_stored_are_refused_by_their_field(house, changes, field, says):
    draft = house.draft()
    plan = replace(draft.plan, **changes)
    with pytest.raises(BadInput, match=says) as refused:
        house.call("save_plan", draft.id, plan=plan)
    assert refused.value.param == field
    with pytest.raises(BadInput, match=says):
        house.experiments.create(user_id=house.user_id, name="Other", plan=plan)
    house.call("start", draft.id, role="analyst")
    with pytest.raises(BadInput, match=says):
        house.call("extend", draft.id, role="analyst", plan=plan)
    preview = house.call("preview", draft.id, role="analyst", plan=plan)
    assert field in {problem.field for problem in preview.problems}


def test_prompt_that_can_not_be_sent_is_refused_by_its_own_name(house):
    draft = house.draft()
    with pytest.raises(BadInput, match="Prompt holds a NUL") as refused:
        house.experiments.save_prompt(user_id=house.user_id, name="p", prompt="a\0")
    assert refused.value.param == "prompt"
    (seen,) = draft.plan.prompts
    with pytest.raises(BadInput, match="System prompt holds a NUL") as refused:
        house.call("revise_prompt", draft.id, version=seen, prompt="a", system_prompt="a\0")
    assert refused.value.param == "system_prompt"


# ---- two tabs ----------------------------------------------------------------------------------


def test_plan_saved_elsewhere_is_not_written_over(house):
    draft = house.draft()
    house.call("save_plan", draft.id, plan=replace(draft.plan, repeats=7), revision=draft.revision)
    with pytest.raises(PlanChanged):
        house.call("save_plan", draft.id, plan=replace(draft.plan, repeats=9), revision=draft.revision)
    with pytest.raises(PlanChanged):
        house.call("save_cases", draft.id, cases=CaseTable(("word",), (("x",),)), revision=draft.revision)
    with pytest.raises(PlanChanged):
        house.call("start", draft.id, role="analyst", revision=draft.revision)
    assert house.call("get", draft.id).plan.repeats == 7


def test_renamed_experiment_is_still_the_plan_that_was_read(house):
    draft = house.draft()
    house.call("rename", draft.id, name="Other")
    revision = house.call("save_plan", draft.id, plan=draft.plan, revision=draft.revision)
    house.call("save_cases", draft.id, cases=CaseTable(("word",), (("x",),)), revision=revision)


def test_prompt_revised_in_two_tabs_is_kept_twice(house):
    draft = house.draft()
    (seen,) = draft.plan.prompts
    first = house.call("revise_prompt", draft.id, version=seen, prompt="Mine {{word}}", system_prompt="")
    other = house.call("revise_prompt", draft.id, version=seen, prompt="Yours {{word}}", system_prompt="")
    assert (first.id, first.number) == (seen.id, 1)
    assert (other.number, other.prompt) == (2, "Yours {{word}}")
