"""Experiments on the real database: laid out, run once each, paused, capped, cancelled, extended, retried."""

import math
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest

from chatplay.errors import BadInput, Conflict, NotFound, PlanChanged, RateLimited
from chatplay.experiments.scoring import Contains
from chatplay.experiments.values import AxisText, Caps, CaseTable, Pace
from chatplay.experiments.worker import sweep
from chatplay.models.view import described
from chatplay.params import Params
from chatplay.prices import Price
from chatplay.usage.budgets import Budgets
from chatplay.usage.price_table import PriceTable
from db import trial_claims
from tests.db.chat_rig import eventually, process
from tests.db.experiment_rig import QUICK, make_worker, words
from tests.db.experiment_rig import house as make_house
from tests.db.processes import query


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


def limited(retry_after_sec=0.01):
    return RateLimited("Slow down.", provider="scripted", model="tiny", retry_after_sec=retry_after_sec)


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


def test_paused_experiment_begins_no_more_calls_and_goes_on_after_resume(house):
    house.answerer.hold = threading.Event()
    experiment_id = house.start(cases=10)
    house.work()
    eventually(lambda: house.progress(experiment_id).running == 4)
    house.call("pause", experiment_id)
    house.answerer.hold.set()
    eventually(lambda: house.progress(experiment_id).running == 0)
    assert house.progress(experiment_id).done == 4
    house.call("resume", experiment_id)
    house.finish(experiment_id)
    assert house.progress(experiment_id).done == 40


def test_cancelled_experiment_stops_what_runs_and_can_be_taken_up_again(house):
    house.answerer.hold = threading.Event()
    experiment_id = house.start()
    house.work()
    eventually(lambda: house.progress(experiment_id).running == 4)
    house.call("cancel", experiment_id)
    eventually(lambda: house.progress(experiment_id).cancelled == 12)
    house.answerer.hold.set()
    plan = house.call("get", experiment_id).plan
    assert house.call("extend", experiment_id, role="analyst", plan=plan) == 12
    house.finish(experiment_id)
    found = house.progress(experiment_id)
    assert (found.done, found.retries) == (12, 0)


def test_what_was_cancelled_is_part_of_what_an_extension_will_run(house):
    experiment_id = house.start()
    house.call("cancel", experiment_id)
    plan = replace(house.call("get", experiment_id).plan, repeats=3)
    ahead = house.call("preview", experiment_id, role="analyst", plan=plan)
    assert (ahead.trials, ahead.new_trials, ahead.forecast.calls) == (18, 18, 18)
    assert house.call("extend", experiment_id, role="analyst", plan=plan) == 18


def test_extension_by_fewer_repeats_than_there_are_is_refused(house):
    experiment_id = house.start()
    fewer = replace(house.call("get", experiment_id).plan, repeats=1)
    problem = house.call("preview", experiment_id, role="analyst", plan=fewer).problems[0]
    assert (problem.field, problem.cure) == ("repeats", "Write 2 or more.")
    with pytest.raises(BadInput, match="2 repeats already"):
        house.call("extend", experiment_id, role="analyst", plan=fewer)
    assert house.call("get", experiment_id).plan.repeats == 2


def test_second_tab_that_extends_is_told_of_the_first(house):
    experiment_id = house.start()
    seen = house.call("get", experiment_id)
    more = {"role": "analyst", "plan": replace(seen.plan, repeats=seen.plan.repeats + 1), "revision": seen.revision}
    assert house.call("extend", experiment_id, **more) > 0
    with pytest.raises(PlanChanged, match="another tab"):
        house.call("extend", experiment_id, **more)


def test_cap_on_calls_pauses_with_its_reason_and_holds_for_two_workers(house):
    experiment_id = house.start(cases=10, caps=Caps(max_calls=7))
    house.work()
    house.work()
    house.finish(experiment_id, "paused")
    eventually(lambda: house.progress(experiment_id).running == 0)
    found = house.progress(experiment_id)
    assert (found.calls, len(house.answerer.requests)) == (7, 7)
    assert "7 calls" in found.paused_because
    with pytest.raises(Conflict, match="cap of 7"):
        house.call("resume", experiment_id)


