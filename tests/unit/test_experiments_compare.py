"""Arms against a baseline: figures by hand, verdicts in words, and what must hold for any data."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chatplay.experiments.stats import compare_with_baseline
from chatplay.experiments.stats.values import Comparison
from chatplay.experiments.stats.verdicts import Evidence, judge, plan_cases, plan_repeats
from tests.unit.experiments_rig import full_table, noisy

NAN = math.nan
SEEDS = st.integers(0, 10_000)


def evidence(**changes: object) -> Evidence:
    usual = {
        "metric": "score",
        "cases": 20,
        "difference": 0.1,
        "error": 0.06,
        "p_value": 0.11,
        "p_adjusted": 0.11,
        "chance_variance": 0.06,
        "repeats": 1.0,
    }
    return Evidence(**{**usual, **changes})


def test_difference_is_over_cases_that_both_know() -> None:
    table = full_table(duration_ms=[[[1.0], [2], [3], [4]], [[2.0], [4], [7], [NAN]]])
    (found,) = compare_with_baseline(table, baseline=0, metrics=("duration_ms",))
    assert (found.difference.value, found.difference.cases, found.baseline_mean) == (pytest.approx(7 / 3), 3, 2)
    assert found.p_value == pytest.approx(stats.ttest_rel([2, 4, 7], [1, 2, 3]).pvalue)
    assert "1 of 4 cases are left out" in found.caveats[1]


@pytest.mark.parametrize(
    ("metric", "word"),
    [("tokens_per_second", "better"), ("ttft_ms", "worse"), ("cost_usd", "worse"), ("completion_tokens", "higher")],
)
def test_direction_follows_the_metric(metric: str, word: str) -> None:
    values = noisy(1, arms=2)
    values[1] += 10
    (found,) = compare_with_baseline(full_table(**{metric: values}), baseline=0, metrics=(metric,))
    assert (found.verdict.word, found.verdict.text) == (word, word)


def test_p_is_adjusted_over_arms() -> None:
    found = compare_with_baseline(full_table(duration_ms=noisy(4, arms=4)), baseline=2, metrics=("duration_ms",))
    assert [one.arm for one in found] == [0, 1, 3]
    assert min(one.p_adjusted for one in found) == pytest.approx(min(1, 3 * min(one.p_value for one in found)))


def test_nothing_in_common_is_unknown() -> None:
    table = full_table(score=[[[1.0], [NAN]], [[NAN], [1.0]]])
    (found,) = compare_with_baseline(table, baseline=0, metrics=("score",))
    assert (found.verdict.word, found.difference.value) == ("unknown", None)


def test_two_cases_ask_for_a_third() -> None:
    (found,) = compare_with_baseline(full_table(score=[[[1.0], [0]], [[1.0], [1]]]), baseline=0, metrics=("score",))
    assert found.verdict.text == "can't tell yet, it takes at least 1 more case"


def test_chance_alone_asks_for_repeats() -> None:
    # error^2 * cases = 0.072 = 0.012 between + 0.06 / 1; wanted: 0.1^2 / (2.093 + 0.842)^2 * 20 = 0.0232.
    assert plan_repeats(evidence()) == math.ceil(0.06 / (0.1**2 / (2.0930 + 0.8416) ** 2 * 20 - 0.012) - 1)
    assert judge(evidence()).text == "can't tell yet, about 5 more repeats would settle it"


def test_cases_that_differ_ask_for_cases() -> None:
    found = judge(evidence(chance_variance=0.01, repeats=5.0))
    assert found.more_repeats is None
    assert found.more_cases == plan_cases(evidence()) == math.ceil(20 * 0.06**2 / (0.1 / 2.9346) ** 2 - 20)
    assert "more repeats would not" in found.text


def test_single_repeats_cannot_say_whether_repeats_help() -> None:
    assert "one repeat" in judge(evidence(chance_variance=None)).text


def test_tiny_difference_asks_for_nothing() -> None:
    found = judge(evidence(difference=0.0001, p_value=0.99, p_adjusted=0.99))
    assert (found.more_repeats, found.more_cases, found.word) == (None, None, "unclear")
    assert "too small" in found.text


def tokens_against_baseline(values: np.ndarray) -> tuple[Comparison, ...]:
    return compare_with_baseline(full_table(completion_tokens=values), baseline=0, metrics=("completion_tokens",))


def alike(arms: int, cases: int, repeats: int = 1) -> np.ndarray:
    """Values that are 256 above the baseline's in every case."""
    values = np.full((arms, cases, repeats), 512.0)
    values[0] = 256.0
    return values


