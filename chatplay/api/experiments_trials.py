"""`/v1/experiments/{id}/trials`: trials one by one, with what was asked, what was answered and how it was scored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from chatplay.api.cursors import Cursor, read_trial_cursor, write_trial_cursor
from chatplay.api.services import Rt, Threads
from chatplay.api.shapes import TimingsOut, UsageOut, timings_of, usage_of
from chatplay.api.who import Reader
from chatplay.experiments.values import Trial, TrialPage, TrialPlace, TrialState

router = APIRouter(prefix="/v1/experiments", tags=["Experiments"])
_Numbers = list[Annotated[int, Field(ge=0, le=2**31 - 1)]]
_MOST_VALUES = 1_000  # of one filter


def _filter(description: str) -> Any:
    return Query(default_factory=list, max_length=_MOST_VALUES, description=description)


class RuleScoreOut(BaseModel):
    """What one of the plan's rules says; null where there is nothing to hold the answer against."""

    score: float | None
    passed: bool | None
    reason: str


class HandScoreOut(BaseModel):
    """What a person says of the answer, 0 to 1."""

    score: float
    note: str
    at: datetime


class JudgeScoreOut(BaseModel):
    """What judge model number `judge` of the experiment says of the answer by itself, 0 to 1."""

    judge: int
    score: float
    reason: str


class TrialOut(BaseModel):
    """One arm on one case, once. `values` are the case's columns; `arm` and `case` count from 0, as in the export.

    Answer, usage and timings are those of the attempt that ended it, and null before it is done.
    """

    id: int
    arm: int
    case: int
    repeat: int
    state: TrialState
    attempts: int
    values: dict[str, str]
    answer: str | None
    finish_reason: str | None
    error: str | None
    score: float | None
    passed: bool | None
    rule_scores: list[RuleScoreOut]
    hand_scores: list[HandScoreOut]
    judge_scores: list[JudgeScoreOut]
    usage: UsageOut | None
    timings: TimingsOut | None
    generation_id: UUID | None

    @classmethod
    def of(cls, trial: Trial, values: Mapping[str, str]) -> Self:
        metrics = trial.metrics
        alone = [one for one in trial.judgements if one.against_id is None and one.score is not None]
        return cls(
            id=trial.id,
            arm=trial.arm,
            case=trial.case,
            repeat=trial.repeat,
            state=trial.state,
            attempts=trial.attempt,
            values=dict(values),
            answer=trial.answer,
            finish_reason=metrics.finish_reason if metrics else None,
            error=trial.error,
            score=trial.score,
            passed=trial.passed,
            rule_scores=[RuleScoreOut.model_validate(one, from_attributes=True) for one in trial.rule_scores],
            hand_scores=[HandScoreOut.model_validate(one, from_attributes=True) for one in trial.hand_scores],
            judge_scores=[JudgeScoreOut.model_validate(one, from_attributes=True) for one in alone],
            usage=usage_of(metrics) if metrics else None,
            timings=timings_of(metrics) if metrics else None,
            generation_id=trial.generation_id,
        )


class TrialList(BaseModel):
    """A page of trials by case, then arm, then repeat. `next_cursor` is null on the last page."""

    data: list[TrialOut]
    next_cursor: str | None

    @classmethod
    def of(cls, page: TrialPage) -> Self:
        last = page.trials[-1] if page.has_more else None
        return cls(
            data=[TrialOut.of(trial, page.cases[trial.case].values) for trial in page.trials],
            next_cursor=write_trial_cursor(TrialPlace(last.case, last.arm, last.repeat)) if last else None,
        )


@router.get("/{experiment_id}/trials")
async def list_trials(
    experiment_id: UUID,
    caller: Reader,
    rt: Rt,
    threads: Threads,
    arm: Annotated[_Numbers, _filter("Only of these arms, by number.")],
    case: Annotated[_Numbers, _filter("Only of these cases, by number.")],
    state: Annotated[list[TrialState], _filter("Only in one of these states.")],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor = None,
    shared: Annotated[str | None, Query(max_length=200, description="The secret of a read-only link to it.")] = None,
) -> TrialList:
    """Its trials with whole answers, scores and figures, those that have not run yet among them.

    `arm`, `case` and `state` may be given several times each: any of the values fits.
    """
    page = await threads.run(
        rt.experiments.list_trials,
        user_id=caller.user_id,
        experiment_id=experiment_id,
        token=shared,
        arms=arm,
        cases=case,
        states=state,
        after=read_trial_cursor(cursor) if cursor else None,
        limit=limit,
    )
    return TrialList.of(page)