def test_cap_on_cost_is_never_passed(database_url):
    with make_house(database_url, price=Price(1_000.0, 1_000.0)) as house:  # 15 tokens: $0.015; reserved: far more
        experiment_id = house.start(cases=20, caps=Caps(max_cost_usd=1.0))
        house.work()
        house.finish(experiment_id, "paused")
        eventually(lambda: house.progress(experiment_id).running == 0)
        found = house.progress(experiment_id)
        assert 0 < found.cost_usd <= 1.0
        assert "$1" in found.paused_because


def test_budget_that_is_used_up_pauses_with_its_reason(database_url):
    with make_house(database_url, price=Price(1_000.0, 1_000.0)) as house:  # 15 tokens: $0.015
        Budgets(store=house.process.store).set_budget(
            scope="person", subject_id=house.user_id, monthly_usd=0.02, set_by="the test"
        )
        experiment_id = house.start(cases=30)
        house.work()
        house.finish(experiment_id, "paused")
        eventually(lambda: house.progress(experiment_id).running == 0)
        found = house.progress(experiment_id)
        assert found.waiting + found.done == found.trials
        assert "budget" in found.paused_because


def test_cap_on_cost_without_a_price_is_refused(house):
    with pytest.raises(BadInput, match="price"):
        house.start(caps=Caps(max_cost_usd=1.0))


def set_price(house, price, model="tiny"):
    PriceTable(store=house.process.store).set_price(upstream="scripted", model=model, price=price, set_by="the test")


def test_price_that_an_administrator_entered_lets_a_cap_on_cost_hold(house):
    set_price(house, Price(1_000.0, 1_000.0))  # 15 tokens: $0.015
    experiment_id = house.start(cases=20, caps=Caps(max_cost_usd=1.0))
    house.work()
    house.finish(experiment_id, "paused")
    eventually(lambda: house.progress(experiment_id).running == 0)
    found = house.progress(experiment_id)
    assert 0 < found.cost_usd <= 1.0
    assert "$1" in found.paused_because


def test_dated_price_goes_before_the_configured_one_in_a_cap_on_cost(database_url):
    with make_house(database_url, price=Price(0.0, 0.0)) as house:
        set_price(house, Price(1_000.0, 1_000.0), model="")
        experiment_id = house.start(cases=20, caps=Caps(max_cost_usd=1.0))
        house.work()
        house.finish(experiment_id, "paused")
        eventually(lambda: house.progress(experiment_id).running == 0)
        assert 0 < house.progress(experiment_id).cost_usd <= 1.0


def test_cap_on_cost_is_refused_to_a_run_whose_price_is_not_known(house):
    experiment_id = house.start()
    plan = house.call("get", experiment_id).plan
    with pytest.raises(BadInput, match="price of `tiny`"):
        house.call("set_caps", experiment_id, plan=replace(plan, caps=Caps(max_cost_usd=1.0)))
    set_price(house, Price(1.0, 1.0))
    house.call("set_caps", experiment_id, plan=replace(plan, caps=Caps(max_cost_usd=1.0)))
    assert house.call("get", experiment_id).plan.caps.max_cost_usd == 1.0


def test_run_whose_price_was_taken_away_pauses_at_its_cap_on_cost(database_url):
    with make_house(database_url, price=Price(1.0, 1.0)) as house:
        experiment_id = house.start(caps=Caps(max_cost_usd=1.0))
        catalog = house.process.catalog
        unpriced = tuple(replace(upstream, price=None) for upstream in catalog.upstreams)
        catalog._view = described(replace(catalog._view, upstreams=unpriced))
        house.work()
        house.finish(experiment_id, "paused")
        assert house.answerer.requests == []
        assert "price of `tiny` is not known" in house.progress(experiment_id).paused_because


def test_extension_runs_only_what_is_missing(house):
    experiment_id = house.run(axes="0, 0.5", cases=3, repeats=2)
    plan = house.call("get", experiment_id).plan
    more = replace(plan, repeats=3, axes=(replace(plan.axes[0], text="0, 0.5, 1"),))
    new = house.call("extend", experiment_id, role="analyst", plan=more, cases=words(1))
    house.finish(experiment_id)
    assert new == 3 * 4 * 3 - 12
    assert len(house.answerer.requests) == 36
    found = house.call("get", experiment_id)
    assert [arm.levels["temperature"] for arm in found.arms] == ["0", "0.5", "1"]


