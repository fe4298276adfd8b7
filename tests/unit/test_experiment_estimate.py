"""What a plan will take, from stored calls: totals with prediction intervals, unknown where nothing is stored."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chatplay.experiments.estimate import Limits, Work, forecast, sum_of_calls
from chatplay.experiments.plan import lay_out_arms
from chatplay.experiments.values import AxisText, ModelRef, Pace, Plan, PromptVersion
from chatplay.models.catalog import ModelInfo
from chatplay.prices import FREE, Price
from db.trial_reads import Measured

PROMPT = PromptVersion(1, "greeting", 1, "Say {{word}}", "", datetime(2026, 1, 1, tzinfo=UTC))
MODEL = ModelRef("tiny", "lab")
INFO = ModelInfo("tiny", "lab", "lab", "unknown", price=Price(1.0, 2.0))
PLAN = Plan(prompts=(PROMPT,), models=(MODEL,), axes=(AxisText("temperature", "0, 1"),))
MEASURED = [Measured(10, tokens, 1000.0) for tokens in (90, 100, 110)] * 10


def expected(measured=MEASURED, *, info=INFO, plan=PLAN, pace=None, calls=50):
    arms = lay_out_arms(plan)
    return forecast(
        Work(arms, {arm.number: calls for arm in arms}, [{"word": "hi"}] * 5),
        models={MODEL: info},
        measured={MODEL: measured},
        count=lambda model, messages: 8.0,
        pace=pace or Pace(),
        limits=Limits(worker_calls=16, upstream_calls=32),
    )


def test_totals_follow_the_stored_calls():
    found = expected()
    assert found.calls == 100
    assert found.prompt_tokens.value == 800
    assert found.completion_tokens.value == pytest.approx(10_000)
    assert found.cost_usd.value == pytest.approx((800 * 1 + 10_000 * 2) / 1e6)
    assert found.duration_sec.value == pytest.approx(100 / 16)
    assert found.completion_tokens.low < 10_000 < found.completion_tokens.high


def test_without_stored_calls_length_time_and_cost_are_unknown():
    found = expected([])
    assert (found.completion_tokens, found.cost_usd, found.duration_sec) == (None, None, None)
    assert found.prompt_tokens.value == 800
    assert "No stored call of `tiny`" in found.notes[0]


def test_cost_without_a_price_is_unknown_and_of_a_free_model_nothing():
    assert expected(info=replace(INFO, price=None)).cost_usd is None
    assert expected(info=replace(INFO, price=None)).most_cost_usd is None
    assert expected([], info=replace(INFO, price=FREE)).cost_usd.high == 0.0


def test_most_cost_takes_every_answer_as_long_as_max_tokens():
    assert expected().most_cost_usd == pytest.approx(100 * (8 * 1 + 512 * 2) / 1e6)


def test_answers_are_not_expected_to_pass_max_tokens():
    plan = replace(PLAN, axes=(AxisText("max_tokens", "50"),))
    assert expected(plan=plan, calls=10).completion_tokens.high == 500


def test_rate_and_calls_at_once_bound_the_time_from_below():
    assert expected(pace=Pace(calls_per_minute=60)).duration_sec.value == pytest.approx(100)
    assert expected(pace=Pace(calls_at_once=2)).duration_sec.value == pytest.approx(50)


def test_few_calls_take_as_long_as_the_longest_of_them_however_many_may_be_made_at_once():
    uneven = [Measured(10, 100, 1000.0 * seconds) for seconds in range(1, 11)]
    found = expected(uneven, calls=3).duration_sec  # of two arms: six calls, sixteen at once
    assert (found.low, found.value, found.high) == (6.0, 9.0, 10.0)
    assert expected([Measured(10, 100, 7000.0)], calls=1).duration_sec.value == 7.0


def test_prompts_of_all_cases_are_counted_and_nothing_is_left_to_chance():
    found = expected([]).prompt_tokens
    assert (found.low, found.high) == (800, 800)
    arm = lay_out_arms(PLAN)[0]
    one_case = forecast(
        Work([arm], {arm.number: 3}, [{"word": "hi"}]),
        models={MODEL: INFO},
        measured={},
        count=lambda model, messages: 8.0,
        pace=Pace(),
        limits=Limits(worker_calls=16, upstream_calls=32),
    )
    assert (one_case.prompt_tokens.low, one_case.prompt_tokens.high) == (24, 24)


def test_one_stored_call_says_next_to_nothing():
    found = sum_of_calls([100.0], 10, most=512.0)
    assert (found.value, found.low, found.high) == (1000.0, 0.0, 5120.0)


def test_interval_holds_the_sum_of_future_calls_in_95_of_100():
    draw = random.Random(5)
    hits = 0
    for _ in range(1000):
        known = [draw.gauss(100, 20) for _ in range(30)]
        future = math.fsum(draw.gauss(100, 20) for _ in range(40))
        found = sum_of_calls(known, 40)
        hits += found.low <= future <= found.high
    assert 920 <= hits <= 970
