"""Shares of variance, plots' means and the frontier, against statsmodels and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.anova import anova_lm

from chatplay.experiments.stats import Axis, explain_variance, find_frontier, list_heat_cells, list_level_means
from chatplay.experiments.stats.frontier import mark_frontier
from chatplay.experiments.stats.values import Estimate
from tests.unit.experiments_rig import full_table, noisy

HEAT = Axis("temperature", ("0", "1"), (0, 0, 1, 1))
TOP = Axis("top_p", ("0.5", "1"), (0, 1, 0, 1))


def rng() -> np.random.Generator:
    return np.random.default_rng(6)


def ends_of(found: Estimate) -> tuple[float | None, ...]:
    return found.value, found.low, found.high


def shares(table: object, *axes: Axis) -> dict[str, float | None]:
    found = explain_variance(table, axes=axes, metric="duration_ms", rng=rng())
    return {share.name or share.source: share.share for share in found.shares}


def test_components_are_those_of_statsmodels_anova() -> None:
    values = noisy(2, arms=4, cases=8, repeats=3) + 2 * np.array([0, 0, 1, 1])[:, None, None]
    values += np.random.default_rng(5).normal(size=(4, 8, 1))
    arm, case, _ = (axis.ravel() for axis in np.indices(values.shape))
    frame = pd.DataFrame({"y": values.ravel(), "h": arm // 2, "t": arm % 2, "arm": arm, "case": case})
    squares = anova_lm(smf.ols("y ~ C(h) * C(t) + C(case)", frame).fit())
    rest = smf.ols("y ~ C(arm) * C(case)", frame).fit()
    mixed = anova_lm(rest)["mean_sq"]["C(arm):C(case)"]
    chance = rest.mse_resid
    parts = {
        "temperature": max((squares["sum_sq"]["C(h)"] - mixed) / 96, 0),
        "top_p": max((squares["sum_sq"]["C(t)"] - mixed) / 96, 0),
        "settings_together": max((squares["sum_sq"]["C(h):C(t)"] - mixed) / 96, 0),
        "case": (anova_lm(rest)["mean_sq"]["C(case)"] - mixed) / 12,
        "case_by_setting": (mixed - chance) / 3,
        "chance": chance,
    }
    expected = {name: part / sum(parts.values()) for name, part in parts.items()}
    assert shares(full_table(duration_ms=values), HEAT, TOP) == pytest.approx(expected, abs=1e-9)


def test_known_shares_add_up_and_lie_in_their_intervals() -> None:
    found = explain_variance(
        full_table(duration_ms=noisy(2, arms=4)), axes=(HEAT, TOP), metric="duration_ms", rng=rng()
    )
    assert sum(share.share for share in found.shares) == pytest.approx(1)
    assert all(0 <= share.low <= share.share <= share.high <= 1 for share in found.shares)


def test_single_repeats_leave_case_by_setting_unknown() -> None:
    found = shares(full_table(duration_ms=noisy(2, arms=4, repeats=1)), HEAT, TOP)
    assert found["case_by_setting"] is None
    assert found["chance"] > 0


def test_axis_that_another_one_decides_is_unknown() -> None:
    twin = Axis("twin", ("a", "b"), HEAT.level_of_arm)
    found = shares(full_table(duration_ms=noisy(2, arms=4)), HEAT, twin)
    assert (found["temperature"], found["twin"]) == (None, None)


def test_single_setting_has_nothing_to_share_with_another() -> None:
    found = shares(full_table(duration_ms=noisy(2, arms=2)), Axis("temperature", ("0", "1"), (0, 1)))
    assert found["settings_together"] is None
    assert sum(share for share in found.values() if share is not None) == pytest.approx(1)


def test_settings_that_never_meet_share_what_they_explain() -> None:
    twin = Axis("twin", ("a", "b"), HEAT.level_of_arm)
    assert shares(full_table(duration_ms=noisy(2, arms=4)), HEAT, twin)["settings_together"] is not None


def test_one_arm_of_one_repeat_cannot_tell_the_case_from_chance() -> None:
    values = noisy(2, arms=4, repeats=1)
    values[1:] = math.nan
    table = full_table(duration_ms=values)
    found = explain_variance(table, axes=(HEAT, TOP), metric="duration_ms", rng=rng())
    assert {(one.share, one.low, one.high) for one in found.shares} == {(None, None, None)}
    assert any("cannot be told apart" in said for said in found.caveats)


def test_one_arm_with_repeats_tells_the_case_from_chance() -> None:
    values = noisy(2, arms=4)
    values[1:] = math.nan
    found = shares(full_table(duration_ms=values), HEAT, TOP)
    assert found["case"] > found["chance"] > 0


def test_incomplete_cases_and_empty_arms_are_left_out_and_said() -> None:
    values = noisy(2, arms=4)
    values[3] = math.nan
    values[0, 5] = math.nan
    found = explain_variance(full_table(duration_ms=values), axes=(HEAT, TOP), metric="duration_ms", rng=rng())
    assert (found.arms, found.cases, found.trials) == (3, 11, 66)
    assert "1 case left out" in found.caveats[0]
    assert "1 arm left out" in found.caveats[1]


def test_too_few_complete_cases_say_so() -> None:
    found = explain_variance(full_table(score=noisy(1, cases=2)), axes=(), metric="score", rng=rng())
    assert {share.share for share in found.shares} == {None}
    assert "at least 3 cases" in found.caveats[0]


def test_large_means_do_not_blur_shares() -> None:
    values = noisy(2, arms=4)
    plain, far = (shares(full_table(duration_ms=some), HEAT, TOP) for some in (values, values + 1e9))
    assert far == pytest.approx(plain, abs=1e-4)


def test_level_means_are_over_the_arms_of_the_level() -> None:
    values = np.arange(4.0)[:, None, None] + np.zeros((4, 3, 2))
    found = list_level_means(full_table(score=values), axis=HEAT, metric="score")
    assert [(mean.level, mean.estimate.value, mean.estimate.trials) for mean in found] == [(0, 0.5, 12), (1, 2.5, 12)]


def test_trials_that_no_mean_counts_are_not_counted_either() -> None:
    values = np.ones((4, 4, 1))
    values[1, 1:] = math.nan
    values[3] = math.nan
    table = full_table(passed=values)
    means = list_level_means(table, axis=HEAT, metric="passed")
    assert [(one.estimate.cases, one.estimate.trials) for one in means] == [(1, 2), (4, 4)]
    lone = Axis("lone", ("x",), (0, 0, 0, 0))
    cells = list_heat_cells(table, rows=HEAT, columns=lone, metric="passed")
    assert [one.estimate.trials for one in cells] == [2, 4]


def test_interval_of_a_level_rests_on_the_trials_of_its_mean_alone() -> None:
    values = np.tile([1.0, 1, 0, 0], (4, 12, 1))
    values[1, ::2, 2] = 1.0
    values[1, 10:] = math.nan
    whole, holed = (
        list_level_means(full_table(passed=some), axis=HEAT, metric="passed")[0].estimate
        for some in (values[:, :10], values)
    )
    assert (holed.low, holed.high) == (whole.low, whole.high)


def test_heat_cells_leave_out_pairs_without_an_arm() -> None:
    left = Axis("a", ("x", "y"), (0, 1, 1))
    down = Axis("b", ("x", "y"), (0, 0, 1))
    found = list_heat_cells(full_table(duration_ms=noisy(1)), rows=left, columns=down, metric="duration_ms")
    assert [(cell.row, cell.column) for cell in found] == [(0, 0), (1, 0), (1, 1)]
    assert found[2].estimate.value == pytest.approx(noisy(1)[2].mean())


def test_frontier_leaves_out_arms_that_another_beats() -> None:
    losses = np.array([[[1.0, 2, 3, 1]], [[3.0, 2, 3, 3]]])
    assert mark_frontier(losses).tolist() == [[True, True, False, True]]


def test_clear_frontier_has_probabilities_of_one_and_none() -> None:
    cost = noisy(1) + np.array([0, 50, 50])[:, None, None]
    quality = noisy(2) + np.array([50, 90, 0])[:, None, None]
    found = find_frontier(full_table(score=quality, cost_usd=cost, duration_ms=np.ones((3, 12, 2))), rng=rng())
    assert [(arm.on_frontier, arm.probability) for arm in found.arms[:2]] == [(True, 1.0), (True, 1.0)]
    assert (found.arms[2].on_frontier, found.arms[2].probability) == (False, 0.0)


def test_probability_of_the_frontier_is_that_of_the_samples_in_which_nothing_beats_the_arm() -> None:
    """Of two cases the second arm is better in one, by less: it is beaten unless that case is drawn twice."""
    quality = np.array([[[1.0], [0.0]], [[0.0], [0.5]]])
    same = np.ones((2, 2, 1))
    found = find_frontier(full_table(score=quality, cost_usd=same, duration_ms=same), rng=rng())
    assert [arm.on_frontier for arm in found.arms] == [True, False]
    assert [arm.probability for arm in found.arms] == pytest.approx([3 / 4, 1 / 4], abs=0.04)


def test_frontier_without_prices_compares_the_rest() -> None:
    values = noisy(1)
    holed = noisy(2)
    holed[1] = math.nan
    found = find_frontier(full_table(score=values, duration_ms=holed), rng=rng())
    assert found.objectives == ("score", "duration_ms")
    assert found.arms[1].on_frontier is None
    assert len(found.caveats) == 2


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.permutations([0, 1, 2, 3]))
def test_relabelled_arms_permute_shares_means_and_frontier(seed: int, order: list[int]) -> None:
    values, cost = noisy(seed, arms=4), noisy(seed + 1, arms=4)
    axes = [
        (HEAT, TOP),
        tuple(Axis(one.name, one.levels, tuple(one.level_of_arm[arm] for arm in order)) for one in (HEAT, TOP)),
    ]
    tables = [full_table(duration_ms=values[some], score=cost[some]) for some in ([0, 1, 2, 3], order)]
    found = [
        explain_variance(one, axes=some, metric="duration_ms", rng=rng()).shares
        for one, some in zip(tables, axes, strict=True)
    ]
    plain, mixed = ([(share.share, share.low, share.high) for share in shares] for shares in found)
    assert np.array(mixed) == pytest.approx(np.array(plain), abs=1e-9)
    levels = [list_level_means(one, axis=some[0], metric="duration_ms") for one, some in zip(tables, axes, strict=True)]
    plain, mixed = ([ends_of(mean.estimate) for mean in means] for means in levels)
    assert np.array(mixed) == pytest.approx(np.array(plain))
    first, second = (find_frontier(table, rng=rng()).arms for table in tables)
    for place, arm in enumerate(order):
        assert second[place].on_frontier == first[arm].on_frontier
        assert second[place].probability == pytest.approx(first[arm].probability)


def test_equal_arms_share_the_frontier() -> None:
    values = np.repeat(noisy(1, arms=1), 2, axis=0)
    found = find_frontier(full_table(score=values, cost_usd=values, duration_ms=values), rng=rng())
    assert [arm.probability for arm in found.arms] == [1.0, 1.0]
