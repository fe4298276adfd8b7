"""Processes on one database: one polls, all see the same, the next takes over, and calls count as evidence."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text

from chatplay.errors import ContextOverflow, ProviderAuthFailed, ProviderUnreachable
from chatplay.models.health import Breaker
from db import health as health_rows
from db import upstreams as upstream_rows
from tests import upstream as mock
from tests.db.model_rig import served_by, step_until, until, watcher
from tests.db.processes import query

REFUSED = ProviderUnreachable("no", provider="openai", model="mock-model")


@pytest.fixture
def server():
    with mock.Upstream() as server:
        yield server


def scenario(database_url, tmp_path, steps, *, processes=1, **settings):
    """Runs `steps(*watchers)` on one event loop."""

    async def run():
        async with AsyncExitStack() as stack:
            ones = [
                await stack.enter_async_context(watcher(database_url, tmp_path, **settings)) for _ in range(processes)
            ]
            await asyncio.wait_for(steps(*ones), timeout=30)

    asyncio.run(run())


def models_asked(server):
    return sum(request.path == "/v1/models" for request in server.requests)


def test_one_process_polls_and_both_share_the_view(database_url, tmp_path, server):
    async def steps(first, second):
        await first.poller.watch_once()
        await second.poller.watch_once()
        assert (first.poller.leads, second.poller.leads) == (True, False)
        assert second.standing() == "not checked yet"
        await first.poller.poll_once()
        await second.poller.watch_once()
        assert second.standing() == "healthy"
        assert second.names() == ["mock-model"]
        assert second.catalog.status("analyst").polled_at is not None
        assert models_asked(server) == 1

    scenario(database_url, tmp_path, steps, processes=2, **served_by(server))


def test_process_that_stops_hands_the_lease_over_at_once(database_url, tmp_path, server):
    async def steps(first, second):
        await first.poller.watch_once()
        first.poller.release()
        await second.poller.watch_once()
        assert second.poller.leads

    scenario(database_url, tmp_path, steps, processes=2, **served_by(server))


def test_lease_of_a_dead_process_is_taken_over_when_it_runs_out(database_url, tmp_path, server):
    async def steps(dead, next_one):
        await dead.poller.watch_once()
        await next_one.poller.watch_once()
        assert not next_one.poller.leads
        await step_until(next_one, lambda: next_one.poller.leads)
        await dead.poller.watch_once()
        assert not dead.poller.leads, "two processes poll"

    scenario(database_url, tmp_path, steps, processes=2, **served_by(server))


def test_lease_given_before_the_clock_was_set_back_is_taken_over(database_url, tmp_path, server):
    async def steps(dead, next_one):
        await dead.poller.watch_once()
        query(database_url, "UPDATE catalog_state SET poller_until = poller_until + interval '1 day'")
        await next_one.poller.watch_once()
        assert next_one.poller.leads

    scenario(database_url, tmp_path, steps, processes=2, **served_by(server))


def test_running_pollers_follow_a_server_that_dies_and_returns(database_url, tmp_path, server):
    async def steps(first, second):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.poller.run_forever()) for one in (first, second)]
            await until(lambda: first.standing() == second.standing() == "healthy")
            server.routes["GET /v1/models"] = mock.SCRIPTS["server-error"]
            await until(lambda: first.names() == second.names() == [])
            assert "HTTP 500" in second.catalog.problem("openai")
            server.routes.clear()
            await until(lambda: first.names() == second.names() == ["mock-model"])
            for task in tasks:
                task.cancel()

    scenario(database_url, tmp_path, steps, processes=2, **served_by(server))


def test_hanging_server_does_not_hold_up_the_others(database_url, tmp_path, server):
    file = tmp_path / "models.toml"
    file.write_text(f'[[upstream]]\nname = "well"\nbase_url = "{server.base_url}"\n')

    async def steps(one):
        with mock.Upstream() as hanging:
            hanging.routes["GET /v1/models"] = mock.SCRIPTS["hang-before-headers"]
            file.write_text(f'{file.read_text()}[[upstream]]\nname = "stuck"\nbase_url = "{hanging.base_url}"\n')
            async with watcher(database_url, tmp_path, models_file=file) as both:
                await both.poller.watch_once()
                round_ = asyncio.create_task(both.poller.poll_once())
                await until(lambda: both.standing("well") == "healthy")
                assert not round_.done()
                await round_
                assert both.standing("stuck") == "unhealthy"
                assert "did not answer" in both.catalog.problem("stuck")

    scenario(database_url, tmp_path, steps)


def test_health_path_must_answer_too(database_url, tmp_path, server):
    async def steps(one):
        await one.poller.watch_once()
        await one.poller.poll_once()
        assert one.standing() == "unhealthy"
        server.routes["GET /health"] = mock.payload(200, {"status": "ok"})
        await one.poller.poll_once()
        assert one.standing() == "healthy"

    scenario(database_url, tmp_path, steps, health_check_path="/health", **served_by(server))


def test_failed_calls_open_the_breaker_for_every_process(database_url, tmp_path, server):
    async def steps(first, second):
        for one in (first, second):
            await one.poller.watch_once()
        await first.poller.poll_once()
        for _ in range(2):
            second.poller.note_call("openai", REFUSED)
        await until(lambda: second.catalog.health_of("openai").breaker.failed_calls == 2)
        assert second.names() == ["mock-model"]
        second.poller.note_call("openai", REFUSED)
        await until(lambda: second.names() == [])
        await step_until(first, lambda: first.names() == [])
        assert first.catalog.find_status("openai").breaker == "open"

    scenario(database_url, tmp_path, steps, processes=2, **served_by(server))


def test_breaker_half_opens_by_itself_and_a_good_call_closes_it(database_url, tmp_path, server):
    async def steps(one):
        await one.poller.watch_once()
        await one.poller.poll_once()
        one.poller.note_call("openai", REFUSED)
        await until(lambda: one.catalog.find_status("openai").breaker == "open")
        await step_until(one, lambda: one.catalog.find_status("openai").breaker == "half-open")
        assert one.names() == ["mock-model"]
        one.poller.note_call("openai", None)
        await until(lambda: one.catalog.find_status("openai").breaker == "closed")

    scenario(database_url, tmp_path, steps, breaker=Breaker(1, 0.3), **served_by(server))


def test_request_that_is_at_fault_says_nothing_about_the_server(database_url, tmp_path, server):
    async def steps(one):
        await one.poller.watch_once()
        await one.poller.poll_once()
        one.poller.note_call("openai", ContextOverflow("long", provider="openai", model="m"))
        one.poller.note_call("demo", REFUSED)
        assert not one.poller._chores

    scenario(database_url, tmp_path, steps, breaker=Breaker(1, 30), **served_by(server))


def test_failed_call_has_the_server_checked_at_once(database_url, tmp_path, server):
    async def steps(one):
        await one.poller.watch_once()
        await one.poller.poll_once()
        server.routes["GET /v1/models"] = mock.SCRIPTS["server-error"]
        one.poller.note_call("openai", REFUSED)
        await until(lambda: one.standing() == "unhealthy")
        assert models_asked(server) == 2

    scenario(database_url, tmp_path, steps, **served_by(server))


def test_what_one_process_learned_about_a_parameter_all_know(database_url, tmp_path, server):
    async def steps(first, second):
        for one in (first, second):
            await one.poller.watch_once()
        await first.poller.poll_once()
        first.catalog.learned(server.base_url, "mock-model", "seed")
        await step_until(second, lambda: second.catalog.find_info("mock-model", upstream="openai").refused_params)
        assert first.catalog.default("analyst").refused_params == ("seed",)

    scenario(database_url, tmp_path, steps, processes=2, **served_by(server))


def test_database_that_goes_away_is_said_and_comes_back(database_url, tmp_path, server):
    async def steps(one):
        await one.poller.watch_once()
        await one.poller.poll_once()
        engine, one.store.engine = one.store.engine, broken_engine()
        await one.poller.watch_once()
        assert (one.catalog.status("analyst").why, one.poller.leads) == ("database unreachable", False)
        one.store.engine = engine
        await one.poller.watch_once()
        assert (one.catalog.status("analyst").why, one.poller.leads) == ("running", True)

    scenario(database_url, tmp_path, steps, **served_by(server))


def broken_engine():
    from db.engine import make_engine

    return make_engine("postgresql://nobody@127.0.0.1:9/none", pool_size=1)


def test_view_of_another_address_under_the_same_name_does_not_count(database_url, tmp_path, server):
    async def steps(one):
        await one.poller.watch_once()
        await one.poller.poll_once()
        elsewhere = {**served_by(server), "openai_base_url": "http://127.0.0.1:9/v1"}
        async with watcher(database_url, tmp_path, **elsewhere) as other:
            await other.poller.watch_once()
            assert other.standing() == "not checked yet"

    scenario(database_url, tmp_path, steps, **served_by(server))


def test_last_day_has_uptime_and_latencies_and_older_checks_go(database_url, tmp_path, server):
    async def steps(one):
        await one.poller.watch_once()
        with one.store.transaction() as conn:
            health_rows.add_check(conn, upstream="openai", healthy=True, latency_ms=1.0)
            conn.execute(text("UPDATE upstream_checks SET checked_at = now() - interval '25 hours'"))
        for script in (None, None, None, mock.SCRIPTS["server-error"]):
            server.routes.update({"GET /v1/models": script} if script else {})
            await one.poller.poll_once()
        (day,) = one.models.service(lambda work: None).list_days()
        assert (day.upstream, day.uptime, day.checks) == ("openai", 0.75, 4)
        assert [check.healthy for check in day.recent] == [True, True, True, False]
        assert day.recent[0].latency_ms > 0
        with one.store.reading() as conn:
            assert conn.scalar(text("SELECT count(*) FROM upstream_checks")) == 4

    scenario(database_url, tmp_path, steps, **served_by(server))


# ---- processes with other keys -----------------------------------------------------------------


def with_key_file(one, server):
    """An administrator's server, its key typed in the process of `one`."""
    locked = one.models.keybox.lock("sk-typed", base_url=server.base_url)
    plain = {"allowed_models": [], "enabled": True, "settings": {}, "per_model": {}}
    with one.store.transaction() as conn:
        upstream_rows.add_upstream(conn, name="lab", base_url=server.base_url, api_key_encrypted=locked, **plain)
    return {}, {}