@pytest.mark.parametrize(
    ("arms", "cases", "repeats"), [(2, 3, 3), (2, 3, 1), (2, 5, 3), (3, 6, 2), (4, 4, 1), (10, 3, 1)]
)
def test_equal_differences_ask_for_as_many_cases_as_will_decide(arms: int, cases: int, repeats: int) -> None:
    verdict = tokens_against_baseline(alike(arms, cases, repeats))[0].verdict
    assert verdict.more_repeats is None
    assert verdict.text.endswith("(more repeats would not: every case differs by the same amount)")
    enough = cases + verdict.more_cases
    words = [tokens_against_baseline(alike(arms, some, repeats))[-1].verdict.word for some in (enough - 1, enough)]
    assert words == ["unclear", "higher"]


def test_equal_differences_count_the_arms_that_holm_leaves_open() -> None:
    rng = np.random.default_rng(3)
    values = alike(4, 20)
    values[2] += rng.normal(size=(20, 1))  # decided at once
    values[3] = values[0] + 100 * rng.normal(size=(20, 1))  # stays open
    found = tokens_against_baseline(values[:, :4])
    assert [one.verdict.word for one in found] == ["unclear", "higher", "unclear"]
    assert found[0].verdict.more_cases == 3
    assert [tokens_against_baseline(values[:, :some])[0].verdict.word for some in (6, 7)] == ["unclear", "higher"]


def test_equal_differences_have_an_interval_once_they_tell() -> None:
    few, enough = (tokens_against_baseline(alike(2, cases))[0] for cases in (5, 6))
    assert (few.difference.value, few.difference.low, few.difference.high) == (256, None, None)
    assert few.caveats[-1].startswith("No interval: all 5 cases differ by the same amount")
    assert (enough.difference.low, enough.difference.high) == (256, 256)


def test_no_difference_in_any_case_asks_for_nothing() -> None:
    (found,) = tokens_against_baseline(np.full((2, 4, 1), 256.0))
    assert (found.verdict.more_repeats, found.verdict.more_cases) == (None, None)
    assert (found.difference.low, found.difference.high) == (0, 0)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.permutations([0, 1, 2]))
def test_relabelled_arms_give_the_same_comparisons(seed: int, order: list[int]) -> None:
    values = noisy(seed)
    plain = {one.arm: one for one in compare_with_baseline(full_table(score=values), baseline=0, metrics=("score",))}
    mixed = compare_with_baseline(full_table(score=values[order]), baseline=order.index(0), metrics=("score",))
    for one in mixed:
        same = plain[order[one.arm]]
        assert one.difference.value == pytest.approx(same.difference.value)
        assert (one.p_adjusted, one.verdict) == (pytest.approx(same.p_adjusted), same.verdict)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(-1e4, 1e4))
def test_adding_to_all_trials_changes_no_difference(seed: int, added: float) -> None:
    values = noisy(seed)
    before, after = (
        compare_with_baseline(full_table(ttft_ms=some), baseline=0, metrics=("ttft_ms",))
        for some in (values, values + added)
    )
    assert [one.difference.high for one in after] == pytest.approx([one.difference.high for one in before], abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_twice_the_cases_narrow_intervals_by_root_two(seed: int) -> None:
    values = noisy(seed, cases=60)
    once, twice = (
        compare_with_baseline(full_table(ttft_ms=some), baseline=0, metrics=("ttft_ms",))[0].difference
        for some in (values, np.concatenate([values, values], axis=1))
    )
    assert (once.high - once.low) / (twice.high - twice.low) == pytest.approx(math.sqrt(2), rel=0.02)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_unknown_trials_of_a_case_leave_its_other_repeats(seed: int) -> None:
    values = noisy(seed, repeats=3)
    values[:, :, 2] = NAN
    holed, whole = (
        compare_with_baseline(full_table(ttft_ms=some), baseline=0, metrics=("ttft_ms",))[0]
        for some in (values, values[:, :, :2])
    )
    assert holed.difference.low == pytest.approx(whole.difference.low)
    assert (holed.difference.unknown, whole.difference.unknown) == (24, 0)
