"""How often the intervals of experiments hold the truth, beside other methods, in 20,000 experiments of each kind.

python -m bench.experiments_truth [--experiments 20000] [--rivals] [--seed 6]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from bench.experiments_worlds import HARD_WORLDS, WORLDS, Array, Drawn, World
from chatplay.experiments.stats.intervals import (
    adjust_holm,
    bound_differences,
    positive_bounds,
    share_bounds,
    t_bounds,
)

CASES = (5, 10, 20, 50)
REPEATS = (1, 3, 10)
_DRAWS = 999


@dataclass(frozen=True)
class Cover:
    """One line: `share` of `experiments` whose interval held the truth; `width` beside the t interval's."""

    world: str
    figure: str
    method: str
    cases: int
    repeats: int
    share: float
    width: float


def cover_means(drawn: Drawn, metric: str, rivals: bool) -> Iterator[tuple[str, Array, Array, Array]]:
    """(method, low, high, truth) for the mean of the first arm."""
    cells, repeats = drawn.trials[:, 0].mean(axis=-1), drawn.trials.shape[-1]
    truth = drawn.truth[:, 0]
    plain = t_bounds(cells)
    if metric == "pass":
        ours = share_bounds(cells, repeats=np.full(len(cells), float(repeats)))
    else:
        ours = positive_bounds(cells) if metric == "positive" else plain
    yield "ours", ours.low, ours.high, truth
    yield "t", plain.low, plain.high, truth
    if rivals:
        yield from ((name, *method(cells), truth) for name, method in RIVALS.items())


def cover_differences(drawn: Drawn, metric: str, rivals: bool) -> Iterator[tuple[str, Array, Array, Array]]:
    """(method, low, high, truth) for the second arm minus the first."""
    means = drawn.trials.mean(axis=-1)
    gaps, truth = means[:, 1] - means[:, 0], drawn.truth[:, 1] - drawn.truth[:, 0]
    repeats = np.full(len(gaps), float(drawn.trials.shape[-1]))
    ours, plain = bound_differences(gaps, repeats=repeats, binary=metric == "pass").bounds, t_bounds(gaps)
    yield "ours", ours.low, ours.high, truth
    yield "t", plain.low, plain.high, truth
    if rivals:
        yield from ((name, *method(gaps), truth) for name, method in RIVALS.items())


def find_false_alarms(drawn: Drawn, metric: str) -> tuple[float, float]:
    """Shares of experiments in which any arm is called better than the first, or different from it."""
    means = drawn.trials.mean(axis=-1)
    experiments, arms, cases = means.shape
    gaps = (means[:, 1:] - means[:, :1]).reshape(-1, cases)
    repeats = np.full(len(gaps), float(drawn.trials.shape[-1]))
    found = bound_differences(gaps, repeats=repeats, binary=metric == "pass")
    adjusted = adjust_holm(found.p_value.reshape(experiments, arms - 1))
    up = found.bounds.mean.reshape(experiments, arms - 1) > 0
    return float(((adjusted < 0.05) & up).any(axis=1).mean()), float((adjusted < 0.05).any(axis=1).mean())


def measure(
    world: World, *, cases: int, repeats: int, experiments: int, rng: np.random.Generator, rivals: bool
) -> list[Cover]:
    """Coverage of every method in one world and size, for a mean and for a paired difference."""
    drawn = world.draw(rng, (experiments, 2, cases, repeats), True)
    lines = []
    for figure, cover in (("mean", cover_means), ("difference", cover_differences)):
        found = list(cover(drawn, world.metric, rivals))
        usual = next(high - low for method, low, high, _ in found if method == "t").mean()
        for method, low, high, truth in found:
            share = float(((low <= truth[: len(low)]) & (truth[: len(low)] <= high)).mean())
            lines.append(Cover(world.name, figure, method, cases, repeats, share, float((high - low).mean() / usual)))
    return lines