def with_variable(one, server):
    """A server of models.toml, whose key only the process of `one` has."""
    file = one.models.keybox._path.parent / "models.toml"
    file.write_text(f'[[upstream]]\nname = "lab"\nbase_url = "{server.base_url}"\napi_key_env = "LAB_API_KEY"\n')
    return {"models_file": file}, {"models_file": file, "environ": {}}


def with_settings(one, server):
    """A server that only the process of `one` has."""
    file = one.models.keybox._path.parent / "models.toml"
    file.write_text(f'[[upstream]]\nname = "lab"\nbase_url = "{server.base_url}"\n')
    return {"models_file": file}, {}


def two_configurations(database_url, tmp_path, server, arrange, steps, **settings):
    """Runs `steps(able, lacking)`: the lacking one holds the lease, and neither knows of a check yet."""

    async def run(maker):
        ours, theirs = arrange(maker, server)
        async with (
            watcher(database_url, tmp_path, **ours, **settings) as able,
            watcher(database_url, tmp_path / "other", **theirs, **settings) as lacking,
        ):
            able.poller._book.lease_sec = lacking.poller._book.lease_sec = 60.0
            await lacking.poller.watch_once()
            await able.poller.watch_once()
            assert (able.poller.leads, lacking.poller.leads) == (False, True)
            await steps(able, lacking)

    scenario(database_url, tmp_path, run)


