"""Made-up usage: the same from the same seed, believable, and gone without a trace when asked."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from chatplay.auth.passwords import Passwords
from chatplay.cli import stored
from chatplay.store import Store
from db import accounts, seed, usage_rollup
from db.errors import DatabaseError
from db.seed import Plan
from tests.db.usage_rig import day, make_rig

UNTIL = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # a Friday
PLAN = Plan(messages=600, days=14, people=5, until=UNTIL)


def quiet(_line):
    pass


def ask(engine, query):
    with engine.connect() as conn:
        return conn.execute(text(query)).all()


@pytest.fixture
def seeded(engine):
    seed.seed(engine, PLAN, progress=quiet)
    return engine


def test_same_seed_makes_the_same_calls(seeded):
    query = "SELECT generation_id, model, ttft_ms, cost_usd, created_at FROM usage ORDER BY 1"
    first = ask(seeded, query)
    seed.clear(seeded)
    seed.seed(seeded, PLAN, progress=quiet)
    assert ask(seeded, query) == first
    assert len(first) == PLAN.messages


def test_every_made_up_call_is_counted_and_none_lies_ahead(seeded):
    assert ask(seeded, "SELECT sum(calls) FROM usage_rollups WHERE (level, scope, shape) = (2, 0, 0)") == [(600,)]
    assert ask(seeded, "SELECT count(*) FROM usage_pending") == [(0,)]
    assert ask(seeded, "SELECT max(created_at) FROM usage")[0][0] <= UNTIL


def test_made_up_weeks_have_a_rhythm(seeded):
    by_day = dict(
        ask(
            seeded,
            "SELECT CAST(extract(isodow FROM created_at AT TIME ZONE 'UTC') AS int), count(*) FROM usage GROUP BY 1",
        )
    )
    assert by_day.get(6, 0) + by_day.get(7, 0) < 0.5 * by_day[2]
    by_night = ask(seeded, "SELECT count(*) FROM usage WHERE extract(hour FROM created_at AT TIME ZONE 'UTC') < 5")
    assert by_night[0][0] < 0.1 * PLAN.messages


def test_made_up_figures_agree_with_each_other(seeded):
    wrong = """
    SELECT count(*) FROM usage WHERE ttft_ms > duration_ms OR connect_ms > 1000 OR ended_at < created_at
        OR (status = 'failed') <> (error_class IS NOT NULL) OR (status = 'complete') <> (finish_reason IS NOT NULL)
        OR cardinality(gaps_ms) <> completion_tokens - 1 OR (cost_usd IS NOT NULL AND prompt_tokens IS NULL)
        OR abs(ttft_ms + (SELECT sum(gap) FROM unnest(gaps_ms) AS gap) - duration_ms) > 20 + 0.01 * duration_ms
        OR abs(itl_max_ms - (SELECT max(gap) FROM unnest(gaps_ms) AS gap)) > 0.1
    """
    assert ask(seeded, wrong) == [(0,)]


def test_nobody_signs_in_as_a_made_up_person(seeded):
    people = ask(seeded, "SELECT password_hash, is_active FROM users")
    assert people == [("!", False)] * PLAN.people
    with pytest.raises(ValueError, match="salt"):
        Passwords()._hasher.check_pw("!", "!")


def test_clear_takes_all_of_it_and_leaves_the_rest_counted(engine):
    house = make_rig(Store(engine))
    house.add()
    house.count()
    seed.seed(engine, PLAN, progress=quiet)
    assert seed.clear(engine) == PLAN.messages
    assert ask(engine, "SELECT count(*) FROM usage") == [(1,)]
    assert house.usage.tiles(house.everyone(**day()), "UTC").calls.value == 1
    assert ask(engine, "SELECT name FROM organisations") == [("Default",)]
    assert {name for (name,) in ask(engine, "SELECT username FROM users")} == {"ana", "ben"}


def test_demo_waits_for_the_first_administrator(database_url, capsys):
    assert stored.demo(SimpleNamespace(database_url=database_url)) == 1
    assert "administrator" in capsys.readouterr().out


def test_demo_fills_thirty_days_and_can_be_taken_out(engine, database_url, capsys, monkeypatch):
    monkeypatch.setattr(seed, "demo_plan", lambda now: PLAN)
    house = make_rig(Store(engine))
    assert stored.demo(SimpleNamespace(database_url=database_url)) == 0
    assert ask(engine, "SELECT count(*) FROM usage") == [(600,)]
    assert stored.demo_clear(SimpleNamespace(database_url=database_url)) == 0
    assert "600 made-up calls are gone" in capsys.readouterr().out
    with house.store.reading() as conn:
        assert len(accounts.list_users(conn)) == 2


ROLLED = ("usage_rollups", "usage_settings", "usage_chats", "usage_pending")


def test_an_empty_database_is_counted_as_the_roll_up_counts(engine):
    plan = Plan(messages=3_000, days=12, people=4, until=UNTIL, gaps=False)
    made = seed.seed_empty(engine, plan, progress=quiet)
    fast = {name: rows_of(engine, name) for name in ROLLED}
    with engine.begin() as conn:
        usage_rollup.start_anew(conn)
    seed.count_all(engine)
    assert made == 3_000
    for name in ROLLED:
        slow = rows_of(engine, name)
        assert slow.keys() == fast[name].keys()
        assert all(fractions.expected == fast[name][row] for row, fractions in slow.items())


def test_seeding_leaves_every_index_behind(engine):
    indexes = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    before = ask(engine, indexes)
    seed.seed_empty(engine, PLAN, progress=quiet)
    assert ask(engine, indexes) == before
    assert not seed.is_empty(engine)


def test_fast_seeding_leaves_usage_that_is_there_alone(seeded):
    with pytest.raises(DatabaseError, match="they stay"):
        seed.seed_empty(seeded, PLAN, progress=quiet)
    assert ask(seeded, "SELECT count(*) FROM usage") == [(600,)]


def rows_of(engine, table):
    """Rows by what is exact in them; what is added up of fractions, in another order perhaps, is about the same."""
    found = {}
    for (row,) in ask(engine, f"SELECT to_jsonb(t) FROM {table} t"):
        fractions = [row.pop(name) for name in sorted(row) if name == "cost_usd" or name.endswith("_sum")]
        found[json.dumps(row, sort_keys=True)] = pytest.approx(fractions, rel=1e-9)
    return found
