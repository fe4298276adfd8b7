"""The roll-up against brute force, in the middle of a crash, beside another process, over clock changes."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from chatplay.store import Store
from chatplay.usage.values import ModelKey
from db import chats, generations, usage_rollup
from db.engine import migrate
from db.generations import UsageFigures
from db.usage_source import rollup_source
from tests.db.chat_rig import eventually, rig
from tests.db.usage_rig import FAILED, NOON, day, make_rig

HOUR = timedelta(hours=1)
PEOPLE, MODELS = ("ana", "ben"), ("tiny", "large")
_TABLES = ("usage", "usage_pending", "usage_rollups", "usage_settings", "usage_chats")


@pytest.fixture
def house(engine):
    return make_rig(Store(engine))


def rows_of(house, table="usage_rollups"):
    with house.store.reading() as conn:
        return sorted(map(str, conn.execute(text(f"SELECT * FROM {table}"))))


# ---- exactly once --------------------------------------------------------------------------------


def test_call_is_counted_once_however_often_the_roll_up_runs(house):
    house.add()
    assert [house.count(), house.count(), house.count()] == [1, 0, 0]
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 1


@pytest.mark.parametrize(
    "statement", ["INSERT INTO usage_rollups", "INSERT INTO usage_settings", "DELETE FROM usage_p"]
)
def test_crash_in_the_middle_leaves_nothing_half(house, engine, monkeypatch, statement):
    house.add()
    house.count()
    before = rows_of(house)
    house.add(session_id=uuid4())
    real = Connection.execute

    def crash(self, clause, *args, **more):
        result = real(self, clause, *args, **more)
        if str(clause).lstrip().startswith(statement):
            raise ConnectionError("the process died here")
        return result

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "execute", crash)
        with pytest.raises(ConnectionError):
            house.count()
    assert (rows_of(house), house.pending(), rows_of(house, "usage_chats")) == (before, 1, [])
    assert house.count() == 1
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 2


def test_server_that_kills_the_connection_in_the_middle_loses_and_doubles_nothing(house, engine):
    house.add()
    with engine.connect() as conn:
        usage_rollup.roll_up(conn, limit=10)
        with pytest.raises(OperationalError):
            conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert (house.pending(), house.count(), house.pending()) == (1, 1, 0)
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 1


def test_second_process_passes_while_the_first_counts(house, engine):
    house.add()
    with engine.begin() as first:
        assert usage_rollup.roll_up(first, limit=10) == 1
        assert house.count() == 0
    assert house.count() == 0
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 1


def test_call_that_commits_late_is_counted_although_newer_ones_were(house, engine):
    call = house.add(count=False)
    with engine.begin() as late:
        late.execute(text("INSERT INTO usage_pending VALUES (:id, :at)"), {"id": call, "at": NOON})
        house.add(NOON + HOUR)
        assert house.count() == 1
    assert house.count() == 1
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 2


def test_backlog_is_counted_in_batches_each_of_its_own(house):
    for _ in range(7):
        house.add(session_id=UUID(int=1))
    house.worker._batch = 3
    assert house.count() == 7
    assert house.usage.tiles(house.everyone(**day()), "UTC").prompts_per_chat.value == 7


def test_worker_counts_by_itself_and_ends_when_told(house):
    house.add()
    worker = type(house.worker)(store=house.store, every_sec=0.01)
    worker.start()
    eventually(lambda: house.pending() == 0)
    worker.close()
    assert not worker._thread.is_alive()


# ---- from the end of a call ----------------------------------------------------------------------


@pytest.fixture
def playground(database_url):
    with rig(database_url) as house:
        yield house


def waiting(playground):
    with playground.store.reading() as conn:
        return usage_rollup.count_pending(conn)


def test_every_ended_answer_waits_to_be_counted(playground):
    playground.ask()
    assert waiting(playground) == 1


def end_again(playground, generation_id, **figures):
    with playground.store.transaction() as conn:
        generations.finish_generation(
            conn, generation_id=generation_id, figures=UsageFigures(status="complete", **figures)
        )


def prompt_tokens(playground, generation_id):
    with playground.store.reading() as conn:
        query = text("SELECT prompt_tokens FROM usage WHERE generation_id = :id")
        return conn.execute(query, {"id": generation_id}).scalar_one()


def test_figures_written_again_before_they_are_counted_replace_the_first(playground):
    turn = playground.ask()
    end_again(playground, turn.generation_id, prompt_tokens=77)
    assert (prompt_tokens(playground, turn.generation_id), waiting(playground)) == (77, 1)


def test_figures_stand_once_they_are_counted(playground):
    turn = playground.ask()
    with playground.store.transaction() as conn:
        usage_rollup.roll_up(conn, limit=10)
    end_again(playground, turn.generation_id, prompt_tokens=77)
    assert prompt_tokens(playground, turn.generation_id) != 77
    assert waiting(playground) == 0


def test_end_that_comes_while_its_call_is_counted_waits_and_changes_nothing(playground):
    turn = playground.ask()
    with playground.store.transaction() as conn:
        usage_rollup.roll_up(conn, limit=10)
        late = threading.Thread(target=lambda: end_again(playground, turn.generation_id, prompt_tokens=77))
        late.start()
        blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        eventually(lambda: conn.execute(blocked).scalar_one() > 0)
    late.join(10)
    assert (prompt_tokens(playground, turn.generation_id) != 77, waiting(playground)) == (True, 0)


def test_deleted_chat_keeps_its_usage(playground):
    chat_id = playground.new_chat()
    playground.ask(chat_id=chat_id)
    with playground.store.transaction() as conn:
        chats.delete_chat(conn, user_id=playground.user_id, chat_id=chat_id)
        assert usage_rollup.roll_up(conn, limit=10) == 1
        counted = text("SELECT sum(calls) FROM usage_rollups WHERE (level, scope, shape, scope_id) = (1, 2, 0, :id)")
        assert conn.execute(counted, {"id": playground.user_id}).scalar_one() == 1


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
    migrate(engine)


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
