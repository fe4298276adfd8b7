"""What the statistics of experiments answer with: frozen values, None where a thing cannot be known.

Arms, cases and axes' levels are numbers (their places in the plan); pages put names to them. All intervals
are 95 % intervals. `caveats` are sentences for the person who reads the figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Metric = Literal["score", "passed", "ttft_ms", "tokens_per_second", "completion_tokens", "cost_usd", "duration_ms"]
METRICS: tuple[Metric, ...] = (
    "score",
    "passed",
    "ttft_ms",
    "tokens_per_second",
    "completion_tokens",
    "cost_usd",
    "duration_ms",
)
# How many tokens an answer has is neither good nor bad; what they cost is in `cost_usd` and `duration_ms`.
HIGHER_IS_BETTER: frozenset[Metric] = frozenset({"score", "passed", "tokens_per_second"})
LOWER_IS_BETTER: frozenset[Metric] = frozenset({"ttft_ms", "cost_usd", "duration_ms"})

Word = Literal["better", "worse", "higher", "lower", "unclear", "unknown"]
Source = Literal["axis", "settings_together", "case", "case_by_setting", "chance"]
Winner = Literal["left", "right", "tie", "neither"]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval. `low` and `high` are None when the data cannot give one.

    `trials` with a known value from `cases` different cases stand behind it; `unknown` trials had none.
    """

    value: float | None
    low: float | None
    high: float | None
    trials: int
    cases: int
    unknown: int = 0
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class PassAtK:
    """`at_least_one`: pass@k, one of k answers passes. `all_of_them`: pass^k, each of k answers passes."""

    k: int
    at_least_one: Estimate
    all_of_them: Estimate


@dataclass(frozen=True)
class RepeatAgreement:
    """How alike the answers to one case are. `same_share`: two repeats of a case have the same text.

    `distinct_mean` is the mean number of distinct answers of a case, `repeats_mean` of how many repeats;
    `all_same_cases` of `same_share.cases` cases had one answer only.
    """

    same_share: Estimate
    distinct_mean: float | None
    repeats_mean: float | None
    all_same_cases: int


@dataclass(frozen=True)
class AnswerGroup:
    """Repeats of one cell with the same answer, the largest group first; `repeats` are repeat numbers."""

    answer: int
    repeats: tuple[int, ...]


@dataclass(frozen=True)
class ArmSummary:
    """One row of the table of arms. `trials` are all rows of the arm, with or without values."""

    arm: int
    trials: int
    cases: int
    score: Estimate
    passed: Estimate
    ttft_ms: Estimate
    tokens_per_second: Estimate
    completion_tokens: Estimate
    cost_usd: Estimate
    duration_ms: Estimate
    pass_at: tuple[PassAtK, ...]
    agreement: RepeatAgreement
    caveats: tuple[str, ...] = ()

    def estimate(self, metric: Metric) -> Estimate:
        """The arm's mean of `metric`."""
        found: Estimate = getattr(self, metric)
        return found


@dataclass(frozen=True)
class Verdict:
    """What may be said of an arm beside its baseline.

    `word`: `better` or `worse` (for a metric that is neither good nor bad: `higher`, `lower`), `unclear` when
    the data do not tell yet, `unknown` when there is nothing to compare. `text` is the whole sentence.
    `more_repeats` and `more_cases` are what would probably settle it (at most one of them is set; both None:
    settled, or the difference is too small to be worth the runs).
    """

    word: Word
    text: str
    more_repeats: int | None = None
    more_cases: int | None = None


@dataclass(frozen=True)
class Comparison:
    """An arm against the baseline, on the cases that both know.

    `difference` is arm minus baseline in the metric's unit, its interval for this comparison alone (none where all
    cases differ by the same amount and are too few to tell that from chance);
    `baseline_mean` is the baseline's mean over those same cases. `p_value` is two-sided, `p_adjusted` the
    same after Holm over all arms of this metric; the verdict follows `p_adjusted`.
    """

    metric: Metric
    arm: int
    baseline: int
    difference: Estimate
    baseline_mean: float | None
    p_value: float | None
    p_adjusted: float | None
    verdict: Verdict
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Share:
    """How much of a metric's variance one source explains (0..1). `name` is the axis' name, else ""."""

    source: Source
    name: str
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class VarianceShares:
    """All sources, axes first; known shares add up to 1. Behind them: `arms` x `cases` complete cells."""

    metric: Metric
    shares: tuple[Share, ...]
    arms: int
    cases: int
    trials: int
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class LevelMean:
    """The mean over all arms with this level of the axis."""

    level: int
    estimate: Estimate


@dataclass(frozen=True)
class HeatCell:
    """The mean over all arms with these two levels; `estimate.trials` is its n."""

    row: int
    column: int
    estimate: Estimate


@dataclass(frozen=True)
class FrontierArm:
    """One arm among quality, cost and latency (their means over the cases that all arms know).

    `on_frontier`: no other arm is at least as good in everything and better in something. `probability` is how
    often that held in the bootstrap. All None when the arm has no value for one of the objectives.
    """

    arm: int
    quality: float | None
    cost: float | None
    latency: float | None
    on_frontier: bool | None
    probability: float | None


@dataclass(frozen=True)
class Frontier:
    """`objectives` are the metrics that were compared; one that no arm knows is left out (see `caveats`)."""

    arms: tuple[FrontierArm, ...]
    objectives: tuple[Metric, ...]
    cases: int
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vote:
    """One blind vote between two arms on one case. `neither` (both bad) counts as a tie."""

    left: int
    right: int
    winner: Winner
    case: int | None = None


@dataclass(frozen=True)
class Choice:
    """One vote among two or more answers to one case: `arms` are theirs, `winner` the place of the best in it, None
    for a tie of all. Two answers may be of one arm.
    """

    arms: tuple[int, ...]
    winner: int | None
    case: int | None = None


@dataclass(frozen=True)
class Strength:
    """An arm's place in the votes of its group.

    `win_chance` is the chance to win a vote that is no tie against an arm of the group's average strength, with
    its 95 % interval; `log_strength` the same on the log-odds scale of the model. `rank` begins at 1.
    """

    arm: int
    group: int
    rank: int
    log_strength: float
    win_chance: float
    low: float
    high: float
    votes: int
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Ranking:
    """Strengths, the strongest of each group first. Arms of different groups were never linked by votes.

    `tie_strength` is Davidson's nu (0: no ties). `unvoted` arms were in no vote.
    """

    strengths: tuple[Strength, ...]
    groups: int
    tie_strength: float
    unvoted: tuple[int, ...]
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class JudgeAgreement:
    """A judge's scores beside scores by hand for the same answers.

    `kappa` is Cohen's, None when the scores are not a few steps (or all the same); `weighted`: its weights are
    quadratic (ordered steps). `correlation` is Spearman's. `bias` is judge minus hand.
    """

    pairs: int
    same_share: Estimate
    kappa: Estimate
    weighted: bool
    correlation: Estimate
    bias: Estimate
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class SwapConsistency:
    """A judge asked twice about the same two answers, the second time in the other order.

    `inconsistent_share`: it named another winner. `first_place_share`: among those, how often it preferred
    whichever stood first both times (0.5: no lean to a place).
    """

    pairs: int
    inconsistent_share: Estimate
    first_place_share: Estimate
    caveats: tuple[str, ...] = ()