def _bootstrap(cells: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Of each experiment: its case means, and the means and standard deviations of 999 samples of them."""
    rng = np.random.default_rng(1)
    for row in cells[:500]:  # a rival's figure needs no more digits
        sample = row[rng.integers(0, len(row), size=(_DRAWS, len(row)))]
        yield row, sample.mean(axis=1), sample.std(axis=1, ddof=1)


def _percentile(cells: Array) -> tuple[Array, Array]:
    return _ends(np.quantile(means, [0.025, 0.975]) for _, means, _ in _bootstrap(cells))


def _bca(cells: Array) -> tuple[Array, Array]:
    """Efron 1987, JASA 82, 171."""
    return _ends(np.quantile(means, _bca_levels(row, means)) for row, means, _ in _bootstrap(cells))


def _bca_levels(row: Array, means: Array) -> Array:
    below = ((means < row.mean()).mean() + (means <= row.mean()).mean()) / 2
    bias = ndtri(np.clip(below, 0.001, 0.999))
    gaps = row - row.mean()
    spread = (gaps**2).sum() ** 1.5
    speed = (gaps**3).sum() / (6 * spread) if spread > 0 else 0.0
    raised = bias + ndtri(np.array([0.025, 0.975]))
    levels: Array = ndtr(bias + raised / (1 - speed * raised))
    return levels


def _studentised(cells: Array) -> tuple[Array, Array]:
    """Efron & Tibshirani 1993, An Introduction to the Bootstrap, 12.5."""

    def ends(row: Array, means: Array, spreads: Array) -> Array:
        usable = spreads > 0
        if usable.sum() < 50:
            return np.array([row.mean(), row.mean()])
        low, high = np.quantile((means - row.mean())[usable] / spreads[usable], [0.025, 0.975])
        return row.mean() - row.std(ddof=1) * np.array([high, low])

    return _ends(ends(*sample) for sample in _bootstrap(cells))


def _ends(pairs: Iterator[Array]) -> tuple[Array, Array]:
    low, high = np.array(list(pairs)).T
    return low, high


RIVALS: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "percentile": _percentile,
    "BCa": _bca,
    "studentised": _studentised,
}


def print_cover(worlds: Sequence[World], *, experiments: int, seed: int, rivals: bool) -> None:
    """One Markdown table: a line for each world, figure and method, a column for each size."""
    sizes = [(cases, repeats) for cases in CASES for repeats in REPEATS]
    print("| world | figure | method | " + " | ".join(f"{cases}x{repeats}" for cases, repeats in sizes) + " |")
    print("|---" * (len(sizes) + 3) + "|")
    for world in worlds:
        found: dict[tuple[str, str], list[Cover]] = {}
        for cases, repeats in sizes:
            rng = np.random.default_rng([seed, cases, repeats])
            for line in measure(world, cases=cases, repeats=repeats, experiments=experiments, rng=rng, rivals=rivals):
                found.setdefault((line.figure, line.method), []).append(line)
        for (figure, method), lines in found.items():
            cells = " | ".join(f"{line.share * 100:.1f} ({_width(line.width)})" for line in lines)
            print(f"| {world.name} | {figure} | {method} | {cells} |", flush=True)


def _width(width: float) -> str:
    return f"{width:.2f}" if width < 100 else "no end"


def print_alarms(worlds: Sequence[World], *, experiments: int, seed: int) -> None:
    """Ten equal arms: how often one is called better, or different."""
    print("| world | cases x repeats | any better, % | any different, % |\n|---|---|---|---|")
    for world in worlds:
        for cases, repeats in ((5, 3), (10, 1), (10, 3), (20, 3), (50, 1)):
            drawn = world.draw(
                np.random.default_rng([seed, 9, cases, repeats]), (experiments, 10, cases, repeats), False
            )
            better, different = find_false_alarms(drawn, world.metric)
            print(f"| {world.name} | {cases}x{repeats} | {better * 100:.1f} | {different * 100:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--rivals", action="store_true", help="measure the bootstraps too (some minutes)")
    options = parser.parse_args()
    print(f"{options.experiments:,} experiments, seed {options.seed}.")
    print("% of 95 % intervals that hold the truth (mean width, t = 1), cases x repeats:\n")
    print_cover(WORLDS, experiments=options.experiments, seed=options.seed, rivals=options.rivals)
    print("\nHarder worlds:\n")
    print_cover(HARD_WORLDS, experiments=options.experiments, seed=options.seed, rivals=options.rivals)
    print("\nTen arms without a true difference:\n")
    print_alarms((*WORLDS, *HARD_WORLDS), experiments=options.experiments, seed=options.seed)


if __name__ == "__main__":
    main()
