"""What experiments are made of, as pages and exports see them: plans, cases, arms, trials, scores, progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from chatplay.experiments.scoring import Rule, Scored
from chatplay.generation.values import AnswerMetrics
from chatplay.params import Params

if TYPE_CHECKING:  # the statistics bring scipy, which the start of the app must not wait for
    from chatplay.experiments.stats.table import Axis, TrialTable
    from chatplay.experiments.stats.values import Winner

State = Literal["draft", "running", "paused", "done", "cancelled"]
TrialState = Literal["waiting", "running", "done", "failed", "cancelled"]
SeedPolicy = Literal["fixed", "varied", "none"]
CellFilter = Literal["all", "arms_differ", "repeats_differ", "failed"]
ExportFormat = Literal["csv", "jsonl", "parquet"]
CodeLanguage = Literal["curl", "python"]
EXPECTED = "expected"  # the column that rules compare with

# ---- the plan ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelRef:
    """A model at an upstream, as the catalog names them."""

    name: str
    upstream: str


@dataclass(frozen=True)
class PromptVersion:
    """One immutable version of a template pair. `number` counts from 1 within `name`."""

    id: int
    name: str
    number: int
    prompt: str
    system_prompt: str
    created_at: datetime

    @property
    def label(self) -> str:
        """How it is called in arms and axes."""
        return f"{self.name} v{self.number}"


@dataclass(frozen=True)
class AxisText:
    """A parameter that varies, as it was typed: `0, 0.5, 1`, `0:1:0.25`, `unset`; see `axes.parse_axis`."""

    param: str
    text: str


@dataclass(frozen=True)
class Caps:
    """Where an experiment pauses by itself; None: no cap. Retries and judgements count, too."""

    max_calls: int | None = None
    max_cost_usd: float | None = None


@dataclass(frozen=True)
class Pace:
    """How hard each upstream is asked, by all workers together. None: the administrator's limit, no rate."""

    calls_at_once: int | None = None
    calls_per_minute: float | None = None
    max_attempts: int = 3


@dataclass(frozen=True)
class Plan:
    """What to run: prompts x models x axes are the grid of arms, times cases, times repeats.

    `base` holds the settings that do not vary (its seed and system prompt do not count: see `seed_policy`, prompts).
    Seeds: `fixed` sends `seed` every time, `varied` another for each case and repeat but the same to every arm,
    `none` leaves it to the server. `chosen` are hashes of arms to run; None: the whole grid.
    """

    prompts: tuple[PromptVersion, ...] = ()
    models: tuple[ModelRef, ...] = ()
    base: Params = field(default_factory=Params)
    axes: tuple[AxisText, ...] = ()
    repeats: int = 3
    seed_policy: SeedPolicy = "varied"
    seed: int = 1
    chosen: frozenset[str] | None = None
    rules: tuple[Rule, ...] = ()
    caps: Caps = field(default_factory=Caps)
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True)
class CaseTable:
    """Cases as pasted or uploaded: column names, and rows of texts of the same length."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, row: int) -> Mapping[str, str]:
        """The columns of row `row` (0-based) by name."""
        return dict(zip(self.columns, self.rows[row], strict=True))


@dataclass(frozen=True)
class Arm:
    """One combination of settings; `number` is its place in the plan (0-based), `hash` identifies its settings.

    `levels` has the label of each thing that varies by name ("prompt", "model", parameters), in the plan's order;
    `label` joins them. `params.system_prompt` is the filled-in-later template.
    """

    number: int
    hash: str
    prompt: PromptVersion
    model: ModelRef
    params: Params
    levels: Mapping[str, str]
    label: str


@dataclass(frozen=True)
class Case:
    """One row of inputs; `number` is its place (0-based)."""

    number: int
    values: Mapping[str, str]


# ---- before the start --------------------------------------------------------------------------


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
    """Why a plan can't start, and which field of the plan it is about."""

    field: str
    message: str
    cure: str = ""


@dataclass(frozen=True)
class Preview:
    """A plan seen from all sides. `arms` is the whole grid, `chosen` the numbers of those that will run."""

    arms: tuple[Arm, ...]
    chosen: tuple[int, ...]
    cases: int
    trials: int
    new_trials: int
    forecast: Forecast | None
    problems: tuple[Problem, ...] = ()


# ---- the experiment ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Experiment:
    """An experiment with its plan. `arms` are empty while it is a draft. `is_mine` is False through a link.

    `paused_because` is a sentence when it paused by itself (a cap, a model that is gone).
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
    is_mine: bool = True


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


@dataclass(frozen=True)
class ArmFigures:
    """One arm while the experiment runs: counts of its trials, and means of those that are done; None without any.

    `passed` is the share that kept every rule.
    """

    arm: int
    trials: int
    done: int
    failed: int
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


# ---- results -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Results:
    """All trials as the statistics take them, with names for the numbers. `axes` lists what varies."""

    table: TrialTable
    arms: tuple[Arm, ...]
    axes: tuple[Axis, ...]
    case_labels: tuple[str, ...]


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
    """A judge model's word on one trial (`score`) or on a pair (`winner`: the arm's side as voted, places undone)."""

    judge: int
    trial_id: int
    against_id: int | None
    swapped: bool
    score: float | None
    winner: Winner | None
    reason: str
    state: TrialState


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
    cost_usd: float | None
    finish_reason: str | None
    error: str | None
    request_id: str | None
    fingerprint: str | None
    sent: str | None


# ---- scores by people and judges ---------------------------------------------------------------


@dataclass(frozen=True)
class ReviewItem:
    """The next answer to score by hand; the arm is not told, so that nobody is swayed. `left` more wait after it."""

    trial_id: int
    case: Case
    prompt: str
    answer: str
    left: int


@dataclass(frozen=True)
class PairItem:
    """Two answers to the same case to choose from, blind and in random places. `left` more pairs after it."""

    left_trial_id: int
    right_trial_id: int
    case: Case
    prompt: str
    left_answer: str
    right_answer: str
    left: int


@dataclass(frozen=True)
class JudgePlan:
    """A model that scores answers after `rubric` (0..1 each), or pairs of answers to the same case.

    With `pairs`, each arm's answers meet those of `baseline` (an arm's number), each pair twice, the second time in
    swapped places. `rubric` may use the case's columns as `{{column}}`.
    """

    model: ModelRef
    rubric: str
    pairs: bool = False
    baseline: int = 0
    params: Params = field(default_factory=lambda: Params(temperature=0.0, max_tokens=512))


@dataclass(frozen=True)
class Judge:
    """A judge that was set to work. `total` calls, `done` of them ended, `unreadable` gave no verdict."""

    number: int
    plan: JudgePlan
    total: int
    done: int
    unreadable: int
    created_at: datetime


@dataclass(frozen=True)
class JudgeColumns:
    """A judge's scores beside the hand scores of the same trials, for `stats.compare_judge`: equally long."""

    judge: tuple[float, ...]
    hand: tuple[float, ...]
    case: tuple[int, ...]


@dataclass(frozen=True)
class Link:
    """A read-only link. `token` is told once, when it is made; later it is None."""

    id: int
    created_at: datetime
    token: str | None = None
