"""The breaker by an injected clock, and what is known of an upstream from one check to the next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chatplay.errors import NotFound, ProviderUnreachable, QuotaSpent, RateLimited, RequestBroken
from chatplay.models.catalog import ModelCatalog
from chatplay.models.health import Breaker, CheckResult, Health, Problem, explain
from chatplay.providers.echo import EchoProvider
from chatplay.providers.openai import ListedModel
from chatplay.providers.registry import ECHO, Upstream

START = datetime(2026, 11, 1, tzinfo=UTC)
LAB = Upstream("lab", "openai", base_url="http://10.0.0.5/v1", default_model="tiny")
WELL = CheckResult("vllm", (ListedModel("tiny", "vllm", 4096),), 12.0)
AWAY = CheckResult(None, None, None, Problem("unreachable", "It cannot be reached.", "Start it."))
ROLE = "analyst"


def at(sec):
    return START + timedelta(seconds=sec)


def failed(times, *, by="call", breaker=None):
    breaker = breaker or Breaker(threshold=3, cooldown_sec=30)
    for number in range(times):
        breaker = breaker.after_call(False, at(number)) if by == "call" else breaker.after_check(False, at(number))
    return breaker


@pytest.mark.parametrize("by", ["call", "check"])
def test_breaker_opens_at_the_threshold_and_half_opens_after_the_cooldown(by):
    assert failed(2, by=by).state(at(2)) == "closed"
    opened = failed(3, by=by)
    assert (opened.state(at(2)), opened.wait_sec(at(12))) == ("open", 20.0)
    assert opened.state(at(32)) == "half-open"


def test_breaker_closes_after_a_good_call_and_opens_again_after_a_bad_one():
    half_open = failed(3)
    assert half_open.after_call(True, at(40)).state(at(40)) == "closed"
    again = half_open.after_call(False, at(40))
    assert (again.state(at(41)), again.wait_sec(at(41))) == ("open", 29.0)


def test_failures_while_open_do_not_lengthen_the_wait():
    assert failed(3).after_call(False, at(20)).wait_sec(at(20)) == 12.0


def test_good_check_closes_what_checks_opened_and_not_what_calls_did():
    assert failed(3, by="check").after_check(True, at(5)).state(at(5)) == "closed"
    assert failed(3, by="call").after_check(True, at(5)).state(at(5)) == "open"


def test_good_check_between_failed_calls_does_not_hide_them():
    assert failed(1, breaker=failed(2).after_check(True, at(2))).state(at(3)) == "open"


def test_failed_check_keeps_what_was_known_of_the_models():
    health = Health().after_check(WELL, at(0)).after_check(AWAY, at(15))
    assert (health.healthy, health.models, health.healthy_at) == (False, WELL.models, at(0))
    assert health.problem.code == "unreachable"


# ---- the catalog with such a clock ----


class Time:
    now = START

    def __call__(self):
        return self.now


def catalog(time, *, upstreams=(LAB, ECHO)):
    providers = {upstream.name: EchoProvider() for upstream in upstreams}
    return ModelCatalog(upstreams, providers, ttl_sec=20, clock=time)


def names(catalog):
    return [info.name for info in catalog.list_running(ROLE)]


def test_check_counts_until_its_time_has_run_out():
    time = Time()
    models = catalog(time)
    models.set_health({"lab": Health().after_check(WELL, START)})
    time.now = at(20)
    assert names(models) == ["tiny", "echo"]
    time.now = at(21)
    assert names(models) == ["echo"]
    assert models.find_status("lab").standing == "stale"


def test_upstream_nobody_has_checked_is_offered_at_first_and_not_for_ever():
    time = Time()
    models = catalog(time)
    assert names(models) == ["tiny", "echo"]
    time.now = at(21)
    assert names(models) == ["echo"]


def test_old_view_of_an_earlier_start_counts_as_not_checked_yet():
    models = catalog(Time())
    models.set_health({"lab": Health().after_check(AWAY, at(-3600))})
    assert models.find_status("lab").standing == "not checked yet"


def test_open_breaker_takes_the_model_off_the_list_and_refuses_with_the_wait():
    time = Time()
    models = catalog(time)
    health = replace(Health().after_check(WELL, START), breaker=failed(3))
    models.set_health({"lab": health})
    time.now = at(10)
    assert names(models) == ["echo"]
    with pytest.raises(ProviderUnreachable, match="in 22 seconds") as caught:
        models.check_open(models.find_info("tiny", upstream="lab"))
    assert caught.value.retry_after_sec == 22.0


def test_half_open_breaker_lets_a_try_through():
    time = Time()
    models = catalog(time)
    models.set_health({"lab": replace(Health().after_check(WELL, START), breaker=failed(3))})
    time.now = at(33)
    models.check_open(models.get("tiny", role=ROLE))


def test_database_clock_is_the_one_that_counts():
    models = catalog(Time())
    models.set_time(at(3600))
    models.set_health({"lab": Health().after_check(WELL, at(3590))})
    assert models.find_status("lab").standing == "healthy"


def test_status_never_mixes_up_why_nothing_runs():
    time = Time()
    none = catalog(time, upstreams=())
    assert none.status(ROLE).why == "nothing configured"
    away = catalog(time, upstreams=(LAB,))
    away.set_health({"lab": Health().after_check(AWAY, START)})
    assert away.status(ROLE).why == "all unhealthy"
    assert "lab: It cannot be reached." in away.status(ROLE).message
    away.set_polled(None, database=False)
    assert away.status(ROLE).why == "database unreachable"
    locked = catalog(time, upstreams=(replace(LAB, roles=("administrator",)),))
    assert locked.status(ROLE).why == "nothing for you"
    assert catalog(time).status(ROLE).why == "running"


def test_servers_that_share_a_reason_are_told_in_one_sentence():
    servers = [Upstream(f"gpu-{number}", "openai", base_url="http://127.0.0.1:9/v1") for number in range(6)]
    models = catalog(Time(), upstreams=servers)
    models.set_health({one.name: Health().after_check(AWAY, START) for one in servers[:5]})
    models.set_health({"gpu-5": Health().after_check(replace(WELL, models=()), START)})
    assert models.status(ROLE).message == (
        "No model is running. gpu-0, gpu-1, gpu-2 and 2 more: It cannot be reached. "
        "gpu-5: It is well and has no model loaded."
    )


def test_default_without_a_running_model_says_why():
    away = catalog(Time(), upstreams=(LAB,))
    away.set_health({"lab": Health().after_check(AWAY, START)})
    with pytest.raises(NotFound, match="lab: It cannot be reached"):
        away.default(ROLE)


def test_healthy_server_without_a_model_runs_nothing_and_says_so():
    models = catalog(Time(), upstreams=(LAB,))
    models.set_health({"lab": Health().after_check(replace(WELL, models=()), START)})
    assert names(models) == []
    assert "no model loaded" in models.status(ROLE).message


def test_model_that_vanished_from_the_list_is_described_and_not_offered():
    models = catalog(Time())
    models.set_health({"lab": Health().after_check(WELL, START)})
    assert models.find_info("gone", upstream="lab").engine_type == "vllm"
    assert models.find_info("gone", upstream="nowhere") is None
    assert "gone" not in names(models)


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        (QuotaSpent, "quota_spent", "no credit left"),
        (RateLimited, "rate_limited", "no more requests"),
        (RequestBroken, "not_asked", "failed here"),
    ],
)
def test_failed_check_is_told_by_its_kind(kind, code, words):
    problem = explain(kind("x", provider="lab", model="models", cure="Look."), has_key=True, limit_sec=5)
    assert (problem.code, words in problem.message, bool(problem.cure)) == (code, True, True)


def test_own_settings_of_a_model_go_before_those_of_its_upstream():
    from chatplay.providers.registry import ModelSettings

    own = {"tiny": ModelSettings(roles=("administrator",), context_tokens=99, supports_streaming=False)}
    models = catalog(Time(), upstreams=(replace(LAB, per_model=own, context_tokens=1000),))
    info = models.find_info("tiny", upstream="lab")
    assert (info.roles, info.context_tokens, info.supports_streaming) == (("administrator",), 99, False)
    assert names(models) == []


def test_changed_upstream_loses_what_was_known_and_an_unchanged_one_keeps_its_provider():
    models = ModelCatalog((LAB, ECHO), {"lab": EchoProvider(), "echo": EchoProvider()}, make=lambda one: EchoProvider())
    models.set_health({"lab": Health().after_check(AWAY, START)})
    echo = models.find_provider("echo")
    models.set_upstreams((replace(LAB, price=None, context_tokens=5), ECHO))
    assert models.health_of("lab").problem is not None
    models.set_upstreams((replace(LAB, base_url="http://10.0.0.6/v1"), ECHO))
    assert models.health_of("lab") == Health()
    assert models.find_provider("echo") is echo
