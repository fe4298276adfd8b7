"""Which setting matters: shares of variance by axis, by case and by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtr, stdtrit

from chatplay.experiments.stats.cells import Cells, divide, gather, resample_counts
from chatplay.experiments.stats.intervals import LEAST_CASES
from chatplay.experiments.stats.table import Axis, FloatArray, IntArray, TrialTable
from chatplay.experiments.stats.values import Metric, Share, Source, VarianceShares
from chatplay.experiments.stats.words import ONE_REPEAT, count, known, say_few_cases

_DRAWS = 1000


def explain_variance(
    table: TrialTable, *, axes: tuple[Axis, ...], metric: Metric, rng: np.random.Generator
) -> VarianceShares:
    """The share of the variance of `metric` that each axis, the case and chance explain, with intervals.

    Analysis of variance of the cell means with settings fixed and cases random; each component is estimated from
    expected mean squares, so it is not inflated by noise (the bias correction of omega squared: Hays 1963;
    Searle, Casella & McCulloch 1992, Variance Components, ch. 4 and 5), negative ones count as 0. An axis owns
    what only it explains among the settings; `settings_together` is the rest of what settings explain
    (interactions, and in a partial grid what axes share), unknown where axes leave no such rest, as a single one does.
    With one repeat, `chance` holds `case_by_setting`; with one
    arm as well, no share is known.
    Intervals: bootstrap over cases, t on the log odds of shares clear of 0, else percentiles; both widened for
    few cases (Hesterberg 2015, Am. Statistician 69, 371). In simulations they hold the truth in 93 to 97 % from
    20 cases on; with ten, the case's own share in 90 %. Only cases with a value from every arm are used; arms
    without any value are left out.
    """
    cells = gather(table, metric)
    arms = np.flatnonzero((cells.count > 0).any(axis=1)).astype(np.int64)
    cases = np.flatnonzero((cells.count[arms] > 0).all(axis=0)).astype(np.int64) if arms.size else arms
    grid = _Grid.of(cells, arms, cases, axes)
    if len(arms) < 1 or len(cases) < LEAST_CASES:
        return _nothing(grid, metric, axes)
    point = grid.components(np.ones((1, len(cases))), noise=1.0)
    drawn = grid.components(resample_counts(rng, draws=_DRAWS, cases=len(cases)), noise=2.0)
    return VarianceShares(
        metric=metric,
        shares=_shares(grid, axes, _normalise(point)[0], _normalise(drawn)),
        arms=len(arms),
        cases=len(cases),
        trials=int(grid.count.sum()),
        caveats=_caveats(cells, grid),
    )


@dataclass(frozen=True, eq=False)
class _Grid:
    """Complete cells [arms, cases], and for each axis the projection [arms, arms] on what it alone explains."""

    mean: FloatArray
    count: FloatArray
    squares: FloatArray
    own: tuple[FloatArray, ...]
    free: tuple[int, ...]

    @classmethod
    def of(cls, cells: Cells, arms: IntArray, cases: IntArray, axes: tuple[Axis, ...]) -> _Grid:
        picked = np.ix_(arms, cases)
        own, free = _project(axes, [int(arm) for arm in arms])
        mean = cells.mean[picked]
        centred = mean - mean.mean() if mean.size else mean  # large means would drown small squares
        return cls(centred, cells.count[picked], cells.squares[picked], own, free)

    @property
    def has_repeats(self) -> bool:
        return bool((self.count > 1).any())

    def components(self, weights: FloatArray, *, noise: float) -> FloatArray:
        """Variance components [draws, axes + 4]: axes, settings together, case, case by setting, chance.

        `weights` [draws, cases]: how often each case counts. `noise`: how often the noise of the arms' means is in
        their squares: once in the data, twice in a bootstrap sample of them.
        """
        arms, cases = self.mean.shape
        arm_means = weights @ self.mean.T / cases
        grand = arm_means.mean(axis=1, keepdims=True)
        case_means = self.mean.mean(axis=0)
        # A bootstrap sample's squares are (cases - 1) / cases of the data's; the data's own have that divisor.
        free_cases = cases - 1 if noise == 1.0 else (cases - 1) ** 2 / cases
        by_case = arms * (weights @ case_means**2 - cases * grand[:, 0] ** 2)
        within = weights @ (self.mean**2).sum(axis=0) - cases * (arm_means**2).sum(axis=1)
        rest = divide(within - by_case, (arms - 1) * free_cases) if arms > 1 else np.zeros(len(weights))
        rest = np.maximum(rest, 0)
        chance = self._chance(weights)
        shared = chance * float((1 / self.count).mean())
        centred = arm_means - grand
        all_arms = ((centred**2).sum(axis=1) - noise * (arms - 1) * rest / cases) / arms
        owned = [
            (np.einsum("da,ab,db->d", centred, own, centred) - noise * free * rest / cases) / arms
            for own, free in zip(self.own, self.free, strict=True)
        ]
        together = all_arms - np.sum(owned, axis=0) if owned else all_arms
        case = (by_case / free_cases - (rest if arms > 1 else shared)) / arms
        if self.has_repeats:
            parts = [*owned, together, case, rest - shared if arms > 1 else np.zeros_like(rest), chance]
        else:
            parts = [*owned, together, case, np.zeros_like(rest), rest]
        found: FloatArray = np.maximum(np.stack(parts, axis=1), 0)
        return found

    def _chance(self, weights: FloatArray) -> FloatArray:
        free = weights @ np.maximum(self.count - 1, 0).sum(axis=0)
        return np.nan_to_num(divide(weights @ self.squares.sum(axis=0), free))


def _project(axes: tuple[Axis, ...], arms: list[int]) -> tuple[tuple[FloatArray, ...], tuple[int, ...]]:
    everything, rank = _span(axes, arms)
    own, free = [], []
    for left_out in range(len(axes)):
        others, fewer = _span(axes[:left_out] + axes[left_out + 1 :], arms)
        own.append(everything - others)
        free.append(rank - fewer)
    return tuple(own), tuple(free)


def _span(axes: tuple[Axis, ...], arms: list[int]) -> tuple[FloatArray, int]:
    """The projection on the additive model of `axes`, and its rank."""
    columns = [np.ones((len(arms), 1))]
    for axis in axes:
        levels = np.array([axis.level_of_arm[arm] for arm in arms])
        columns.append((levels[:, None] == np.arange(len(axis.levels))).astype(np.float64))
    design = np.concatenate(columns, axis=1)
    rank = int(np.linalg.matrix_rank(design)) if arms else 0
    basis = np.linalg.svd(design, full_matrices=False)[0][:, :rank]
    return basis @ basis.T, rank


def _normalise(components: FloatArray) -> FloatArray:
    return divide(components, components.sum(axis=1, keepdims=True))


def _shares(grid: _Grid, axes: tuple[Axis, ...], point: FloatArray, drawn: FloatArray) -> tuple[Share, ...]:
    ends = _interval(point, drawn, grid.mean.shape[1])
    varies = len(grid.mean) > 1
    told_apart = varies or grid.has_repeats  # one repeat of one arm: all there is is either the case or chance
    together = sum(grid.free) < len(grid.mean) - 1  # arms differ in more than what each axis owns
    known_parts = [free > 0 for free in grid.free] + [together, told_apart, varies and grid.has_repeats, told_apart]
    return tuple(
        Share(source, name, *((known(value), known(low), known(high)) if is_known else (None, None, None)))
        for (source, name), value, low, high, is_known in zip(
            _sources(axes), point, ends[0], ends[1], known_parts, strict=True
        )
    )


def _interval(point: FloatArray, drawn: FloatArray, cases: int) -> FloatArray:
    """Low and high [2, components]: t on the log odds of a share where no sample has it 0 or 1, else percentiles."""
    usable = drawn[~np.isnan(drawn).any(axis=1)]
    if not len(usable):
        return np.full((2, len(point)), np.nan)
    reach = np.sqrt(cases / (cases - 1)) * stdtrit(cases - 1, 0.025)
    ends: FloatArray = np.quantile(usable, [ndtr(reach), ndtr(-reach)], axis=0)
    inner = (np.minimum(usable.min(axis=0), point) > 0) & (np.maximum(usable.max(axis=0), point) < 1)
    half = -reach * logit(usable[:, inner]).std(axis=0)
    ends[:, inner] = expit(logit(point[inner]) + np.stack([-half, half]))
    return ends


def _sources(axes: tuple[Axis, ...]) -> list[tuple[Source, str]]:
    rest: list[Source] = ["settings_together", "case", "case_by_setting", "chance"]
    return [("axis", axis.name) for axis in axes] + [(source, "") for source in rest]


def _nothing(grid: _Grid, metric: Metric, axes: tuple[Axis, ...]) -> VarianceShares:
    arms, cases = grid.mean.shape
    return VarianceShares(
        metric=metric,
        shares=tuple(Share(source, name, None, None, None) for source, name in _sources(axes)),
        arms=arms,
        cases=cases,
        trials=int(grid.count.sum()),
        caveats=(f"It takes at least {LEAST_CASES} cases that every arm has a value for; there are {cases}.",),
    )


def _caveats(cells: Cells, grid: _Grid) -> tuple[str, ...]:
    arms, cases = grid.mean.shape
    known_cases = int((cells.count > 0).any(axis=0).sum())
    said = [*say_few_cases(cases)]
    if known_cases > cases:
        said.append(f"{count(known_cases - cases, 'case')} left out: not every arm has a value there.")
    if len(cells.mean) > arms:
        said.append(f"{count(len(cells.mean) - arms, 'arm')} left out: without any value.")
    return (*said, *(() if grid.has_repeats else (ONE_REPEAT,)))
