"""Caps on calls and cost, prices and budgets, calls at once and rates: they hold for all workers together."""

import math
from dataclasses import replace

import pytest
from sqlalchemy import event

from chatplay.errors import BadInput, Conflict
from chatplay.experiments.values import Caps, Pace
from chatplay.models.view import described
from chatplay.prices import Price
from chatplay.usage.budgets import Budgets
from chatplay.usage.price_table import PriceTable
from tests.db.chat_rig import eventually
from tests.db.experiment_rig import MODEL
from tests.db.experiment_rig import house as make_house
from tests.db.processes import query


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


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


def run_until_it_pauses(house, **plan):
    """How far it is once its last call has ended."""
    experiment_id = house.start(**plan)
    house.work()
    house.finish(experiment_id, "paused")
    eventually(lambda: house.progress(experiment_id).running == 0)
    return house.progress(experiment_id)


def assert_cap_holds(house):
    found = run_until_it_pauses(house, cases=20, caps=Caps(max_cost_usd=1.0))
    assert 0 < found.cost_usd <= 1.0
    assert "$1" in found.paused_because


def test_cap_on_cost_is_never_passed(database_url):
    with make_house(database_url, price=Price(1_000.0, 1_000.0)) as house:  # 15 tokens: $0.015; reserved: far more
        assert_cap_holds(house)


def test_budget_that_is_used_up_pauses_with_its_reason(database_url):
    with make_house(database_url, price=Price(1_000.0, 1_000.0)) as house:  # 15 tokens: $0.015
        Budgets(store=house.process.store).set_budget(
            scope="person", subject_id=house.user_id, monthly_usd=0.02, set_by="the test"
        )
        found = run_until_it_pauses(house, cases=30)
        assert found.waiting + found.done == found.trials
        assert "budget" in found.paused_because


def test_cap_on_cost_without_a_price_is_refused(house):
    with pytest.raises(BadInput, match="price"):
        house.start(caps=Caps(max_cost_usd=1.0))


def set_price(house, price, model="tiny"):
    PriceTable(store=house.process.store).set_price(upstream="scripted", model=model, price=price, set_by="the test")


def test_price_that_an_administrator_entered_lets_a_cap_on_cost_hold(house):
    set_price(house, Price(1_000.0, 1_000.0))  # 15 tokens: $0.015
    assert_cap_holds(house)


def test_dated_price_goes_before_the_configured_one_in_a_cap_on_cost(database_url):
    with make_house(database_url, price=Price(0.0, 0.0)) as house:
        set_price(house, Price(1_000.0, 1_000.0), model="")
        assert_cap_holds(house)


def test_prices_of_all_models_of_a_plan_are_asked_in_one_question(database_url):
    with make_house(database_url, price=Price(9.0, 9.0)) as house:
        set_price(house, Price(1.0, 2.0))
        models, asked = [MODEL, replace(MODEL, name="other"), replace(MODEL, name="gone")], []
        with house.process.store.reading() as conn:
            event.listen(conn, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement))
            found = house.experiments._desk.find_models(conn, models, "analyst")
        assert [info and info.price for info in found.values()] == [Price(1.0, 2.0), Price(9.0, 9.0), None]
        assert len(asked) == 1


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


@pytest.mark.parametrize("limits", [{"caps": Caps(max_cost_usd=math.nan)}, {"pace": Pace(calls_per_minute=math.inf)}])
def test_limits_that_are_no_numbers_are_refused_in_words(house, limits):
    draft = house.draft()
    with pytest.raises(BadInput, match="This limit is no number"):
        house.call("save_plan", draft.id, plan=replace(draft.plan, **limits))
    house.call("start", draft.id, role="analyst")
    with pytest.raises(BadInput):
        house.call("set_caps", draft.id, plan=replace(draft.plan, **limits))
