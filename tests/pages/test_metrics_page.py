"""What the metrics and usage pages show, on real usage rows: figures, filters in the address, other people's calls."""

import threading
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from chatplay.ui import budget_note
from chatplay.usage import ahead
from chatplay.usage.ahead import Ahead, Answers
from tests.db.usage_rig import FAILED, UsageRig
from tests.pages.screen import charts, choose, figures, opened, press, ran, said

CHARTS = 8


@pytest.fixture
def house(services, ada, ana):
    """Adds calls of an hour ago: `house.add(hours_ago(1), user=...)`."""
    return UsageRig(services.store, ana=ana.id, ben=ada.id)


def hours_ago(hours):
    return datetime.now(UTC) - timedelta(hours=hours)


def test_first_visit_says_what_the_page_is_for(ada):
    app = opened("metrics")
    assert "You have made no model call in this range yet" in said(app)
    assert charts(app) == 0


def test_figures_are_those_of_the_calls(house, ada):
    for ttft_ms in (100.0, 200.0, 300.0):
        house.add(hours_ago(2), user=ada.id, ttft_ms=ttft_ms, session_id=uuid4())
    house.add(hours_ago(2), user=ada.id, **FAILED)
    house.count()
    shown = figures(opened("metrics"))
    assert (shown["Calls"], shown["Error rate"], shown["Fallback rate"]) == ("4", "25.0 %", "0.0 %")
    assert shown["TTFT p50"] in ("199 ms", "200 ms", "201 ms")  # the roll-up's percentiles are within 1 %
    assert shown["Cost"] == "$0.0300"


def test_calls_of_one_day_are_no_trend(house, ada):
    house.add(hours_ago(2), user=ada.id)
    house.count()
    assert trends(opened("metrics"))["Calls"] == []
    house.add(hours_ago(50), user=ada.id)
    house.count()
    assert [value for value in trends(opened("metrics"))["Calls"] if value] == [1.0, 1.0]


def trends(app):
    return {tile.label: list(tile.proto.chart_data) for tile in app.metric}


def test_every_chart_is_drawn(house, ada):
    house.add(hours_ago(2), user=ada.id)
    house.count()
    assert charts(opened("metrics")) == CHARTS


def test_every_question_of_the_page_is_foreseen_whatever_its_cards_show(house, ada, monkeypatch):
    asked = []
    monkeypatch.setattr(Ahead, "view", lambda _self: nullcontext(Recorded(asked)))
    house.add(hours_ago(2), user=ada.id)
    house.count()
    app = opened("metrics")
    next(one for one in app.selectbox if one.label == "Shown").set_value("cost_usd")
    next(one for one in app.selectbox if one.label == "Order").set_value("longest")
    ran(app)
    assert asked
    assert [name for name, was_foreseen in asked if not was_foreseen] == []


class Recorded(Answers):
    """Answers that note what was asked, and whether it had been expected just so."""

    def __init__(self, asked):
        super().__init__(threading.BoundedSemaphore(1))
        self._asked = asked

    def get(self, question, *args, **kwargs):
        self._asked.append((question.__name__, ahead._key(question, args, kwargs) in self._known))
        return super().get(question, *args, **kwargs)


def test_analyst_sees_only_their_own_calls_whatever_the_address_says(house, ana, ada, sign_in_as):
    house.add(hours_ago(2), user=ana.id)
    house.add(hours_ago(2), user=ada.id)
    house.count()
    sign_in_as(ana.id)
    assert figures(opened("metrics", who="all"))["Calls"] == "1"


def test_administrator_sees_everybodys_calls_on_request(house, ana, ada):
    house.add(hours_ago(2), user=ana.id)
    house.add(hours_ago(2), user=ada.id)
    house.count()
    assert figures(opened("metrics"))["Calls"] == "1"
    assert figures(opened("metrics", who="all"))["Calls"] == "2"


def test_filters_of_the_address_hold(house, ada):
    house.add(hours_ago(2), user=ada.id, params={"temperature": 0.2})
    house.add(hours_ago(2), user=ada.id, model="big")
    house.add(hours_ago(24 * 20), user=ada.id)
    house.count()
    assert figures(opened("metrics"))["Calls"] == "2"
    assert figures(opened("metrics", range="30d"))["Calls"] == "3"
    assert figures(opened("metrics", model="box/big"))["Calls"] == "1"
    assert figures(opened("metrics", param="temperature:0.2"))["Calls"] == "1"
    assert figures(opened("metrics", status="failed"))["Calls"] == "0"


def test_filter_goes_into_the_address(house, ada):
    house.add(hours_ago(2), user=ada.id)
    house.count()
    app = opened("metrics")
    next(one for one in app.multiselect if one.label == "Status").set_value(["failed"])
    ran(app)
    assert app.query_params["status"] == "failed"
    assert "No call in this range passes the filters" in said(app)
    next(one for one in app.button if one.label == "Clear filters").click()
    assert figures(ran(app))["Calls"] == "1"


def test_call_of_the_address_opens_its_flight_recorder(house, ada):
    call = house.add(
        hours_ago(2),
        user=ada.id,
        gaps_ms=[20.0, 20.0, 400.0, 20.0],
        sent='{"model": "tiny"}',
        reasoning_tokens=2_000,
    )
    house.count()
    app = opened("metrics", call=str(call))
    details = next(one.value for one in app.dataframe if "Value" in one.value.columns)
    assert dict(zip(details[""], details["Value"], strict=True))["Reasoning tokens"] == "2,000"
    assert "1 of 4 is a stall" in said(app)
    assert '"model": "tiny"' in app.code[0].value


