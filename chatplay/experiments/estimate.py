"""What a plan will take, from stored calls of its models: calls, tokens, cost and time, each with its uncertainty.

Prompts are counted from the filled templates; answers and times are those that the same models had before. What no
stored call tells stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from chatplay.errors import BadInput
from chatplay.experiments.plan import messages_for
from chatplay.experiments.values import Arm, Figure, Forecast, ModelForecast, ModelRef, Pace
from chatplay.models.catalog import ModelInfo
from chatplay.prices import Price, cost_usd
from chatplay.providers.base import Message, Usage
from db.trial_reads import Measured

_SAMPLE_CASES = 60
_Z = 1.96
_PER = 1_000_000
Count = Callable[[ModelInfo, Sequence[Message]], float]  # tokens of a prompt


@dataclass(frozen=True)
class Limits:
    """How many calls a worker makes at once, and all workers together at one upstream."""

    worker_calls: int
    upstream_calls: int


@dataclass(frozen=True)
class Work:
    """What is to be run: calls of each arm, and the cases they are about."""

    arms: Sequence[Arm]
    calls_of_arm: Mapping[int, int]
    cases: Sequence[Mapping[str, str]]


def forecast(
    work: Work,
    *,
    models: Mapping[ModelRef, ModelInfo | None],
    measured: Mapping[ModelRef, Sequence[Measured]],
    count: Count,
    pace: Pace,
    limits: Limits,
) -> Forecast:
    """The whole of it and each model's part."""
    arms_of: dict[ModelRef, list[Arm]] = {}
    for arm in work.arms:
        if work.calls_of_arm.get(arm.number):
            arms_of.setdefault(arm.model, []).append(arm)
    parts, most, longest = [], [], []
    for model, arms in arms_of.items():
        known = measured.get(model, ())
        parts.append(_part(model, arms, work, models.get(model), known, count))
        longest.append(longest_of_calls(_seconds(known), parts[-1].calls))
        most.append(_most_cost(arms, work, models.get(model), count))
    return Forecast(
        calls=sum(part.calls for part in parts),
        prompt_tokens=total(part.prompt_tokens for part in parts),
        completion_tokens=total(part.completion_tokens for part in parts),
        cost_usd=total(part.cost_usd for part in parts),
        most_cost_usd=None if None in most else sum(value for value in most if value is not None),
        duration_sec=_together(parts, longest, pace, limits),
        models=tuple(parts),
        notes=tuple(_notes(parts, models)),
    )


def _part(
    model: ModelRef,
    arms: Sequence[Arm],
    work: Work,
    info: ModelInfo | None,
    known: Sequence[Measured],
    count: Count,
) -> ModelForecast:
    prompt = total(_prompt_tokens(arm, work, info, count) for arm in arms)
    completion = total(_completion_tokens(arm, work, known) for arm in arms)
    calls = sum(work.calls_of_arm[arm.number] for arm in arms)
    return ModelForecast(
        model=model,
        calls=calls,
        measured_calls=len(known),
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost_usd=_cost(prompt, completion, info.price if info else None),
        duration_sec=sum_of_calls(_seconds(known), calls),
    )


def _seconds(known: Sequence[Measured]) -> list[float]:
    return [one.duration_ms / 1000 for one in known if one.duration_ms is not None]


def sum_of_calls(values: Sequence[float], calls: int, *, most: float = math.inf) -> Figure | None:
    """The sum over `calls` future calls like the measured ones; None without any.

    95 % prediction interval of a sum of N from a sample of n: N m +- 1.96 s sqrt(N + N^2/n), N times that of
    the mean of N future values (Hahn & Meeker 1991, Statistical Intervals, ch. 4). Of a single measured call nothing
    can be said but 0 and `most` a call.
    """
    if not values:
        return None
    mean = fmean(values)
    if len(values) == 1:
        return Figure(mean * calls, 0.0, max(most * calls, mean * calls))
    half = _Z * stdev(values) * math.sqrt(calls + calls * calls / len(values))
    return Figure(mean * calls, max(mean * calls - half, 0.0), min(mean * calls + half, most * calls))


def longest_of_calls(values: Sequence[float], calls: int) -> Figure | None:
    """The longest of `calls` future calls like the measured ones: its median and the ends of 95 %; None without any.

    All of N stay below x with the probability F(x)^N, where F are the measured calls (David & Nagaraja 2003,
    Order Statistics, 2.1). Of a single one nothing can be said but 0 below it.
    """
    if not values or not calls:
        return None
    ordered = sorted(values)

    def at(probability: float) -> float:
        return ordered[math.ceil(math.pow(probability, 1 / calls) * len(ordered)) - 1]

    return Figure(at(0.5), 0.0 if len(values) == 1 else at(0.025), at(0.975))