def test_extension_by_cases_with_an_unknown_column_is_refused_and_runs_nothing(house):
    experiment_id = house.start(cases=1)
    plan, wrong = house.call("get", experiment_id).plan, CaseTable(("wrod",), (("dear",),))
    with pytest.raises(BadInput, match="no column `wrod`") as refused:
        house.call("extend", experiment_id, role="analyst", plan=plan, cases=wrong)
    assert (refused.value.param, refused.value.cure) == ("cases", "Rename it; there are `word`, `expected`.")
    assert house.progress(experiment_id).trials == 4


def test_extension_by_cases_that_lack_a_column_leaves_it_empty(house):
    experiment_id = house.start(cases=1)
    plan, more = house.call("get", experiment_id).plan, CaseTable(("word",), (("dear",),))
    assert house.call("extend", experiment_id, role="analyst", plan=plan, cases=more) == 4
    assert house.call("get_cases", experiment_id).rows[1] == ("dear", "")


def test_rate_limited_trial_is_tried_again_and_both_calls_are_recorded(house):
    house.answerer.failures = [limited()]
    experiment_id = house.run(cases=1, repeats=1)
    (row,) = query(house.url, "SELECT id FROM experiment_trials WHERE attempt = 2")
    first, second = house.call("list_attempts", experiment_id, trial_id=row[0])
    assert (first.status, second.status) == ("failed", "complete")
    assert (first.attempt, second.attempt) == (1, 2)
    trial = house.call("get_trial", experiment_id, trial_id=row[0])
    assert trial.metrics.duration_ms == second.duration_ms
    assert (house.progress(experiment_id).retries, house.progress(experiment_id).calls) == (1, 3)


def test_trial_fails_after_its_last_attempt(house):
    house.answerer.failures = [limited() for _ in range(2)]
    experiment_id = house.run(axes="0", cases=1, repeats=1, pace=Pace(max_attempts=2))
    found = house.progress(experiment_id)
    assert (found.done, found.failed) == (0, 1)
    trial = house.call("get_cell", experiment_id, arm=0, case=0).trials[0]
    assert (trial.error, trial.answer, trial.metrics) == ("Slow down.", None, None)


def test_calls_at_once_hold_for_two_workers_together(house):
    experiment_id = house.start(cases=20, pace=Pace(calls_at_once=2))
    house.work()
    house.work()
    house.finish(experiment_id)
    assert house.answerer.most_running == 2


def test_rate_spaces_the_calls(house):
    house.run(axes="0", cases=10, repeats=1, pace=Pace(calls_per_minute=600))
    stamps = query(house.url, "SELECT min(started_at), max(started_at) FROM experiment_trials")[0]
    assert (stamps[1] - stamps[0]).total_seconds() >= (10 - 1) * 0.1 - 1.0 - 0.2  # a burst of one second is allowed


def test_rate_counted_before_the_clock_was_set_back_holds_nobody_up(house):
    experiment_id = house.start(axes="0", cases=3, repeats=1, pace=Pace(calls_per_minute=600))
    of_tomorrow = "SELECT DISTINCT upstream, now() + interval '1 day' FROM experiment_trials"
    query(house.url, f"INSERT INTO upstream_paces (upstream, next_at) {of_tomorrow}")
    house.work()
    house.finish(experiment_id)
    assert house.progress(experiment_id).done == 3


def test_two_workers_share_the_trials_and_run_none_twice(house):
    experiment_id = house.start(cases=40)
    house.work()
    house.work()
    house.finish(experiment_id)
    assert len(house.answerer.requests) == 160
    assert house.progress(experiment_id).calls == 160


def test_worker_that_is_closed_leaves_its_trials_to_the_next(house):
    house.answerer.hold = threading.Event()
    experiment_id = house.start(cases=10)
    worker = house.work()
    eventually(lambda: house.progress(experiment_id).running == 4)
    worker.close()
    house.answerer.hold.set()
    house.work()
    house.finish(experiment_id)
    assert house.progress(experiment_id).done == 40
    assert len(house.answerer.requests) == 40


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


