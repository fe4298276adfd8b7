"""Quality against cost against latency: which arms no other arm beats, and how sure that is."""

from __future__ import annotations

import numpy as np

from chatplay.experiments.stats.table import TrialTable
from chatplay.experiments.stats.values import Frontier, Metric


def find_frontier(
    table: TrialTable,
    *,
    rng: np.random.Generator,
    quality: Metric = "score",
    cost: Metric = "cost_usd",
    latency: Metric = "duration_ms",
) -> Frontier:
    """Every arm's three means, whether it is on the Pareto frontier, and the bootstrap probability of that."""
    raise NotImplementedError
