"""Dated prices are charged from their day on, and a spent budget ends paid calls until the month does."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from chatplay.calls import Call
from chatplay.errors import BadInput, BudgetSpent, Conflict, NotAllowed, NotFound
from chatplay.params import Params
from chatplay.prices import FREE, Price
from chatplay.providers.base import Chunk, End, Message, Usage
from chatplay.store import Store
from tests.db.chat_rig import rig
from tests.db.usage_rig import UsageRig, make_rig

DEAR = Price(1000.0, 2000.0, 500.0)
TOMORROW = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def house(engine):
    return make_rig(Store(engine))


@pytest.fixture
def playground(database_url):
    with rig(database_url) as house:
        house.provider.script = ["Hi", Chunk(end=End("stop", usage=Usage(1000, 500)))]
        house.money = UsageRig(house.store, house.user_id, 0)
        yield house


def cost_of_a_call(playground):
    turn = playground.ask()
    with playground.store.reading() as conn:
        query = text("SELECT cost_usd FROM usage WHERE generation_id = :id")
        return conn.execute(query, {"id": turn.generation_id}).scalar_one()


def set_price(house, price=DEAR, **more):
    return house.prices.set_price(**{"upstream": "scripted", "model": "tiny", "price": price, "set_by": "ana", **more})


# ---- prices --------------------------------------------------------------------------------------


def test_call_without_any_price_has_no_cost(playground):
    assert cost_of_a_call(playground) is None


def test_call_is_charged_what_was_in_force_and_keeps_it(playground):
    set_price(playground.money)
    assert cost_of_a_call(playground) == pytest.approx(2.0)  # 1000 * 1000 / 1e6 + 500 * 2000 / 1e6
    set_price(playground.money, Price(0.0, 2.0))
    assert cost_of_a_call(playground) == pytest.approx(0.001)
    with playground.store.reading() as conn:
        costs = conn.execute(text("SELECT cost_usd FROM usage ORDER BY created_at")).scalars().all()
    assert costs == [pytest.approx(2.0), pytest.approx(0.001)]


def test_price_of_the_table_goes_before_the_configured_one(database_url):
    with rig(database_url, price=Price(10.0, 10.0)) as playground:
        playground.provider.script = ["Hi", Chunk(end=End("stop", usage=Usage(1000, 500)))]
        assert cost_of_a_call(playground) == pytest.approx(0.015)
        set_price(UsageRig(playground.store, 1, 1))
        assert cost_of_a_call(playground) == pytest.approx(2.0)


def test_price_of_the_model_goes_before_one_of_its_upstream(playground):
    set_price(playground.money, Price(0.0, 4.0))
    set_price(playground.money, DEAR, model="")
    assert cost_of_a_call(playground) == pytest.approx(0.002)


def test_prices_of_many_models_are_those_that_each_call_is_charged(house):
    set_price(house, Price(0.0, 4.0))
    set_price(house, valid_from=TOMORROW)
    set_price(house, DEAR, model="")
    asked = [("scripted", "tiny"), ("scripted", "large"), ("elsewhere", "tiny")]
    assert house.prices.in_force(asked) == {asked[0]: Price(0.0, 4.0), asked[1]: DEAR}
    assert house.prices.in_force([]) == {}


def test_price_to_come_is_not_charged_yet_and_can_be_taken_back(playground):
    entry = set_price(playground.money, valid_from=TOMORROW)
    assert (entry.in_force, cost_of_a_call(playground)) == (False, None)
    playground.money.prices.remove_price(entry.id)
    assert playground.money.prices.list_prices() == ()


def test_price_that_was_in_force_stays_in_the_history(house):
    old, new = set_price(house), set_price(house, Price(1.0, 2.0))
    assert [(one.price, one.in_force, one.set_by) for one in house.prices.list_prices()] == [
        (Price(1.0, 2.0), True, "ana"),
        (DEAR, False, "ana"),
    ]
    for entry in (old, new):
        with pytest.raises(Conflict):
            house.prices.remove_price(entry.id)


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"price": Price(-1.0, 1.0)}, "input"),
        ({"price": Price(1.0, float("nan"))}, "output"),
        ({"price": Price(1.0, 1.0, -0.1)}, "cached"),
        ({"valid_from": datetime(2026, 1, 1, tzinfo=UTC)}, "valid_from"),
        ({"valid_from": datetime(2036, 1, 1)}, "valid_from"),
    ],
)
def test_price_that_cannot_be_is_refused(house, values, param):
    with pytest.raises(BadInput) as caught:
        set_price(house, **values)
    assert (caught.value.param, house.prices.list_prices()) == (param, ())


def test_two_prices_from_the_same_moment_are_refused(house):
    set_price(house, valid_from=TOMORROW)
    with pytest.raises(BadInput, match="already"):
        set_price(house, valid_from=TOMORROW)


def test_price_that_is_not_there_cannot_be_removed(house):
    with pytest.raises(NotFound):
        house.prices.remove_price(7)


# ---- budgets -------------------------------------------------------------------------------------


def set_budget(house, monthly_usd, scope="person", subject=None):
    house.budgets.set_budget(scope=scope, subject_id=subject or house.ana, monthly_usd=monthly_usd, set_by="boss")


def state(house):
    return house.budgets.find_state(user_id=house.ana)


def test_person_without_a_budget_has_no_state(house):
    assert (state(house), house.budgets.list_budgets()) == (None, ())


def test_budget_counts_calls_of_the_month_counted_or_waiting(house):
    now = datetime.now(UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    house.add(month, cost_usd=3.0)
    house.add(month - timedelta(seconds=1), cost_usd=50.0)
    house.count()
    house.add(now, cost_usd=1.0)
    house.add(now, cost_usd=None)
    house.add(now, user=house.ben, cost_usd=70.0)
    set_budget(house, 10.0)
    assert (state(house).spent_usd, state(house).unknown_calls, state(house).share) == (pytest.approx(4.0), 1, 0.4)
    assert (state(house).subject, state(house).resets_at.day) == ("Ana", 1)
    assert state(house).resets_at > now


@pytest.mark.parametrize(("spent", "low", "out"), [(7.99, False, False), (8.0, True, False), (10.0, True, True)])
def test_budget_warns_at_80_percent_and_is_spent_at_100(house, spent, low, out):
    house.add(datetime.now(UTC), cost_usd=spent)
    set_budget(house, 10.0)
    assert (state(house).is_low, state(house).is_spent) == (low, out)


def test_fullest_of_ones_own_and_the_organisations_budget_counts(house):
    house.add(datetime.now(UTC), cost_usd=5.0)
    set_budget(house, 100.0)
    set_budget(house, 6.0, scope="organisation", subject=1)
    assert (state(house).scope, state(house).subject) == ("organisation", "Default")
    assert [one.scope for one in house.budgets.list_budgets()] == ["organisation", "person"]


def test_budget_can_be_changed_and_removed(house):
    set_budget(house, 10.0)
    set_budget(house, 20.0)
    assert state(house).monthly_usd == 20.0
    set_budget(house, None)
    assert state(house) is None


@pytest.mark.parametrize("amount", [-1.0, float("inf"), float("nan")])
def test_budget_that_is_no_amount_is_refused(house, amount):
    with pytest.raises(BadInput):
        set_budget(house, amount)


def test_budget_of_nobody_is_refused(house):
    with pytest.raises(NotFound):
        set_budget(house, 1.0, subject=999)


def test_spent_budget_refuses_the_call_and_stores_nothing(playground):
    set_price(playground.money)
    playground.ask()
    set_budget(playground.money, 2.0)
    chat_id = playground.new_chat()
    with pytest.raises(BudgetSpent, match=r"\$2\.00 of \$2\.00") as caught:
        playground.send(chat_id=chat_id)
    assert isinstance(caught.value, NotAllowed)
    assert "begins anew" in caught.value.cure
    assert playground.view(chat_id).messages == ()
    assert len(playground.provider.requests) == 1


def test_spent_budget_leaves_models_open_that_cost_nothing(playground):
    set_budget(playground.money, 0.0)
    set_price(playground.money, FREE)
    assert playground.ask() is not None


def test_spent_budget_refuses_a_model_whose_price_is_not_known(playground):
    set_budget(playground.money, 0.0)
    with pytest.raises(BudgetSpent):
        playground.ask()


def test_other_persons_budget_stops_nobody_else(playground):
    with playground.store.transaction() as conn:
        conn.execute(text("INSERT INTO budgets (scope, subject_id, monthly_usd) VALUES ('person', 999, 0)"))
    assert playground.ask() is not None


def test_opening_a_call_asks_for_price_and_budgets_in_one_round_trip(playground):
    asked = []
    model = playground.process.catalog.get("tiny", role="analyst", upstream="scripted")
    call = Call(playground.user_id, model, (Message("user", "Hi"),), Params(), "rest", keeps_answer=False)
    with playground.store.transaction() as conn:
        event.listen(conn, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement))
        playground.process.calls.open(conn, call)
    assert len(asked) == 2  # the terms, the rows
