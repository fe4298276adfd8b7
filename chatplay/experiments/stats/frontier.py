"""Quality against cost against latency: which arms no other arm beats, and how sure that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chatplay.experiments.stats.cells import gather, resample_counts
from chatplay.experiments.stats.table import FloatArray, IntArray, TrialTable
from chatplay.experiments.stats.values import HIGHER_IS_BETTER, Frontier, FrontierArm, Metric
from chatplay.experiments.stats.words import count, say_few_cases

_DRAWS = 2000


def find_frontier(
    table: TrialTable,
    *,
    rng: np.random.Generator,
    quality: Metric = "score",
    cost: Metric = "cost_usd",
    latency: Metric = "duration_ms",
) -> Frontier:
    """Every arm's three means, whether it is on the Pareto frontier, and the bootstrap probability of that.

    Cases are drawn with replacement, the same ones for all arms, and the frontier is looked up in each of 2,000
    samples (Davison & Hinkley 1997, 3.8). Compared are arms with values for all objectives, on the cases they all
    have. With one case there is no probability.
    """
    wanted = (quality, cost, latency)
    means = {metric: gather(table, metric).mean for metric in wanted}
    objectives = tuple(metric for metric in wanted if not np.isnan(means[metric]).all())
    if not objectives:
        return Frontier(tuple(_plain(arm, (None, None, None)) for arm in range(table.arms)), (), 0)
    values = np.stack([means[metric] for metric in objectives])
    arms = np.flatnonzero((~np.isnan(values)).any(axis=2).all(axis=0))
    cases = np.flatnonzero((~np.isnan(values[:, arms])).all(axis=(0, 1))) if arms.size else arms
    signs = np.array([1.0 if metric in HIGHER_IS_BETTER else -1.0 for metric in objectives])
    losses = -signs[:, None, None] * values[:, arms][:, :, cases]
    return Frontier(
        arms=_place(table.arms, [means[metric] for metric in wanted], losses, arms, cases, rng),
        objectives=objectives,
        cases=len(cases),
        caveats=_caveats(wanted, objectives, table, arms, len(cases)),
    )


def _place(
    total: int, means: list[FloatArray], losses: FloatArray, arms: IntArray, cases: IntArray, rng: np.random.Generator
) -> tuple[FrontierArm, ...]:
    compared = set(arms.tolist()) if cases.size else set()
    placed = {arm: _plain(arm, _means(means, arm, None)) for arm in range(total) if arm not in compared}
    if compared:
        on = mark_frontier(losses.mean(axis=2)[:, None])[0]
        often = _how_often(losses, rng)
        for row, arm in enumerate(arms.tolist()):
            probability = None if often is None else float(often[row])
            placed[arm] = _plain(arm, _means(means, arm, cases), bool(on[row]), probability)
    return tuple(placed[arm] for arm in range(total))


def _how_often(losses: FloatArray, rng: np.random.Generator) -> FloatArray | None:
    cases = losses.shape[2]
    if cases < 2:
        return None
    weights = resample_counts(rng, draws=_DRAWS, cases=cases) / cases
    # Sums of the same numbers in another order differ in the last digits; equal arms must stay equal.
    drawn = np.stack([np.round(weights @ one.T, 12) for one in losses / _scale(losses)])
    often: FloatArray = mark_frontier(drawn).mean(axis=0)
    return often


def _scale(losses: FloatArray) -> FloatArray:
    largest = np.abs(losses).max(axis=(1, 2), keepdims=True)
    return np.where(largest > 0, largest, 1.0)


def mark_frontier(losses: FloatArray) -> NDArray[np.bool_]:
    """Booleans [draws, arms] from `losses` [objectives, draws, arms]: no other arm is at most as large in every
    objective and smaller in one."""
    draws, arms = losses.shape[1:]
    on: NDArray[np.bool_] = np.ones((draws, arms), dtype=bool)
    for arm in range(arms):
        mine = losses[:, :, arm, None]
        beaten = np.all(losses <= mine, axis=0) & np.any(losses < mine, axis=0)
        on[:, arm] = ~np.any(beaten, axis=1)
    return on


def _means(means: list[FloatArray], arm: int, cases: IntArray | None) -> tuple[float | None, ...]:
    return tuple(_mean(mean[arm] if cases is None else mean[arm, cases]) for mean in means)


def _mean(values: FloatArray) -> float | None:
    seen = values[~np.isnan(values)]
    return float(seen.mean()) if seen.size else None


def _plain(
    arm: int, means: tuple[float | None, ...], on_frontier: bool | None = None, probability: float | None = None
) -> FrontierArm:
    quality, cost, latency = means
    return FrontierArm(arm, quality, cost, latency, on_frontier, probability)


def _caveats(
    wanted: tuple[Metric, ...], objectives: tuple[Metric, ...], table: TrialTable, arms: IntArray, cases: int
) -> tuple[str, ...]:
    missing = [f"No arm has a value for {metric}: it is left out." for metric in wanted if metric not in objectives]
    if len(arms) < table.arms:
        missing.append(f"{count(table.arms - len(arms), 'arm')} not compared: a value is missing altogether.")
    if arms.size and not cases:
        missing.append("No case has values from all arms, so nothing can be compared.")
    return (*missing, *say_few_cases(cases))
