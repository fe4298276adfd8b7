"""Each arm against a baseline on the same cases: difference, interval, p adjusted over arms, plain words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chatplay.experiments.stats.cells import Cells, gather
from chatplay.experiments.stats.intervals import Differences, adjust_holm, bound_differences
from chatplay.experiments.stats.table import FloatArray, TrialTable
from chatplay.experiments.stats.values import METRICS, Comparison, Metric
from chatplay.experiments.stats.verdicts import ALPHA, Evidence, judge, least_alike_cases
from chatplay.experiments.stats.words import estimate, known, say_few_cases


def compare_with_baseline(
    table: TrialTable, *, baseline: int, metrics: tuple[Metric, ...] = METRICS
) -> tuple[Comparison, ...]:
    """Every other arm against `baseline`, metric by metric, arms in the order of the plan.

    The mean difference is taken over the cases that both arms know, each case counting once, its interval is that of
    `bound_differences`. The adjustment (Holm 1979, Scand. J. Statist. 6, 65) is over the arms of one metric: the
    chance of calling any equal arm different stays below 5 % for a metric.
    """
    return tuple(comparison for metric in metrics for comparison in _compare(gather(table, metric), metric, baseline))


def _compare(cells: Cells, metric: Metric, baseline: int) -> list[Comparison]:
    others = [arm for arm in range(len(cells.mean)) if arm != baseline]
    differences = cells.mean[others] - cells.mean[baseline]
    repeats = _paired_repeats(cells, others, baseline)
    found = bound_differences(differences, repeats=repeats, binary=cells.binary, bounded=cells.bounded)
    adjusted = adjust_holm(found.p_value)
    shown = _hide_alike(found, adjusted)
    return [
        _comparison(cells, metric, baseline, arm, row, differences[row], shown, adjusted)
        for row, arm in enumerate(others)
    ]


def _hide_alike(found: Differences, adjusted: FloatArray) -> Differences:
    """Without the interval of no width of cases that all differ by the same amount, as long as they may do so by
    chance.
    """
    hidden = (found.error == 0) & (found.bounds.mean != 0) & (adjusted >= ALPHA)
    low, high = (np.where(hidden, np.nan, end) for end in (found.bounds.low, found.bounds.high))
    return replace(found, bounds=replace(found.bounds, low=low, high=high))


def _paired_repeats(cells: Cells, others: list[int], baseline: int) -> FloatArray:
    """The harmonic mean of both arms' repeats: the chance variance of a difference goes with 1/a + 1/b."""
    repeats = cells.repeats
    pairs: FloatArray = 2 / (1 / repeats[others] + 1 / repeats[baseline])
    return pairs


def _comparison(
    cells: Cells,
    metric: Metric,
    baseline: int,
    arm: int,
    row: int,
    difference: FloatArray,
    found: Differences,
    adjusted: FloatArray,
) -> Comparison:
    paired = ~np.isnan(difference)
    trials = int(cells.count[[arm, baseline]][:, paired].sum())
    cases = int(paired.sum())
    evidence = _evidence(cells, metric, arm, baseline, row, found, adjusted)
    return Comparison(
        metric=metric,
        arm=arm,
        baseline=baseline,
        difference=estimate(
            found.bounds, row, trials=trials, unknown=int(cells.unknown[arm] + cells.unknown[baseline])
        ),
        baseline_mean=float(cells.mean[baseline][paired].mean()) if cases else None,
        p_value=evidence.p_value,
        p_adjusted=evidence.p_adjusted,
        verdict=judge(evidence),
        caveats=(
            *say_few_cases(cases),
            *_say_left_out(cells, arm, baseline, cases),
            *_say_holm(evidence.p_value, evidence.p_adjusted),
            *_say_alike(evidence),
        ),
    )


def _evidence(
    cells: Cells,
    metric: Metric,
    arm: int,
    baseline: int,
    row: int,
    found: Differences,
    adjusted: FloatArray,
) -> Evidence:
    chance = cells.chance_variance
    return Evidence(
        metric=metric,
        cases=int(found.bounds.cases[row]),
        difference=known(found.bounds.mean[row]),
        error=known(found.error[row]),
        p_value=known(found.p_value[row]),
        p_adjusted=known(adjusted[row]),
        chance_variance=known(chance[arm] + chance[baseline]),
        repeats=known(_paired_repeats(cells, [arm], baseline)[0]),
        open_arms=int((adjusted >= ALPHA).sum()),
    )


def _say_left_out(cells: Cells, arm: int, baseline: int, cases: int) -> tuple[str, ...]:
    either = int(((cells.count[arm] > 0) | (cells.count[baseline] > 0)).sum())
    if not cases or either == cases:
        return ()
    return (f"{either - cases:,} of {either:,} cases are left out: only one of the two arms has a value there.",)


def _say_holm(p_value: float | None, p_adjusted: float | None) -> tuple[str, ...]:
    if p_value is None or p_adjusted is None or not p_value < ALPHA <= p_adjusted:
        return ()
    return ("Alone this would pass for a difference; among so many arms one like it comes up by chance too often.",)


def _say_alike(evidence: Evidence) -> tuple[str, ...]:
    if not evidence.is_alike or evidence.p_adjusted is None or evidence.p_adjusted < ALPHA:
        return ()
    least = least_alike_cases(evidence.open_arms)
    return (
        f"No interval: all {evidence.cases} cases differ by the same amount, which may be chance with fewer than "
        f"{least}.",
    )
