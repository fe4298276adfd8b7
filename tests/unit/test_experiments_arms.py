"""What arms did: means, pass@k, pass^k, agreement; small sets reckoned by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatplay.experiments.stats import build_table, group_answers, summarise_arms
from chatplay.experiments.stats.passk import all_of_them, at_least_one
from tests.unit.experiments_rig import full_table, noisy

NAN = math.nan


def test_mean_weighs_cases_not_repeats() -> None:
    table = full_table(duration_ms=[[[1.0, 1, 1], [4.0, NAN, NAN]]])
    duration = summarise_arms(table)[0].duration_ms
    assert (duration.value, duration.trials, duration.cases, duration.unknown) == (2.5, 4, 2, 2)
    assert duration.low is None
    assert "at least 3 cases" in duration.caveats[0]


def test_metric_without_values_is_none_and_counted() -> None:
    cost = summarise_arms(full_table(duration_ms=noisy(1)))[0].cost_usd
    assert (cost.value, cost.low, cost.trials, cost.unknown) == (None, None, 0, 24)


def test_arm_that_has_not_run_is_there() -> None:
    table = build_table(arms=2, cases=3, arm=[0], case=[1], repeat=[0], passed=[True])
    waiting = summarise_arms(table)[1]
    assert (waiting.trials, waiting.cases, waiting.passed.value) == (0, 0, None)


def test_few_cases_and_single_repeats_are_said() -> None:
    caveats = " ".join(summarise_arms(full_table(duration_ms=noisy(1, cases=6, repeats=1)))[0].caveats)
    assert "6 cases only" in caveats
    assert "One repeat" in caveats
    assert summarise_arms(full_table(duration_ms=noisy(1)))[0].caveats == ()


@pytest.mark.parametrize(("n", "c", "k"), [(5, 2, 1), (5, 2, 3), (10, 0, 4), (10, 10, 10), (7, 3, 5)])
def test_pass_at_k_is_the_ratio_of_combinations(n: int, c: int, k: int) -> None:
    one, every = (curve(np.array([float(n)]), np.array([float(c)]), k)[0] for curve in (at_least_one, all_of_them))
    assert one == pytest.approx(1 - math.comb(n - c, k) / math.comb(n, k))
    assert every == pytest.approx(math.comb(c, k) / math.comb(n, k))


def test_pass_curves_are_means_over_cases() -> None:
    passed = [[[1.0, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 0]]]
    curve = {at.k: at for at in summarise_arms(full_table(passed=passed))[0].pass_at}
    assert list(curve) == [1, 2, 3]
    assert curve[2].at_least_one.value == pytest.approx((1 + 0 + 1 + 2 / 3) / 4)
    assert curve[2].all_of_them.value == pytest.approx((1 / 3 + 0 + 1 + 0) / 4)


def test_pass_at_k_leaves_out_cases_with_fewer_repeats() -> None:
    found = summarise_arms(full_table(passed=[[[1.0, 0], [1, NAN], [0, 0], [1, 1]]]))[0].pass_at[1]
    assert (found.k, found.at_least_one.cases, found.at_least_one.value) == (2, 3, pytest.approx(2 / 3))


def test_agreement_is_the_share_of_equal_pairs() -> None:
    agreement = summarise_arms(full_table(answer=[[["a", "a", "b"], ["c", "c", "c"], ["d", "e", None]]]))[0].agreement
    assert agreement.same_share.value == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert (agreement.distinct_mean, agreement.repeats_mean) == pytest.approx((5 / 3, 8 / 3))
    assert (agreement.all_same_cases, agreement.same_share.unknown) == (1, 1)


def test_single_answers_have_no_agreement() -> None:
    agreement = summarise_arms(full_table(answer=[[["a"], ["b"]]]))[0].agreement
    assert (agreement.same_share.value, agreement.distinct_mean) == (None, None)


def test_answers_of_a_cell_are_grouped_the_most_frequent_first() -> None:
    groups = group_answers(full_table(answer=[[["x", "y", "y", None]]]), arm=0, case=0)
    assert [group.repeats for group in groups] == [(1, 2), (0,)]


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="score has 1 rows, arm has 2"):
        build_table(arms=1, cases=2, arm=[0, 0], case=[0, 1], repeat=[0, 0], score=[1.0])
    with pytest.raises(ValueError, match=r"case must lie within 0\.\.1"):
        build_table(arms=1, cases=2, arm=[0], case=[2], repeat=[0])


def trials_of(seed: int, cases: int = 60) -> dict[str, np.ndarray]:
    """Times, scores and verdicts of three arms, three repeats a case."""
    rng = np.random.default_rng(seed)
    passed = rng.random((3, cases, 3)) < rng.uniform(0.2, 0.8, (1, cases, 1))
    score = rng.integers(0, 5, (3, cases, 3)) / 4
    return {"ttft_ms": noisy(seed, cases=cases, repeats=3), "score": score, "passed": passed.astype(float)}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.permutations([0, 1, 2]))
def test_relabelled_arms_permute_their_figures(seed: int, order: list[int]) -> None:
    values = trials_of(seed, cases=12)
    answers = (values["score"] * 4).astype(int).astype(str)
    plain = summarise_arms(full_table(**values, answer=answers))
    mixed = summarise_arms(full_table(**{name: some[order] for name, some in values.items()}, answer=answers[order]))
    assert [replace(one, arm=order[one.arm]) for one in mixed] == [plain[arm] for arm in order]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_twice_the_cases_narrow_intervals_of_means_by_root_two(seed: int) -> None:
    once = trials_of(seed)
    twice = {name: np.concatenate([some, some], axis=1) for name, some in once.items()}
    few, many = (summarise_arms(full_table(**some)) for some in (once, twice))
    for metric in once:
        for one, other in zip(few, many, strict=True):
            before, after = one.estimate(metric), other.estimate(metric)
            assert after.value == pytest.approx(before.value)
            assert (before.high - before.low) / (after.high - after.low) == pytest.approx(math.sqrt(2), rel=0.04)


def test_hundred_thousand_trials_are_all_counted() -> None:
    table = full_table(ttft_ms=noisy(1, arms=20, cases=500, repeats=10))
    found = summarise_arms(table)
    assert sum(arm.ttft_ms.trials for arm in found) == 100_000
    assert all(arm.ttft_ms.low < arm.ttft_ms.value < arm.ttft_ms.high for arm in found)
