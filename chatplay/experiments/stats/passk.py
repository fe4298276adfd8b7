"""pass@k and pass^k: how many answers to one case pass when k are drawn, without bias from the repeats at hand."""

from __future__ import annotations

import numpy as np

from chatplay.experiments.stats.cells import Cells
from chatplay.experiments.stats.intervals import share_bounds
from chatplay.experiments.stats.table import FloatArray
from chatplay.experiments.stats.values import PassAtK
from chatplay.experiments.stats.words import estimate


def at_least_one(trials: FloatArray, passed: FloatArray, k: int) -> FloatArray:
    """pass@k = 1 - C(n - c, k) / C(n, k): of k drawn answers one passes; nan where n < k.

    Chen et al. 2021, Evaluating Large Language Models Trained on Code, arXiv:2107.03374, eq. 1.
    """
    return 1 - all_of_them(trials, trials - passed, k)


def all_of_them(trials: FloatArray, passed: FloatArray, k: int) -> FloatArray:
    """pass^k = C(c, k) / C(n, k): all k drawn answers pass; nan where n < k.

    Yao et al. 2024, tau-bench, arXiv:2406.12045, section 3.
    """
    chance = np.ones_like(trials)
    enough = trials >= k
    for drawn in range(k):
        left = np.where(enough, trials - drawn, 1)
        chance *= np.clip(passed - drawn, 0, None) / left
    return np.where(enough, chance, np.nan)


def list_pass_at(passed: Cells, *, ks: tuple[int, ...]) -> list[tuple[PassAtK, ...]]:
    """The curve of each arm for those of `ks` that at least one of its cases has the repeats for, averaged over such
    cases.
    """
    most = passed.count.max(axis=1, initial=0)
    curves = [_all_at(passed, k) for k in ks if 1 <= k <= most.max(initial=0)]
    return [tuple(curve[arm] for curve in curves if curve[arm].k <= most[arm]) for arm in range(len(most))]


def _all_at(passed: Cells, k: int) -> list[PassAtK]:
    """One point of the curve, for each arm."""
    trials = passed.count
    successes = np.nan_to_num(passed.mean * trials).round()
    used = np.where(trials >= k, trials, 0).sum(axis=1).astype(int).tolist()
    one, both = (share_bounds(curve(trials, successes, k)) for curve in (at_least_one, all_of_them))
    return [
        PassAtK(
            k=k,
            at_least_one=estimate(one, arm, trials=used[arm], unknown=unknown),
            all_of_them=estimate(both, arm, trials=used[arm], unknown=unknown),
        )
        for arm, unknown in enumerate(passed.unknown.tolist())
    ]
