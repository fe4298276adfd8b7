"""Each arm against a baseline on the same cases: difference, interval, p adjusted over arms, plain words."""

from __future__ import annotations

from chatplay.experiments.stats.table import TrialTable
from chatplay.experiments.stats.values import METRICS, Comparison, Metric


def compare_with_baseline(
    table: TrialTable, *, baseline: int, metrics: tuple[Metric, ...] = METRICS
) -> tuple[Comparison, ...]:
    """Every other arm against `baseline`, metric by metric, arms in the order of the plan."""
    raise NotImplementedError
