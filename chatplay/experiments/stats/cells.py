"""Trials gathered into cells (arm x case): what the statistics count with, whatever the number of trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chatplay.experiments.stats.table import FloatArray, IntArray, TrialTable
from chatplay.experiments.stats.values import Metric


@dataclass(frozen=True, eq=False)
class Cells:
    """Arrays [arms, cases]: `mean` of the known repeats (nan without any), their number `count`, and `squares`,
    the sum of squared deviations from the cell's mean. `unknown` [arms] counts trials without a value.

    `binary`: all values are 0 or 1; `bounded`: all lie within 0..1 and the metric is a score.
    """

    mean: FloatArray
    count: FloatArray
    squares: FloatArray
    unknown: IntArray
    binary: bool
    bounded: bool

    @property
    def repeats(self) -> FloatArray:
        """Mean number of known repeats of an arm's cells that have any [arms]; nan without."""
        cells = (self.count > 0).sum(axis=1)
        return divide(self.count.sum(axis=1), cells)

    @property
    def chance_variance(self) -> FloatArray:
        """Variance between repeats of the same case, pooled over cases [arms]; nan without repeats."""
        free = np.maximum(self.count - 1, 0).sum(axis=1)
        return divide(self.squares.sum(axis=1), free)


def gather(table: TrialTable, metric: Metric) -> Cells:
    """The cells of one metric."""
    values = table.values(metric)
    known = ~np.isnan(values)
    place = table.cell[known]
    seen = values[known]
    size, shape = table.arms * table.cases, (table.arms, table.cases)
    count = np.bincount(place, minlength=size).astype(np.float64)
    total = np.bincount(place, weights=seen, minlength=size)
    mean = divide(total, count)
    squares = np.bincount(place, weights=(seen - mean[place]) ** 2, minlength=size).astype(np.float64)
    is_score = metric in ("score", "passed")
    return Cells(
        mean=mean.reshape(shape),
        count=count.reshape(shape),
        squares=squares.reshape(shape),
        unknown=np.bincount(table.arm[~known], minlength=table.arms).astype(np.int64),
        binary=is_score and bool(np.isin(seen, (0.0, 1.0)).all()),
        bounded=is_score and bool(((seen >= 0) & (seen <= 1)).all()),
    )


def divide(upper: ArrayLike, lower: ArrayLike) -> FloatArray:
    """`upper` / `lower`, nan where `lower` is not above 0."""
    over, under = np.broadcast_arrays(np.asarray(upper, dtype=np.float64), np.asarray(lower, dtype=np.float64))
    quotient: FloatArray = np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
    return quotient


def resample_counts(rng: np.random.Generator, *, draws: int, cases: int) -> FloatArray:
    """How often each case is drawn in each of `draws` bootstrap samples [draws, cases]; rows sum to `cases`.

    Cases are drawn whole, with all their arms and repeats: the cluster bootstrap (Davison & Hinkley 1997,
    Bootstrap Methods and their Application, 3.8).
    """
    counts = np.empty((draws, cases))
    step = max(1, 1_000_000 // max(cases, 1))
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        place = rng.integers(0, cases, size=(rows, cases)) + np.arange(rows)[:, None] * cases
        counts[start : start + rows] = np.bincount(place.ravel(), minlength=rows * cases).reshape(rows, cases)
    return counts
