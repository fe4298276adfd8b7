"""Intervals against scipy, statsmodels and hand-made sums."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from chatplay.experiments.stats.intervals import (
    adjust_holm,
    bound_differences,
    positive_bounds,
    share_bounds,
    t_bounds,
)

VALUES = np.array([3.1, 4.7, 2.2, 5.9, 4.1, 3.3, 6.8, 2.9, 4.4, 5.0, 3.8])


def test_t_interval_is_that_of_scipy() -> None:
    bounds = t_bounds(VALUES[None, :])
    expected = stats.t.interval(0.95, len(VALUES) - 1, VALUES.mean(), stats.sem(VALUES))
    assert (bounds.low[0], bounds.high[0]) == pytest.approx(expected)


def test_paired_difference_has_scipys_p_and_interval() -> None:
    other = VALUES[::-1] + 0.4
    found = bound_differences((other - VALUES)[None, :], repeats=np.ones(1), binary=False)
    expected = stats.ttest_rel(other, VALUES)
    assert found.p_value[0] == pytest.approx(expected.pvalue)
    assert (found.bounds.low[0], found.bounds.high[0]) == pytest.approx(tuple(expected.confidence_interval()))


@pytest.mark.parametrize("passed", [0, 3, 9, 12])
def test_pass_rate_of_single_repeats_is_wilsons_interval(passed: int) -> None:
    cells = np.repeat([1.0, 0.0], [passed, 12 - passed])
    bounds = share_bounds(cells[None, :], repeats=np.ones(1))
    assert (bounds.low[0], bounds.high[0]) == pytest.approx(proportion_confint(passed, 12, method="wilson"), abs=1e-9)


def test_pass_rate_counts_at_most_all_trials() -> None:
    cells = np.array([0.5, 0.5, 0.5, 0.5, 0.4, 0.6, 0.5, 0.5, 0.5, 0.5])
    capped = share_bounds(cells[None, :], repeats=np.array([10.0]))
    assert capped.high[0] - capped.low[0] > (share_bounds(cells[None, :]).high - share_bounds(cells[None, :]).low)[0]


def test_interval_of_times_reaches_further_up_than_down() -> None:
    cells = np.exp(np.random.default_rng(1).normal(5, 0.6, size=(1, 12)))
    bounds = positive_bounds(cells)
    assert bounds.high[0] - bounds.mean[0] > bounds.mean[0] - bounds.low[0] > 0


def test_interval_of_times_nears_t_with_many_cases() -> None:
    cells = np.exp(np.random.default_rng(1).normal(5, 0.3, size=(1, 20_000)))
    ours, plain = positive_bounds(cells), t_bounds(cells)
    assert ours.high[0] - ours.low[0] == pytest.approx(plain.high[0] - plain.low[0], rel=0.01)


def test_costs_of_zero_are_a_mean_like_any_other() -> None:
    bounds = positive_bounds(np.zeros((1, 8)))
    assert (bounds.mean[0], bounds.low[0], bounds.high[0]) == (0, 0, 0)


def test_two_cases_give_a_mean_without_interval() -> None:
    bounds = t_bounds(np.array([[1.0, 2.0, np.nan]]))
    assert bounds.mean[0] == 1.5
    assert np.isnan([bounds.low[0], bounds.high[0]]).all()


def test_unknown_cells_do_not_count() -> None:
    gaps = np.insert(VALUES, 4, np.nan)[None, :]
    assert t_bounds(gaps).low[0] == pytest.approx(t_bounds(VALUES[None, :]).low[0])


def test_no_differing_case_leaves_room_for_a_difference() -> None:
    found = bound_differences(np.zeros((1, 10)), repeats=np.ones(1), binary=True)
    assert found.bounds.low[0] == -found.bounds.high[0] < -0.05
    assert found.p_value[0] == 1


def test_equal_differences_are_as_sure_as_their_signs() -> None:
    found = bound_differences(np.full((1, 6), 0.3), repeats=np.ones(1), binary=False)
    assert found.p_value[0] == pytest.approx(2**-5)


def test_holm_is_that_of_statsmodels() -> None:
    p_values = np.random.default_rng(3).uniform(0, 0.2, size=9)
    assert adjust_holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_leaves_unknown_p_out() -> None:
    assert adjust_holm(np.array([0.02, np.nan, 0.04])) == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)


def test_what_cannot_be_negative_has_no_interval_below_0():
    bounds = positive_bounds(np.array([[0.0, 250.0, 7.0], [-1.0, 250.0, 7.0]]))
    assert bounds.low[0] == 0.0
    assert bounds.low[1] < 0.0


@pytest.mark.parametrize("kind", ["binary", "bounded"])
def test_no_difference_of_scores_is_said_to_be_beyond_one(kind: str) -> None:
    gaps, repeats = np.array([[0.0, 1.0, 1.0]]), np.ones(1)
    found = bound_differences(gaps, repeats=repeats, binary=kind == "binary", bounded=True)
    assert found.bounds.high[0] == 1
    assert -1 < found.bounds.low[0] < found.bounds.mean[0]
    assert bound_differences(gaps, repeats=repeats, binary=False).bounds.high[0] > 1  # of times, which have no end
    assert bound_differences(-gaps, repeats=repeats, binary=False, bounded=True).bounds.low[0] == -1
