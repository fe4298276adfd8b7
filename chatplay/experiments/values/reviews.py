"""Scores by people and judge models, and links for readers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from chatplay.experiments.values.plan import Case, ModelRef
from chatplay.params import Params


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
    """A judge that was set to work. `total` calls, `done` of them ended, `unreadable` gave no verdict, `verdicts` did.

    Verdicts of one that `is_withdrawn` stay in files and with their answers, and count in no figure.
    """

    number: int
    plan: JudgePlan
    total: int
    done: int
    unreadable: int
    verdicts: int
    is_withdrawn: bool
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