async def make_up(one):
    """One look, and the checks that it begins."""
    await one.poller.watch_once()
    await until(lambda: not one.poller._chores)


@pytest.mark.parametrize("arrange", [with_key_file, with_variable, with_settings])
def test_server_that_the_polling_process_cannot_ask_is_asked_by_those_who_can(database_url, tmp_path, server, arrange):
    async def steps(able, lacking):
        for round_ in (1, 2):
            await lacking.poller.poll_once()
            assert models_asked(server) == round_ - 1
            await make_up(able)
            assert models_asked(server) == round_
            assert able.standing("lab") == "healthy"
        await lacking.poller.watch_once()
        assert lacking.names() == []
        assert able.names() == ["mock-model"]

    two_configurations(database_url, tmp_path, server, arrange, steps)


@pytest.mark.parametrize("arrange", [with_key_file, with_variable])
def test_process_without_the_key_says_so_and_its_calls_count_for_nobody(database_url, tmp_path, server, arrange):
    async def steps(able, lacking):
        await able.poller._check(able.catalog.upstreams[0])
        await lacking.poller.watch_once()
        status = lacking.catalog.find_status("lab")
        assert (status.standing, status.problem.code) == ("unhealthy", "no_key")
        with pytest.raises(ProviderAuthFailed, match="`lab` cannot be asked"):
            lacking.catalog.check_open(lacking.catalog.find_info("mock-model", upstream="lab"))
        lacking.poller.note_call("lab", REFUSED)
        assert not lacking.poller._chores
        await able.poller.watch_once()
        assert able.names() == ["mock-model"]

    two_configurations(database_url, tmp_path, server, arrange, steps, breaker=Breaker(1, 30))


def test_what_one_process_asks_for_the_leader_no_other_asks_again(database_url, tmp_path, server):
    async def steps(able, lacking):
        async with watcher(database_url, tmp_path) as third:
            await third.poller.watch_once()
            for round_ in (1, 2, 3):
                await lacking.poller.poll_once()
                await make_up(able)
                await make_up(third)
                assert models_asked(server) == round_

    two_configurations(database_url, tmp_path, server, with_key_file, steps)
