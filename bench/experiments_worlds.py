"""Experiments whose truth is known: arm x case x repeat, clustered by case, drawn from a few kinds of world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, eq=False)
class Drawn:
    """`trials` [experiments, arms, cases, repeats] and the arms' true means [experiments, arms]."""

    trials: Array
    truth: Array


@dataclass(frozen=True)
class World:
    """`draw(rng, shape, differ)`: `differ` False makes all arms equally good (yet different case by case)."""

    name: str
    metric: str  # "any", "positive" or "pass"
    draw: Callable[[np.random.Generator, tuple[int, int, int, int], bool], Drawn]


def _levels(rng: np.random.Generator, shape: tuple[int, int, int, int], case: Array, arm_case: Array) -> Array:
    experiments, arms, cases, _ = shape
    common = rng.normal(size=(experiments, 1, cases, 1)) * case[:, None, None, None]
    return common + rng.normal(size=(experiments, arms, cases, 1)) * arm_case[:, None, None, None]


def _effects(experiments: int, arms: int, size: float, differ: bool) -> Array:
    return np.tile(np.linspace(0, size, arms) * differ, (experiments, 1))


def _normal(rng: np.random.Generator, shape: tuple[int, int, int, int], differ: bool) -> Drawn:
    ones = np.ones(shape[0])
    effect = _effects(shape[0], shape[1], 0.5, differ)
    trials = _levels(rng, shape, ones, ones / 2) + rng.normal(size=shape) + effect[:, :, None, None]
    return Drawn(trials, effect)


def _log_normal(case: float, arm_case: float, trial: float) -> Callable[..., Drawn]:
    def draw(rng: np.random.Generator, shape: tuple[int, int, int, int], differ: bool) -> Drawn:
        ones = np.ones(shape[0])
        effect = _effects(shape[0], shape[1], 0.25, differ)
        logs = 5 + effect[:, :, None, None] + _levels(rng, shape, case * ones, arm_case * ones)
        spread = (case**2 + arm_case**2 + trial**2) / 2
        return Drawn(np.exp(logs + trial * rng.normal(size=shape)), np.exp(5 + effect + spread))

    return draw


def _shifted(rng: np.random.Generator, shape: tuple[int, int, int, int], differ: bool) -> Drawn:
    """A floor of network time under a log-normal rest."""
    inner = _log_normal(0.4, 0.1, 0.3)(rng, shape, differ)
    return Drawn(inner.trials + 150, inner.truth + 150)


def _gamma(rng: np.random.Generator, shape: tuple[int, int, int, int], differ: bool) -> Drawn:
    factor = np.exp(_effects(shape[0], shape[1], 0.25, differ))
    case = rng.gamma(5, 1 / 5, size=(shape[0], 1, shape[2], 1)) * rng.gamma(40, 1 / 40, size=(*shape[:3], 1))
    return Drawn(100 * factor[:, :, None, None] * case * rng.gamma(8, 1 / 8, size=shape), 100 * factor)


def _passes(low: float, high: float) -> Callable[..., Drawn]:
    """Pass/fail with the first arm's true pass rate drawn from low..high, logit-normal over cases."""

    def draw(rng: np.random.Generator, shape: tuple[int, int, int, int], differ: bool) -> Drawn:
        experiments, arms = shape[:2]
        case = rng.uniform(0.5, 3, size=experiments)
        arm_case = case * rng.uniform(0.1, 0.7, size=experiments)
        spread = np.hypot(case, arm_case)
        base = _solve(rng.uniform(low, high, size=experiments), spread)
        shift = np.zeros((experiments, arms))
        shift[:, 1:] = rng.normal(size=(experiments, arms - 1)) * differ
        logits = (base[:, None] + shift)[:, :, None, None] + _levels(rng, shape, case, arm_case)
        trials = (rng.random(shape) < expit(logits)).astype(np.float64)
        return Drawn(trials, _mean_pass(base[:, None] + shift, spread[:, None]))

    return draw


def _mean_pass(middle: Array, spread: Array) -> Array:
    mean: Array = (expit(middle[..., None] + spread[..., None] * _NODES) * _WEIGHTS).sum(axis=-1)
    return mean


def _solve(wanted: Array, spread: Array) -> Array:
    low, high = np.full_like(wanted, -40.0), np.full_like(wanted, 40.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = _mean_pass(middle, spread) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


WORLDS = (
    World("normal", "any", _normal),
    World("log-normal latency", "positive", _log_normal(0.4, 0.1, 0.3)),
    World("pass/fail, rate 0.2-0.9", "pass", _passes(0.2, 0.9)),
)
HARD_WORLDS = (
    World("log-normal, heavy tail", "positive", _log_normal(0.6, 0.2, 0.5)),
    World("log-normal over a floor", "positive", _shifted),
    World("gamma latency", "positive", _gamma),
    World("pass/fail, rate 0.9", "pass", _passes(0.9, 0.9)),
)
