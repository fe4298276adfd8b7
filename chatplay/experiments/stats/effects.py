"""The means behind plots of one axis (main effects) and of two (heat map)."""

from __future__ import annotations

import numpy as np

from chatplay.experiments.stats.cells import Cells, gather
from chatplay.experiments.stats.intervals import bound_means
from chatplay.experiments.stats.table import Axis, FloatArray, IntArray, TrialTable
from chatplay.experiments.stats.values import Estimate, HeatCell, LevelMean, Metric
from chatplay.experiments.stats.words import estimate


def list_level_means(table: TrialTable, *, axis: Axis, metric: Metric) -> tuple[LevelMean, ...]:
    """The main effect of `axis`: the mean at each of its levels, in their order.

    A case's value at a level is the mean over the level's arms, so every arm counts the same (main effects: Box,
    Hunter & Hunter 2005, Statistics for Experimenters, ch. 5).
    """
    cells = gather(table, metric)
    levels = np.array(axis.level_of_arm)
    picked = [np.flatnonzero(levels == level).astype(np.int64) for level in range(len(axis.levels))]
    return tuple(LevelMean(level, found) for level, found in enumerate(_pool(cells, picked)) if picked[level].size)


def list_heat_cells(table: TrialTable, *, rows: Axis, columns: Axis, metric: Metric) -> tuple[HeatCell, ...]:
    """The means for a heat map, row by row; pairs of levels that no arm has are left out.

    The means of a two-way table (Box, Hunter & Hunter 2005, Statistics for Experimenters, ch. 5).
    """
    cells = gather(table, metric)
    down, across = np.array(rows.level_of_arm), np.array(columns.level_of_arm)
    places = [(row, column) for row in range(len(rows.levels)) for column in range(len(columns.levels))]
    picked = [np.flatnonzero((down == row) & (across == column)).astype(np.int64) for row, column in places]
    return tuple(
        HeatCell(*place, found)
        for place, found, arms in zip(places, _pool(cells, picked), picked, strict=True)
        if arms.size
    )


def _pool(cells: Cells, groups: list[IntArray]) -> list[Estimate]:
    """The estimate of each group of arms. A case counts for a group, with its trials, when all arms of the group with
    values have one there.
    """
    mean = np.stack([_group_mean(cells, arms) for arms in groups])
    counted = np.where(np.isnan(mean), 0, np.stack([cells.count[arms].sum(axis=0) for arms in groups]))
    pooled = Cells(mean, counted, np.zeros_like(mean), cells.unknown, cells.binary, cells.bounded)
    bounds = bound_means(pooled)
    return [
        estimate(bounds, row, trials=int(counted[row].sum()), unknown=int(cells.unknown[arms].sum()))
        for row, arms in enumerate(groups)
    ]


def _group_mean(cells: Cells, arms: IntArray) -> FloatArray:
    valued = arms[(cells.count[arms] > 0).any(axis=1)]
    if not valued.size:
        return np.full(cells.mean.shape[1], np.nan)
    mean: FloatArray = cells.mean[valued].mean(axis=0)
    return mean
