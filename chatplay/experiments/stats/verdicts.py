"""Better, worse, or can't tell yet: plain words for one comparison, and what would settle an open one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri, stdtrit

from chatplay.experiments.stats.intervals import LEAST_CASES
from chatplay.experiments.stats.values import HIGHER_IS_BETTER, LOWER_IS_BETTER, Metric, Verdict, Word
from chatplay.experiments.stats.words import count, round_about

ALPHA = 0.05
_POWER_Z = float(ndtri(0.8))
_MOST_REPEATS = 50
_MOST_TIMES_CASES = 20
_MOST_CASES = 1000


@dataclass(frozen=True)
class Evidence:
    """One comparison: `error` is the standard error of `difference` over `cases` cases of `repeats` repeats.

    `chance_variance` is the sum of both arms' variances between repeats of a case; None without repeats.
    `open_arms` are the comparisons of the metric that stay open after Holm's adjustment, this one among them.
    """

    metric: Metric
    cases: int
    difference: float | None
    error: float | None
    p_value: float | None
    p_adjusted: float | None
    chance_variance: float | None
    repeats: float | None
    open_arms: int = 1

    @property
    def is_alike(self) -> bool:
        """All cases differ by the same amount, and not by nothing."""
        return self.error == 0 and bool(self.difference)


def judge(evidence: Evidence) -> Verdict:
    """The verdict at 5 % after adjustment."""
    if not evidence.cases or evidence.difference is None:
        return Verdict("unknown", "nothing to compare: no case has a value from both arms")
    if evidence.p_adjusted is None:
        missing = LEAST_CASES - evidence.cases
        return Verdict("unclear", f"can't tell yet, it takes at least {count(missing, 'more case')}", None, missing)
    if evidence.p_adjusted < ALPHA:
        word = _direction(evidence.metric, evidence.difference)
        return Verdict(word, word)
    return _open(evidence)


def _direction(metric: Metric, difference: float) -> Word:
    if metric in HIGHER_IS_BETTER:
        return "better" if difference > 0 else "worse"
    if metric in LOWER_IS_BETTER:
        return "better" if difference < 0 else "worse"
    return "higher" if difference > 0 else "lower"


def _open(evidence: Evidence) -> Verdict:
    repeats, cases = plan_repeats(evidence), plan_cases(evidence)
    if repeats is not None:
        return Verdict("unclear", f"can't tell yet, about {count(repeats, 'more repeat')} would settle it", repeats)
    if cases is None:
        return Verdict("unclear", "can't tell: if there is a difference, it is too small for a test of this size")
    text = f"can't tell yet, about {count(cases, 'more case')} would settle it{_say_of_repeats(evidence)}"
    return Verdict("unclear", text, None, cases)


def _say_of_repeats(evidence: Evidence) -> str:
    if evidence.is_alike:
        return " (more repeats would not: every case differs by the same amount)"
    if evidence.chance_variance is None:
        return " (with one repeat it cannot be said whether repeats would)"
    if not _repeats_help(evidence):
        return " (more repeats would not: the difference varies from case to case)"
    return ""


def plan_repeats(evidence: Evidence) -> int | None:
    """More repeats of each case after which a difference as large as this one shows in 4 of 5 experiments.

    The variance of a mean difference is (between + chance / repeats) / cases; only its second part shrinks with
    repeats (Snijders & Bosker 2012, Multilevel Analysis, 11.3). None when the first alone is too large, when
    repeats would have to be more than 50, when there is one repeat and the parts are not known, or when all cases
    differ by the same amount: p then follows from their number alone.
    """
    wanted = _wanted_variance(evidence)
    if evidence.is_alike or wanted is None or evidence.chance_variance is None or evidence.repeats is None:
        return None
    room = wanted * evidence.cases - _between(evidence)
    if room <= 0:
        return None
    total = evidence.chance_variance / room
    return round_about(max(total - evidence.repeats, 1)) if total <= _MOST_REPEATS else None


def plan_cases(evidence: Evidence) -> int | None:
    """More cases, with as many repeats as now, to the same end; None above 1,000 or 20 times as many as now.

    Where all cases differ by the same amount: up to `least_alike_cases`.
    """
    if evidence.is_alike:
        return least_alike_cases(evidence.open_arms) - evidence.cases
    wanted = _wanted_variance(evidence)
    if wanted is None or evidence.error is None:
        return None
    total = evidence.error**2 * evidence.cases / wanted
    if total > max(_MOST_CASES, _MOST_TIMES_CASES * evidence.cases):
        return None
    return round_about(max(total - evidence.cases, 1))


def least_alike_cases(open_arms: int) -> int:
    """How many cases tell a difference that is the same in all of them from chance.

    If chance gave the signs, all C of them would be alike with p = 2^(1 - C) (the test by turning signs of Fisher
    1935, The Design of Experiments, 21). Holm holds the first of m open arms to alpha / m, so 2^(1 - C) < alpha / m,
    which is C > 1 + log2(m / alpha): 6 cases for one arm, 7 for three.
    """
    return math.ceil(1 + math.log2(open_arms / ALPHA))


def _between(evidence: Evidence) -> float:
    """The variance of the cases' true differences: what repeats cannot shrink."""
    if evidence.error is None or evidence.chance_variance is None or evidence.repeats is None:
        return 0.0
    return max(evidence.error**2 * evidence.cases - evidence.chance_variance / evidence.repeats, 0.0)


def _repeats_help(evidence: Evidence) -> bool:
    wanted = _wanted_variance(evidence)
    return wanted is not None and wanted * evidence.cases > _between(evidence)


def _wanted_variance(evidence: Evidence) -> float | None:
    """The squared standard error at which |difference| is found with power 0.8 at the level Holm left for it."""
    if not evidence.difference or evidence.p_value is None or evidence.p_adjusted is None:
        return None
    factor = evidence.p_adjusted / evidence.p_value if 0 < evidence.p_value < 1 else 1.0
    critical = float(stdtrit(evidence.cases - 1, 1 - ALPHA / 2 / max(factor, 1.0)))
    return (abs(evidence.difference) / (critical + _POWER_Z)) ** 2
