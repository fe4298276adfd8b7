"""Small tables of trials for the tests of statistics."""

from __future__ import annotations

import numpy as np

from chatplay.experiments.stats import TrialTable, build_table


def full_table(**metrics: object) -> TrialTable:
    """A table from arrays [arms, cases, repeats], one per metric (`answer` too); nan is unknown."""
    arrays = {name: np.asarray(values) for name, values in metrics.items()}
    arms, cases, repeats = next(iter(arrays.values())).shape
    places = [axis.ravel() for axis in np.indices((arms, cases, repeats))]
    return build_table(
        arms=arms,
        cases=cases,
        arm=places[0],
        case=places[1],
        repeat=places[2],
        **{name: values.ravel().tolist() if name == "answer" else values.ravel() for name, values in arrays.items()},
    )


def noisy(seed: int, arms: int = 3, cases: int = 12, repeats: int = 2) -> np.ndarray:
    """Values [arms, cases, repeats] around 100 with cases that differ."""
    rng = np.random.default_rng(seed)
    return 100 + 5 * rng.normal(size=(1, cases, 1)) + rng.normal(size=(arms, cases, repeats))
