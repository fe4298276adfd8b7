"""Figures of results in words: names, units, estimates with intervals, and how each of them is computed; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from chatplay.ui import format as fmt
from chatplay.ui.experiments import words

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import Comparison, Estimate, Metric, Share

TITLES: Mapping[str, str] = {
    "score": "Score",
    "passed": "Passed",
    "ttft_ms": "TTFT",
    "tokens_per_second": "Speed",
    "completion_tokens": "Answer tokens",
    "duration_ms": "Duration",
    "cost_usd": "Cost",
}
AXIS_TITLES: Mapping[str, str] = {
    "score": "Score",
    "passed": "Share that passed",
    "ttft_ms": "TTFT",
    "tokens_per_second": "Speed, tok/s",
    "completion_tokens": "Answer tokens",
    "duration_ms": "Duration",
    "cost_usd": "Cost of a call, US dollars",
}
DEFINITIONS: Mapping[str, str] = {
    "arms": "One row an arm. An interval holds the true mean in 95 of 100 such experiments.",
    "baseline": "Each arm minus the baseline on the same cases. A hollow dot is a difference that may be chance.",
    "settings": "How much of all differences between trials each setting explains, the case asked, and chance.",
    "effects": "The mean over all arms with a value of the setting, one dot a value.",
    "heat": "The mean over all arms with both values; n is the number of trials behind it.",
    "frontier": "Arms that no other arm beats in everything.",
    "votes": "The chance to win a vote against an arm of average strength.",
    "judges": "A judge model's scores beside scores by hand of the same answers.",
}
HOW: Mapping[str, str] = {
    "arms": "The mean of the cases' means, the case being the cluster. Intervals: scores and shares by Wilson at the "
    "effective sample size (Wilson 1927; Korn & Graubard 1998), times, rates and cost by t on the log scale corrected "
    "for skewness (Hall 1992). In simulations they held the truth in 94 to 96 % from ten cases on; with very "
    "heavy tails in 93 to 94 % up to 20 cases, and a pass rate near 0.9 swings "
    "between 92 and 97 % with the number of cases, for a share can only take so many values. "
    "pass@k: Chen et al. 2021, eq. 1; pass^k: Yao et al. 2024; agreement: the chance that "
    "two repeats of a case have the same text (Simpson 1949).",
    "baseline": "The mean of the cases' paired differences with Student's t, cases minus 1 degrees of freedom. Why no "
    "bootstrap: in simulated experiments with a known difference and 10 to 20 cases, 95 % intervals of "
    "percentile and BCa bootstraps over cases held it in 81 to 94 %, these in 94 to 96 %. p is adjusted over all arms "
    "of the figure (Holm 1979), and the words follow the adjusted p at 5 %. The repeats it would take: power 80 % "
    "(Snijders & Bosker 2012, 11.3). Scores lie in 0..1, so intervals of their differences end at -1 and +1, which "
    "changes nothing in how often they hold the truth. Where every case differs by the same amount, p follows from "
    "their number alone (Fisher 1935).",
    "settings": "Analysis of variance of the cells with settings fixed and cases random, components from expected mean "
    "squares (Searle, Casella & McCulloch 1992); intervals from 1,000 bootstrap samples of cases (Hesterberg 2015). "
    "Settings together is what several settings explain only jointly; with one setting there is no such share.",
    "effects": "A case's value is the mean over the level's arms, so every arm counts the same; intervals as in the "
    "table of arms. Dots are means over whole rows of the grid (main effects: Box, Hunter & Hunter 2005, ch. 5).",
    "heat": "Means over all arms with both values, each case counting once; intervals as in the table of arms.",
    "frontier": "The Pareto frontier of the means over the cases that all arms have, looked up again in 2,000 "
    "bootstrap samples of whole cases (Davison & Hinkley 1997, 3.8).",
    "votes": "Bradley & Terry 1952 with ties after Davidson 1970, half a win and half a loss added to each arm; "
    "intervals by Wald, from ten cases on robust against votes on the same case being alike.",
    "judges": "Cohen's kappa (1960; 1968 with quadratic weights) and Spearman's correlation, intervals from the "
    "jackknife over cases (Fleiss & Davies 1982); changed verdicts with Wilson's interval (1927).",
}
_SOURCES = {
    "settings_together": "Settings together",
    "case": "The case",
    "case_by_setting": "Case by setting",
    "chance": "Chance",
}


def number(metric: Metric, value: float | None) -> str:
    """A mean of the metric: `0.82`, `82.1 %`, `145 ms`, `32.5 tok/s`, `34`, `$0.0123`."""
    if value is None:
        return fmt.UNKNOWN
    return _WRITERS[metric](value)


def estimate(metric: Metric, value: Estimate) -> str:
    """`0.82 [0.75, 0.88]`, `145 ms [132, 160]`; without its interval where there is none."""
    if value.value is None or value.low is None or value.high is None:
        return number(metric, value.value)
    if metric in ("ttft_ms", "duration_ms"):
        return fmt.interval(value.value, value.low, value.high)
    if metric == "tokens_per_second":
        return f"{number(metric, value.value)} [{value.low:,.1f}, {value.high:,.1f}]"
    if metric == "completion_tokens":
        digits = _token_digits(value.value)
        return f"{value.value:,.{digits}f} [{value.low:,.{digits}f}, {value.high:,.{digits}f}]"
    if metric == "passed":
        return share(value)
    return f"{number(metric, value.value)} [{number(metric, value.low)}, {number(metric, value.high)}]"


def share(value: Estimate) -> str:
    """`82 % [75, 88]`."""
    if value.value is None:
        return fmt.UNKNOWN
    if value.low is None or value.high is None:
        return f"{100 * value.value:.1f} %"
    return f"{100 * value.value:.1f} % [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def plain(value: Estimate) -> str:
    """Without a unit: `0.62 [0.41, 0.77]`."""
    return estimate("score", value)


def difference(metric: Metric, value: Estimate) -> str:
    """`+12 ms [+3, +20]`; of shares in percentage points."""
    if value.value is None:
        return fmt.UNKNOWN
    unit, factor, digits = _scale(metric, value)
    if metric == "cost_usd":
        texts = [_signed_cost(end) for end in (value.value, value.low, value.high) if end is not None]
    else:
        ends = [end for end in (value.value, value.low, value.high) if end is not None]
        texts = [_signed(round(end / factor, digits), digits) for end in ends]
    interval = f" [{texts[1]}, {texts[2]}]" if len(texts) == 3 else ""
    return f"{texts[0]}{unit}{interval}"


def _token_digits(value: float) -> int:
    """Whole tokens, unless there are so few that a part of one tells."""
    return 0 if abs(value) >= 9.95 else 1


def _scale(metric: Metric, value: Estimate) -> tuple[str, float, int]:
    if metric in ("ttft_ms", "duration_ms"):
        far = abs(value.value or 0.0) >= 999.5
        return (" s", 1000.0, 2) if far else (" ms", 1.0, 0 if abs(value.value or 0.0) >= 10 else 1)
    return {"passed": (" points", 0.01, 1), "tokens_per_second": (" tok/s", 1.0, 1)}.get(
        metric, ("", 1.0, _token_digits(value.value or 0.0) if metric == "completion_tokens" else 2)
    )


def _signed(value: float, digits: int) -> str:
    """`+3`, `-0.20`; what is nothing, or rounds to it, is `0` without a sign."""
    return f"{value:+,.{digits}f}" if value else "0"


def _signed_cost(value: float) -> str:
    return f"{'-' if value < 0 else '+' if value else ''}{fmt.cost(abs(value))}"


def p_value(value: float | None) -> str:
    """`0.012`, `< 0.001`."""
    if value is None:
        return fmt.UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def source(share_of: Share) -> str:
    """What explains a share of the variance."""
    return words.level_name(share_of.name) if share_of.source == "axis" else _SOURCES[share_of.source]


def brief(verdict: str) -> str:
    """A verdict without its reasons, which stand in the table of numbers: it must fit the width of a phone."""
    text = verdict.partition(" (")[0].replace(", about ", ", ~")
    return "can't tell, too small for a test of this size" if text.startswith("can't tell: ") else text


def is_settled(comparison: Comparison) -> bool:
    """Whether the data tell on which side of the baseline the arm is."""
    return comparison.verdict.word not in ("unclear", "unknown")


def caveats(found: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
    """Each caveat once, with the names it holds for where it does not hold for all."""
    rows = [(name, tuple(said)) for name, said in found]
    names: dict[str, list[str]] = {}
    for name, said in rows:
        for one in said:
            names.setdefault(one, []).append(name)
    return [text if len(of) == len(rows) else f"{_some(of)}: {text}" for text, of in names.items()]


def _some(names: list[str]) -> str:
    few = list(dict.fromkeys(names))
    return "; ".join(few[:3]) + (f" and {len(few) - 3:,} more" if len(few) > 3 else "")


_WRITERS: Mapping[str, Callable[[float], str]] = {
    "score": lambda value: f"{value:.2f}",
    "passed": lambda value: f"{100 * value:.1f} %",
    "ttft_ms": fmt.duration,
    "tokens_per_second": fmt.speed,
    "completion_tokens": lambda value: f"{value:,.{_token_digits(value)}f}",
    "cost_usd": fmt.cost,
    "duration_ms": fmt.duration,
}