def total(figures: Iterable[Figure | None]) -> Figure | None:
    """The sum; None when a part is unknown. Ends are added: the same model is off in the same direction everywhere."""
    parts = list(figures)
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not parts:
        return None
    return Figure(sum(p.value for p in known), sum(p.low for p in known), sum(p.high for p in known))


def _prompt_tokens(arm: Arm, work: Work, info: ModelInfo | None, count: Count) -> Figure | None:
    if info is None:
        return None
    counted, calls = _sampled(arm, work, info, count), work.calls_of_arm[arm.number]
    if counted and len(counted) == len(work.cases):  # all of them: nothing is left to chance
        sum_of_all = fmean(counted) * calls
        return Figure(sum_of_all, sum_of_all, sum_of_all)
    return sum_of_calls(counted, calls)


def _sampled(arm: Arm, work: Work, info: ModelInfo, count: Count) -> list[float]:
    """Tokens of the arm's prompts for cases spread evenly over all."""
    step = max(len(work.cases) // _SAMPLE_CASES, 1)
    found = []
    for values in work.cases[::step]:
        try:
            found.append(count(info, messages_for(arm, values, system=info.supports_system_prompt)))
        except BadInput:  # a column is missing: the plan's problems say so
            continue
    return found


def _completion_tokens(arm: Arm, work: Work, known: Sequence[Measured]) -> Figure | None:
    most = float(arm.params.max_tokens) if arm.params.max_tokens is not None else math.inf
    tokens = [min(float(one.completion_tokens), most) for one in known if one.completion_tokens is not None]
    return sum_of_calls(tokens, work.calls_of_arm[arm.number], most=most)


def _cost(prompt: Figure | None, completion: Figure | None, price: Price | None) -> Figure | None:
    if price is None or (price.input_usd == 0 and price.output_usd == 0):
        return None if price is None else Figure(0.0, 0.0, 0.0)
    if prompt is None or completion is None:
        return None

    def cost(prompt_tokens: float, completion_tokens: float) -> float:
        return (prompt_tokens * price.input_usd + completion_tokens * price.output_usd) / _PER

    return Figure(
        cost(prompt.value, completion.value), cost(prompt.low, completion.low), cost(prompt.high, completion.high)
    )


def _most_cost(arms: Sequence[Arm], work: Work, info: ModelInfo | None, count: Count) -> float | None:
    if info is None or info.price is None:
        return None
    most = 0.0
    for arm in arms:
        longest = max(_sampled(arm, work, info, count), default=0.0)
        answer = arm.params.max_tokens or info.context_tokens
        if answer is None:
            return None
        cost = cost_usd(Usage(math.ceil(longest), answer), info.price) or 0.0
        most += cost * work.calls_of_arm[arm.number]
    return most


def _together(
    parts: Sequence[ModelForecast], longest: Iterable[Figure | None], pace: Pace, limits: Limits
) -> Figure | None:
    """Upstreams work beside each other, at most `worker_calls` in all with one worker; however many calls are made at
    once, nothing ends before the longest.
    """
    if any(part.duration_sec is None for part in parts) or not parts:
        return None
    at_once = min(pace.calls_at_once or limits.upstream_calls, limits.upstream_calls, limits.worker_calls)
    by_upstream: dict[str, list[ModelForecast]] = {}
    for part in parts:
        by_upstream.setdefault(part.model.upstream, []).append(part)
    ends = []
    for mine in by_upstream.values():
        work = total(part.duration_sec for part in mine)
        assert work is not None
        rated = sum(part.calls for part in mine) * 60 / pace.calls_per_minute if pace.calls_per_minute else 0.0
        ends.append(Figure(*(max(value / at_once, rated) for value in (work.value, work.low, work.high))))
    whole = total(part.duration_sec for part in parts)
    assert whole is not None
    ends.append(Figure(*(value / limits.worker_calls for value in (whole.value, whole.low, whole.high))))
    ends += [one for one in longest if one is not None]
    return Figure(max(end.value for end in ends), max(end.low for end in ends), max(end.high for end in ends))


def _notes(parts: Sequence[ModelForecast], models: Mapping[ModelRef, ModelInfo | None]) -> Iterable[str]:
    for part in parts:
        info = models.get(part.model)
        if not part.measured_calls:
            yield f"No stored call of `{part.model.name}` yet: its answers' length and time are not known."
        elif part.measured_calls < 10:
            calls = "one stored call" if part.measured_calls == 1 else f"{part.measured_calls} stored calls"
            yield f"Only {calls} of `{part.model.name}`: the interval is rough."
        if info is not None and info.price is None:
            yield f"The price of `{part.model.name}` is not known, so the cost is not."
