"""An experiment as it goes: its state, how far it is, first figures, what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from chatplay.experiments.values.plan import Arm, Plan

State = Literal["draft", "running", "paused", "done", "cancelled"]
_OVER = ("done", "cancelled")


@dataclass(frozen=True)
class Experiment:
    """An experiment with its plan. `arms` are empty while it is a draft. `is_mine` is False through a link.

    `paused_because` is a sentence when it paused by itself (a cap, a model that is gone). `revision` moves with each
    change of the plan.
    """

    id: UUID
    name: str
    state: State
    plan: Plan
    arms: tuple[Arm, ...]
    cases: int
    case_columns: tuple[str, ...]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    paused_because: str | None
    revision: int
    is_mine: bool = True

    @property
    def is_over(self) -> bool:
        return self.state in _OVER


@dataclass(frozen=True)
class ExperimentLine:
    """One line of the list of experiments. `trials` and `ended` count trials, not judgements."""

    id: UUID
    name: str
    state: State
    arms: int
    cases: int
    trials: int
    ended: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Progress:
    """How far it is. Counts are of trials; `judgements_*` of a judge's calls. `cost_usd`: known costs of all calls,
    `unknown_costs` calls had none. `left_sec` is None while nothing can be said.
    """

    state: State
    paused_because: str | None
    waiting: int
    running: int
    done: int
    failed: int
    cancelled: int
    judgements_left: int
    judgements_done: int
    calls: int
    retries: int
    cost_usd: float
    unknown_costs: int
    trials_per_sec: float | None
    left_sec: float | None

    @property
    def trials(self) -> int:
        return self.waiting + self.running + self.done + self.failed + self.cancelled

    @property
    def is_over(self) -> bool:
        return self.state in _OVER


@dataclass(frozen=True)
class Standstill:
    """Why calls wait and none begins: no worker is up (`has_workers` False), or none of those that are up takes calls
    to `upstreams`.
    """

    has_workers: bool
    upstreams: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """`marks` stay the same as long as the results do: what is computed from them may be kept under these."""

    progress: Progress
    marks: str


@dataclass(frozen=True)
class ArmFigures:
    """One arm while the experiment runs: counts of its trials, and means of those that are done; None without any.

    `passed` is the share that kept every rule. `cut_off`: done trials whose answer was as long as it might be.
    """

    arm: int
    trials: int
    done: int
    failed: int
    cut_off: int
    score: float | None
    passed: float | None
    ttft_ms: float | None
    tokens_per_second: float | None
    duration_ms: float | None
    completion_tokens: float | None
    cost_usd: float | None


@dataclass(frozen=True)
class ErrorGroup:
    """Trials that failed for one reason, and what to do about it; "" where nothing was noted."""

    message: str
    cure: str
    trials: int
    arms: tuple[int, ...]
