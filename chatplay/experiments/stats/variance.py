"""Which setting matters: shares of variance by axis, case and chance; means for plots of one and two axes."""

from __future__ import annotations

import numpy as np

from chatplay.experiments.stats.table import Axis, TrialTable
from chatplay.experiments.stats.values import HeatCell, LevelMean, Metric, VarianceShares


def explain_variance(
    table: TrialTable, *, axes: tuple[Axis, ...], metric: Metric, rng: np.random.Generator
) -> VarianceShares:
    """The share of the variance of `metric` that each axis, the case and chance explain, with intervals."""
    raise NotImplementedError


def list_level_means(table: TrialTable, *, axis: Axis, metric: Metric) -> tuple[LevelMean, ...]:
    """The main effect of `axis`: the mean at each of its levels, in their order."""
    raise NotImplementedError


def list_heat_cells(table: TrialTable, *, rows: Axis, columns: Axis, metric: Metric) -> tuple[HeatCell, ...]:
    """The means for a heat map, row by row; pairs of levels that no arm has are left out."""
    raise NotImplementedError
