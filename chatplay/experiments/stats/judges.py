"""How far a judge model can be believed: beside scores by hand, and against itself with places swapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from chatplay.experiments.stats.cells import divide
from chatplay.experiments.stats.intervals import LEAST_CASES, cut, share_bounds, t_bounds
from chatplay.experiments.stats.table import FloatArray, IntArray
from chatplay.experiments.stats.values import Estimate, JudgeAgreement, SwapConsistency, Winner
from chatplay.experiments.stats.words import estimate, known, say_few_cases

_MOST_STEPS = 7
_Z = float(ndtri(0.975))
_MIRROR: dict[Winner, Winner] = {"left": "right", "right": "left", "tie": "tie", "neither": "neither"}


def compare_judge(*, judge: ArrayLike, hand: ArrayLike, case: ArrayLike) -> JudgeAgreement:
    """Agreement of two score columns (0..1, nan or None: not scored); `case` numbers cluster the intervals.

    Cohen's kappa (Cohen 1960, Educ. Psychol. Meas. 20, 37), with quadratic weights for three to seven ordered
    steps (Cohen 1968, Psychol. Bull. 70, 213), and Spearman's rank correlation. Their intervals come from the
    jackknife over cases with t (Fleiss & Davies 1982, Appl. Psychol. Meas. 6, 521), the correlation's on
    Fisher's z scale. Kappa and the bias of scores within 0..1 cannot lie beyond -1..1; intervals are cut there, as
    those of `bound_differences` are.
    """
    scores = np.stack([np.array(judge, dtype=np.float64), np.array(hand, dtype=np.float64)])
    both = ~np.isnan(scores).any(axis=0)
    unknown = int((~both).sum())
    left, right = scores[:, both]
    groups = np.unique(np.asarray(case, dtype=np.int64)[both], return_inverse=True)[1]
    steps = np.unique(scores[:, both])
    return JudgeAgreement(
        pairs=len(left),
        same_share=estimate(share_bounds(_by_case(left == right, groups)), 0, trials=len(left), unknown=unknown),
        kappa=_kappa(left, right, groups, steps, unknown),
        weighted=2 < len(steps) <= _MOST_STEPS,
        correlation=_spearman(left, right, groups, unknown),
        bias=estimate(cut(t_bounds(_by_case(left - right, groups)), -1, 1), 0, trials=len(left), unknown=unknown),
        caveats=say_few_cases(len(np.unique(groups))),
    )


def check_swaps(pairs: Sequence[tuple[Winner, Winner]]) -> SwapConsistency:
    """Consistency of (verdict, verdict with the places swapped): each says which PLACE won, as the judge said.

    Intervals: Wilson 1927, every pair counting as independent.
    """
    changed = [pair for pair in pairs if _MIRROR[pair[0]] != pair[1]]
    firsts = [pair[0] == "left" for pair in changed if pair[0] == pair[1]]
    return SwapConsistency(
        pairs=len(pairs),
        inconsistent_share=_share([_MIRROR[first] != second for first, second in pairs]),
        first_place_share=_share(firsts),
        caveats=() if len(pairs) >= 10 else ("Fewer than 10 pairs: the shares are rough.",),
    )


def _share(marks: list[bool]) -> Estimate:
    bounds = share_bounds(np.array(marks, dtype=np.float64)[None, :], repeats=np.ones(1))
    return estimate(bounds, 0, trials=len(marks), unknown=0)


def _by_case(values: ArrayLike, groups: IntArray) -> FloatArray:
    sums = np.bincount(groups, weights=np.asarray(values, dtype=np.float64))
    return divide(sums, np.bincount(groups))[None, :]


def _kappa(left: FloatArray, right: FloatArray, groups: IntArray, steps: FloatArray, unknown: int) -> Estimate:
    if not 2 <= len(steps) <= _MOST_STEPS:
        return Estimate(None, None, None, len(left), len(np.unique(groups)), unknown)
    size = len(steps)
    place = (groups * size + np.searchsorted(steps, left)) * size + np.searchsorted(steps, right)
    tables = np.bincount(place, minlength=(groups.max() + 1) * size * size).reshape(-1, size, size)
    gaps = (steps[:, None] - steps) ** 2
    found = _jackknife(tables.astype(np.float64), lambda sums: _kappas(sums, gaps), len(left), unknown)
    low, high = (None if end is None else min(max(end, -1.0), 1.0) for end in (found.low, found.high))
    return replace(found, low=low, high=high)


def _kappas(tables: FloatArray, gaps: FloatArray) -> FloatArray:
    """1 - (observed disagreement) / (that of independent scores) of each table [tables, judge, hand]."""
    totals = tables.sum(axis=(1, 2))
    chance = np.einsum("ti,tj->tij", tables.sum(axis=2), tables.sum(axis=1))
    expected = divide((gaps * chance).sum(axis=(1, 2)), totals)
    return 1 - divide((gaps * tables).sum(axis=(1, 2)), expected)


def _spearman(left: FloatArray, right: FloatArray, groups: IntArray, unknown: int) -> Estimate:
    """Pearson's correlation of mid-ranks; each jackknife sample keeps the ranks of the whole."""
    if not len(left):
        return Estimate(None, None, None, 0, 0, unknown)
    x, y = (_ranks(values) - (len(values) + 1) / 2 for values in (left, right))
    parts = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    sums = np.stack([np.bincount(groups, weights=part) for part in parts.T], axis=1)
    found = _jackknife(sums, lambda moments: np.arctanh(np.clip(_correlations(moments), -1 + 1e-12, 1 - 1e-12)), 0, 0)
    value, low, high = (None if end is None else float(np.tanh(end)) for end in (found.value, found.low, found.high))
    return Estimate(value, low, high, len(left), found.cases, unknown, found.caveats)


def _correlations(sums: FloatArray) -> FloatArray:
    n, x, y, xx, yy, xy = sums.T
    return divide(xy - x * y / n, np.sqrt(np.clip((xx - x * x / n) * (yy - y * y / n), 0, None)))


def _ranks(values: FloatArray) -> FloatArray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _jackknife(
    by_case: NDArray[Any], statistic: Callable[[FloatArray], FloatArray], trials: int, unknown: int
) -> Estimate:
    """`statistic` of the sums over cases, and t over its jackknife error (Efron & Tibshirani 1993, ch. 11)."""
    cases = len(by_case)
    whole = by_case.sum(axis=0, keepdims=True)
    value = known(statistic(whole)[0])
    if value is None or cases < LEAST_CASES:
        return Estimate(value, None, None, trials, cases, unknown)
    without = statistic(whole - by_case)
    error = np.sqrt((cases - 1) / cases * ((without - without.mean()) ** 2).sum())
    half = float(stdtrit(cases - 1, 0.975) * error)
    return Estimate(value, known(value - half), known(value + half), trials, cases, unknown)
