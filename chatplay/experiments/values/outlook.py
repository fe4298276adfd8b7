"""What a plan will take, and what keeps it from starting."""

from __future__ import annotations

from dataclasses import dataclass

from chatplay.experiments.values.plan import Arm, ModelRef


@dataclass(frozen=True)
class Figure:
    """An expected total with the interval in which 95 of 100 such runs would lie."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ModelForecast:
    """What one model is expected to take; None is unknown. `measured_calls` stored calls stand behind it."""

    model: ModelRef
    calls: int
    measured_calls: int
    prompt_tokens: Figure | None
    completion_tokens: Figure | None
    cost_usd: Figure | None
    duration_sec: Figure | None


@dataclass(frozen=True)
class Forecast:
    """Calls, tokens, cost and time of what is still to run. A total is None when a part of it is unknown.

    `most_cost_usd` is what it can cost at most: every answer as long as max tokens lets it. `notes` are sentences
    for the person: what is unknown and why.
    """

    calls: int
    prompt_tokens: Figure | None
    completion_tokens: Figure | None
    cost_usd: Figure | None
    most_cost_usd: float | None
    duration_sec: Figure | None
    models: tuple[ModelForecast, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """Why a plan can't start, or what may not be meant in it, and which field of the plan it is about."""

    field: str
    message: str
    cure: str = ""


@dataclass(frozen=True)
class Preview:
    """A plan seen from all sides. `arms` is the whole grid, `chosen` the numbers of those that will run.

    It starts without `problems`; `warnings` keep it from nothing.
    """

    arms: tuple[Arm, ...]
    chosen: tuple[int, ...]
    cases: int
    trials: int
    new_trials: int
    forecast: Forecast | None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