def test_call_of_somebody_else_does_not_exist(house, ana, ada, sign_in_as):
    call = house.add(hours_ago(2), user=ada.id)
    house.add(hours_ago(2), user=ana.id)
    house.count()
    sign_in_as(ana.id)
    app = opened("metrics", call=str(call))
    assert "tiny at box" not in said(app)
    assert [toast.value for toast in app.toast] == ["There is no such call, or it is not yours."]


def test_call_that_takes_the_place_of_a_chosen_one_is_not_opened(house, ada):
    slow = house.add(hours_ago(3), user=ada.id, ttft_ms=900.0)
    house.add(hours_ago(2), user=ada.id, ttft_ms=100.0)
    house.count()
    app = choose(opened("metrics"), "TTFT", 1)
    assert app.query_params["call"] == str(slow)
    app.query_params.pop("call")
    next(one for one in app.selectbox if one.label == "Order").set_value("slowest_first_token")
    assert "call" not in ran(app).query_params


def test_unknown_cost_is_unknown_and_not_nothing(house, ada):
    house.add(hours_ago(2), user=ada.id, cost_usd=None)
    house.count()
    assert figures(opened("metrics"))["Cost"] == "n/a"


def test_usage_page_is_for_administrators(house, ana, sign_in_as):
    house.add(hours_ago(2), user=ana.id)
    house.count()
    sign_in_as(ana.id)
    app = opened("usage")
    assert "Only administrators see what everybody used" in said(app)
    assert not app.metric


def test_usage_page_sums_what_is_known_and_counts_what_is_not(house, ana, ada):
    house.add(hours_ago(2), user=ana.id)
    house.add(hours_ago(2), user=ada.id, cost_usd=None)
    house.count()
    app = opened("usage")
    shown = figures(app)
    assert (shown["People"], shown["Calls"], shown["Cost"]) == ("2", "2", "$0.0100")
    assert set(app.dataframe[0].value["Person"]) == {"Ada", "Ana"}


def test_usage_page_shows_the_days_of_its_address(house, ana):
    day = hours_ago(72).date()
    house.add(hours_ago(72), user=ana.id)
    house.add(hours_ago(2), user=ana.id)
    house.count()
    assert figures(opened("usage", **{"from": str(day), "to": str(day)}))["Calls"] == "1"
    assert figures(opened("usage"))["Calls"] == "2"


def test_budget_is_changed_and_removed_by_its_row(services, house, ana):
    house.add(hours_ago(0.1), user=ana.id, cost_usd=9.0)
    house.count()
    services.budgets.set_budget(scope="person", subject_id=ana.id, monthly_usd=10.0, set_by="ada")
    press(choose(opened("usage"), "Budget", 0), "Remove it")
    assert services.budgets.list_budgets() == ()


@pytest.fixture
def own_budget(services, house, ada):
    """Sets the signed-in person's budget, of which 9 dollars are spent."""
    house.add(hours_ago(0.01), user=ada.id, cost_usd=9.0)
    house.count()

    def set_to(usd):
        budget_note._state_of.clear()
        services.budgets.set_budget(scope="person", subject_id=ada.id, monthly_usd=usd, set_by="ada")
        return "\n".join(item.value for item in opened("account").warning).replace("\\", "")

    yield set_to
    budget_note._state_of.clear()


@pytest.mark.parametrize("page", ["metrics", "usage"])
@pytest.mark.parametrize(("first", "last"), [("1999-12-31", "2001-01-01"), ("2026-01-01", "9999-12-31")])
def test_days_that_nobody_can_choose_are_no_fault(house, ada, page, first, last):
    days = opened(page, **{"from": first, "to": last}).date_input[0].value
    assert date(2000, 1, 1) <= days[0] <= days[1] <= datetime.now(UTC).date()


def test_usage_without_a_call_promises_none_in_a_longer_range(services, house, ana, ada):
    assert "Nobody has made a model call yet." in said(opened("usage"))
    house.add(hours_ago(24 * 60), user=ana.id)
    house.count()
    assert "A longer range shows more." in said(opened("usage"))


@pytest.mark.parametrize(("usd", "words"), [(100.0, ""), (10.0, "is at 90 %"), (9.0, "is used up")])
def test_budget_is_told_from_four_fifths_on(own_budget, usd, words):
    told = own_budget(usd)
    assert words in told
    assert bool(words) == bool(told)


def test_budget_and_price_are_listed_once_set(services, house, ana, ada):
    from chatplay.prices import Price

    house.add(hours_ago(0.1), user=ana.id, cost_usd=9.0)
    house.count()
    services.budgets.set_budget(scope="person", subject_id=ana.id, monthly_usd=10.0, set_by="ada")
    services.prices.set_price(upstream="box", model="tiny", price=Price(1.0, 2.0), set_by="ada")
    tables = [table.value for table in opened("usage").dataframe]
    budgets = next(table for table in tables if "Budget" in table)
    assert list(budgets["State"]) == ["warning"]
    prices = next(table for table in tables if "In force" in table)
    assert (prices["Output, $ per million tokens"][0], prices["Set by"][0]) == ("$2.00", "ada")
    assert set(prices["Set by"][1:]) == {"configuration"}  # the demo models: what holds is told wherever it is set