@pytest.mark.parametrize("number", [-1, 2**31, 2**70])
def test_cells_at_absurd_places_do_not_exist(house, number):
    experiment_id = house.start()
    for method, wanted in (
        ("get_cell", {"arm": 0, "case": number}),
        ("get_cell", {"arm": number, "case": 0}),
        ("rerun_cell", {"arm": number, "case": 0}),
        ("get_trial", {"trial_id": number}),
        ("get_code", {"trial_id": number, "language": "curl", "role": "analyst", "app_url": "http://here"}),
    ):
        with pytest.raises(NotFound, match="There is no such"):
            house.call(method, experiment_id, **wanted)


@pytest.mark.parametrize("limits", [{"caps": Caps(max_cost_usd=math.nan)}, {"pace": Pace(calls_per_minute=math.inf)}])
def test_limits_that_are_no_numbers_are_refused_in_words(house, limits):
    draft = house.draft()
    with pytest.raises(BadInput, match="This limit is no number"):
        house.call("save_plan", draft.id, plan=replace(draft.plan, **limits))
    house.call("start", draft.id, role="analyst")
    with pytest.raises(BadInput):
        house.call("set_caps", draft.id, plan=replace(draft.plan, **limits))


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


# ---- workers that lack what others have --------------------------------------------------------


def without_server(view):
    return replace(view, upstreams=(), models=())


def without_key(view):
    upstreams = tuple(replace(one, missing_key="stored but unreadable") for one in view.upstreams)
    return replace(view, upstreams=upstreams)


@contextmanager
def lacking_worker(house, lack, **pace):
    """A worker in a process of its own whose catalog `lack` has taken something from."""
    with process(house.url) as other:
        other.catalog._view = lack(other.catalog._view)
        worker = make_worker(other, house.url, replace(QUICK, **pace))
        worker.start()
        try:
            yield
        finally:
            worker.close()


def note_asked(house, *, sec_ago):
    query(
        house.url,
        "INSERT INTO upstream_health (upstream, base_url, checked_at, healthy, models, failed_checks, failed_calls) "
        f"VALUES ('scripted', '', now() - interval '{sec_ago} seconds', true, '[]', 0, 0)",
    )


@pytest.mark.parametrize("lack", [without_server, without_key])
def test_worker_that_lacks_a_server_leaves_its_trials_to_those_who_have_it(house, caplog, lack):
    experiment_id = house.start(cases=10)
    note_asked(house, sec_ago=1)
    with lacking_worker(house, lack):
        eventually(lambda: "trials at scripted are left to other workers" in caplog.text)
        house.work()
        house.finish(experiment_id)
    assert len(house.answerer.requests) == house.progress(experiment_id).done == 40
    assert caplog.text.count("are left to other workers") == 1


def test_worker_that_has_just_begun_waits_for_others_to_begin(house, caplog):
    experiment_id = house.start()
    note_asked(house, sec_ago=3_600)
    with lacking_worker(house, without_server):
        eventually(lambda: "are left to other workers" in caplog.text)
    assert house.progress(experiment_id).state == "running"


@pytest.mark.parametrize(
    ("lack", "because"),
    [(without_server, "is not there any more. Add the server again"), (without_key, "API key cannot be opened")],
)
def test_experiment_pauses_when_nobody_has_its_server(house, lack, because):
    experiment_id = house.start()
    note_asked(house, sec_ago=3_600)
    with lacking_worker(house, lack, patience_sec=0.0):
        house.finish(experiment_id, "paused")
    assert because in house.progress(experiment_id).paused_because


def test_experiment_pauses_at_once_when_its_server_was_switched_off(house):
    experiment_id = house.start()
    note_asked(house, sec_ago=1)
    query(
        house.url,
        "INSERT INTO upstreams (name, base_url, allowed_models, enabled, settings, per_model) "
        "VALUES ('Scripted', 'http://127.0.0.1:9/v1', '{}', false, '{}', '{}')",
    )
    with lacking_worker(house, without_server):
        house.finish(experiment_id, "paused")
