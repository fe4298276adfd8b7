"""What the roll-up says against brute force over the calls: sums, percentiles, periods, days of clock changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from chatplay.store import Store
from chatplay.usage.values import ModelKey
from db import usage_rollup
from db.engine import alembic_config, newest_revision
from db.usage_source import rollup_source
from tests.db.usage_rig import FAILED, NOON, day, make_rig, rows_of

HOUR = timedelta(hours=1)
PEOPLE, MODELS = ("ana", "ben"), ("tiny", "large")
_TABLES = ("usage", "usage_pending", "usage_rollups", "usage_settings", "usage_chats")


@pytest.fixture
def house(engine):
    return make_rig(Store(engine))


# ---- against brute force -------------------------------------------------------------------------

ms = st.one_of(st.none(), st.floats(0.5, 90_000, allow_nan=False))
DAYS = 75  # more than two periods of four weeks
call = st.fixed_dictionaries(
    {
        "hours": st.integers(0, DAYS * 24),
        "user": st.sampled_from(PEOPLE),
        "model": st.sampled_from(MODELS),
        "source": st.sampled_from(("chat", "rest")),
        "status": st.sampled_from(("complete", "failed", "stopped", "interrupted")),
        "ttft_ms": ms,
        "tokens_per_second": ms,
        "prompt_tokens": st.one_of(st.none(), st.integers(0, 200_000)),
        "cost_usd": st.one_of(st.none(), st.floats(0, 2)),
        "error_class": st.sampled_from((None, "rate_limited", "stream_cut")),
        "session_id": st.sampled_from((None, UUID(int=1), UUID(int=2))),
    }
)
START = datetime(2026, 10, 20, tzinfo=UTC)


def write(house, calls, batch):
    with house.store.transaction() as conn:
        conn.execute(text(f"TRUNCATE {', '.join(_TABLES)}"))
    for one in sorted(calls, key=lambda one: one["hours"]):
        values = {name: value for name, value in one.items() if name not in ("hours", "user")}
        house.add(START + one["hours"] * HOUR, user=getattr(house, one["user"]), **values)
    house.worker._batch = batch
    house.count()


def exact(calls, name, share):
    values = [one[name] for one in calls if one[name] is not None]
    return (len(values), float(np.quantile(values, share))) if values else (0, None)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(call, max_size=40), st.integers(1, 50), st.integers(0, DAYS * 24), st.integers(1, DAYS * 24), st.data())
def test_roll_up_says_what_the_calls_say(house, calls, batch, first, length, data):
    write(house, calls, batch)
    who = data.draw(st.sampled_from((None, *PEOPLE)))
    models = data.draw(st.sampled_from(((), ("tiny",), MODELS)))
    sources = data.draw(st.sampled_from(((), ("rest",))))
    filter = house.everyone(
        START + first * HOUR,
        START + (first + length) * HOUR,
        models=tuple(ModelKey("box", name) for name in models),
        sources=sources,
    )
    filter = filter if who is None else house.own(filter.start, filter.end, user=getattr(house, who), **more_of(filter))
    inside = [
        one
        for one in calls
        if first <= one["hours"] < first + length
        and (who is None or one["user"] == who)
        and (not models or one["model"] in models)
        and (not sources or one["source"] in sources)
    ]
    nothing_after = all(one["hours"] < first + length for one in calls)
    house.now = filter.end if nothing_after else filter.end + HOUR
    tiles = house.usage.tiles(filter, "UTC")
    costs = [one["cost_usd"] for one in inside if one["cost_usd"] is not None]
    assert tiles.calls.value == len(inside)
    assert tiles.error_rate.k == sum(one["status"] in ("failed", "interrupted") for one in inside)
    assert tiles.cost_usd.value == (None if inside and not costs else pytest.approx(sum(costs)))
    assert tiles.cost_usd.unknown == len(inside) - len(costs)
    for tile, share in ((tiles.ttft_p50_ms, 0.5), (tiles.ttft_p95_ms, 0.95)):
        n, value = exact(inside, "ttft_ms", share)
        assert (tile.n, tile.value) == (n, None if value is None else pytest.approx(value, rel=0.01))
    points = house.usage.percentiles_over_time(filter, "tokens_per_second", "UTC")
    assert sum(point.n for point in points) == exact(inside, "tokens_per_second", 0.5)[0]
    classes = [one["error_class"] for one in inside if one["error_class"]]
    outcomes = house.usage.outcomes_over_time(filter, "UTC")
    assert sum(point.n for point in outcomes if point.kind == "error_class") == len(classes)


def as_before_periods(engine):
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM usage_rollups WHERE level = 3"))
        conn.execute(text("DROP AGGREGATE usage_added(jsonb); DROP AGGREGATE usage_merged(bigint[])"))
        conn.execute(text("UPDATE alembic_version SET version_num = '0008'"))
        config = alembic_config()
        config.attributes["connection"] = conn
        command.upgrade(config, "0009")
        conn.execute(text("UPDATE alembic_version SET version_num = :newest"), {"newest": newest_revision()})


def as_after_bulk_loading(engine):
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM usage_rollups WHERE level = 3"))
        usage_rollup.make_periods(conn)


@pytest.mark.parametrize("make", [as_before_periods, as_after_bulk_loading])
def test_periods_made_of_weeks_are_those_that_are_counted(house, engine, make):
    for back in range(0, 90, 4):
        who = (house.ana, house.ben)[back % 3 == 0]
        house.add(NOON - timedelta(days=back), user=who, ttft_ms=back * 7.0 + 1, cost_usd=0.25)
    house.count()
    counted = rows_of(house)
    make(engine)
    assert sum(row.startswith("(3, ") for row in counted) > 20
    assert rows_of(house) == counted


def test_open_range_is_covered_by_few_rows(house):
    start = NOON - timedelta(days=180)
    house.now = NOON
    for end, is_open in ((NOON, True), (NOON - HOUR, False)):
        spans = rollup_source(replace(house.everyone(start, end), is_open=is_open)).params
        assert (spans["ends"][-1] > NOON) == is_open
        assert (len(spans["levels"]) <= 4) == is_open


def more_of(filter):
    return {"models": filter.models, "sources": filter.sources}


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(call, min_size=1, max_size=30), st.integers(1, 7))
def test_batches_of_any_size_lead_to_the_same_roll_up(house, calls, batch):
    write(house, [one | {"cost_usd": None} for one in calls], 1000)
    at_once, with_settings = rows_of(house), rows_of(house, "usage_settings")
    with house.store.transaction() as conn:
        usage_rollup.start_anew(conn)
    house.worker._batch = batch
    house.count()
    assert rows_of(house) == at_once
    assert len(rows_of(house, "usage_settings")) == len(with_settings)


@pytest.mark.parametrize("count", [1, 2, 3, 40, 3000])
def test_percentiles_are_within_one_percent_of_the_exact_ones(house, count):
    rng = np.random.default_rng(count)
    values = rng.lognormal(6, 1.5, count)
    with house.store.transaction() as conn:
        rows = [{"key": value} for value in values.tolist()]
        conn.execute(text("CREATE TEMP TABLE v (value double precision) ON COMMIT DROP"))
        conn.execute(text("INSERT INTO v VALUES (:key)"), rows)
        histogram = (
            "SELECT array_agg((upto << 20) + key ORDER BY key) AS h FROM (SELECT key, CAST(sum(count(*)) OVER "
            "(ORDER BY key) AS bigint) AS upto FROM (SELECT usage_key(value) AS key FROM v) AS k GROUP BY key) AS c"
        )
        shares = (0.0, 0.05, 0.5, 0.95, 1.0)
        columns = ", ".join(f"usage_percentile(h, {share})" for share in shares)
        found = conn.execute(text(f"SELECT {columns}, usage_total(h) FROM ({histogram}) AS one")).one()
    assert found[-1] == count
    assert found[:-1] == pytest.approx(tuple(np.quantile(values, shares)), rel=0.00901)


# ---- clock changes -------------------------------------------------------------------------------


@pytest.mark.parametrize(("utc", "hours"), [("2026-10-25", 25), ("2026-03-29", 23)])
def test_days_of_the_clock_change_have_25_and_23_hours(house, utc, hours):
    start = NOON.fromisoformat(f"{utc}T00:00:00+00:00") - 26 * HOUR
    for hour in range(72):
        house.add(start + hour * HOUR)
    house.count()
    rows = house.usage.usage_table(house.everyone(start, start + 72 * HOUR), "day", "Europe/Berlin")
    assert {row.key: row.calls for row in rows}[utc] == hours


def test_failed_call_has_no_figures_in_any_histogram(house):
    house.add(**FAILED)
    house.count()
    tiles = house.usage.tiles(house.everyone(**day()), "UTC")
    assert (tiles.ttft_p50_ms.value, tiles.ttft_p50_ms.n, tiles.ttft_p50_ms.unknown) == (None, 0, 1)
