"""Numbers of the statistics as values for people: None for nan, estimates, sentences on what the data lack."""

from __future__ import annotations

import math

from chatplay.experiments.stats.intervals import FEW_CASES, LEAST_CASES, Bounds
from chatplay.experiments.stats.values import Estimate

ONE_REPEAT = (
    "One repeat a case: what is chance and what belongs to the case cannot be told apart. "
    "A second repeat of each case shows it."
)


def known(value: float) -> float | None:
    """The number, or None when it is nan."""
    return None if math.isnan(value) else float(value)


def estimate(bounds: Bounds, row: int, *, trials: int, unknown: int) -> Estimate:
    """One row of `bounds` as an Estimate."""
    cases = int(bounds.cases[row])
    return Estimate(
        value=known(bounds.mean[row]),
        low=known(bounds.low[row]),
        high=known(bounds.high[row]),
        trials=trials,
        cases=cases,
        unknown=unknown,
        caveats=(f"No interval: it takes at least {LEAST_CASES} cases.",) if 0 < cases < LEAST_CASES else (),
    )


def say_few_cases(cases: int) -> tuple[str, ...]:
    """What is lost with fewer than ten cases; nothing to say otherwise."""
    if not 0 < cases < FEW_CASES:
        return ()
    if cases < LEAST_CASES:
        return (f"{count(cases, 'case')} only: an interval takes at least {LEAST_CASES}.",)
    return (
        f"{count(cases, 'case')} only: intervals are rough below {FEW_CASES}. Those of pass rates come out too wide, "
        "those of uneven times may miss the truth up to twice as often as 1 in 20.",
    )


def count(number: int, noun: str) -> str:
    """ "1 case", "2 cases"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def round_about(number: float) -> int:
    """Up to two leading digits, rounded up: a planned number is no more exact than that."""
    whole = math.ceil(number)
    step = int(10 ** max(len(str(whole)) - 2, 0))
    return math.ceil(whole / step) * step
