"""What came out: results for the statistics, the case table, single trials with all that is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from chatplay.experiments.scoring import Scored
from chatplay.experiments.values.plan import Arm, Case
from chatplay.generation.values import AnswerMetrics

if TYPE_CHECKING:  # the statistics bring scipy, which the start of the app must not wait for
    from chatplay.experiments.stats.table import Axis, TrialTable
    from chatplay.experiments.stats.values import Winner

TrialState = Literal["waiting", "running", "done", "failed", "cancelled"]
CellFilter = Literal["all", "arms_differ", "repeats_differ", "failed", "scored", "not_scored"]
ExportFormat = Literal["csv", "jsonl", "parquet", "zip"]  # zip: the notebook with its data


@dataclass(frozen=True)
class Results:
    """All trials as the statistics take them, with names for the numbers. `axes` lists what varies."""

    table: TrialTable
    arms: tuple[Arm, ...]
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class CellLine:
    """One arm's answers to one case in a few figures. `text` begins the first answer; None: no answer yet."""

    arm: int
    trials: int
    done: int
    failed: int
    distinct_answers: int
    score: float | None
    passed: float | None
    duration_ms: float | None
    text: str | None


@dataclass(frozen=True)
class CaseLine:
    """One row of the case table: the case and a cell for each arm that has trials, in the order of arms."""

    case: Case
    cells: tuple[CellLine, ...]


@dataclass(frozen=True)
class CasePage:
    """Some rows of the case table; `total` rows fit the filter."""

    lines: tuple[CaseLine, ...]
    total: int
    offset: int


@dataclass(frozen=True)
class HandScore:
    """A person's word on an answer: `score` 0..1 (thumbs are 0 and 1)."""

    score: float
    note: str
    user_id: int
    at: datetime


@dataclass(frozen=True)
class Judgement:
    """A judge model's word on one trial (`score`) or on a pair (`winner`: the arm's side as voted, places undone).

    That of a judge that `is_withdrawn` counts in no figure.
    """

    judge: int
    trial_id: int
    against_id: int | None
    swapped: bool
    score: float | None
    winner: Winner | None
    reason: str
    state: TrialState
    is_withdrawn: bool = False


@dataclass(frozen=True)
class Trial:
    """One trial with its answer. Metrics belong to the attempt that ended it, never to one that was retried.

    `rule_scores` come in the order of the plan's rules. `attempt` counts from 1.
    """

    id: int
    arm: int
    case: int
    repeat: int
    state: TrialState
    attempt: int
    generation_id: UUID | None
    answer: str | None
    metrics: AnswerMetrics | None
    score: float | None
    passed: bool | None
    rule_scores: tuple[Scored, ...]
    hand_scores: tuple[HandScore, ...]
    judgements: tuple[Judgement, ...]
    error: str | None


@dataclass(frozen=True)
class TrialPlace:
    """Where a trial stands in a list: trials come by case, then arm, then repeat."""

    case: int
    arm: int
    repeat: int


@dataclass(frozen=True)
class TrialPage:
    """Some trials in order, with the cases they ask by number; `has_more`: others follow the last one."""

    trials: tuple[Trial, ...]
    cases: Mapping[int, Case]
    has_more: bool


@dataclass(frozen=True)
class Cell:
    """All repeats of one arm on one case, side by side, with what was asked."""

    arm: Arm
    case: Case
    prompt: str
    system_prompt: str
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Attempt:
    """One call of a trial: the flight recorder's line. `sent` is the request body as the upstream received it, without
    messages and key, as JSON text.
    """

    generation_id: UUID
    attempt: int
    status: str
    model: str
    model_used: str | None
    started_at: datetime
    ended_at: datetime | None
    ttft_ms: float | None
    duration_ms: float | None
    tokens_per_second: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: float | None
    finish_reason: str | None
    error: str | None
    request_id: str | None
    fingerprint: str | None
    sent: str | None
