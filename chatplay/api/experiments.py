"""`/v1/experiments`: your experiments as programs read them: how far they are, figures by arm, all trials as a file."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from chatplay import params as parameters
from chatplay.api.cursors import Cursor, read_cursor, write_cursor
from chatplay.api.downloads import Download, documented_files
from chatplay.api.services import Rt, Threads
from chatplay.api.who import Caller, Reader, seating
from chatplay.experiments.values import Arm, ArmFigures, Experiment, ExperimentLine, ExportFormat, Progress, State
from chatplay.runtime import Runtime

router = APIRouter(prefix="/v1/experiments", tags=["Experiments"])


class ExperimentRow(BaseModel):
    """An experiment in a list. `ended` of its `trials` are over."""

    id: UUID
    name: str
    state: State
    arms: int
    cases: int
    trials: int
    ended: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, line: ExperimentLine) -> Self:
        return cls.model_validate(line, from_attributes=True)


class ExperimentList(BaseModel):
    """A page of experiments, touched last first. `next_cursor` is null on the last page."""

    data: list[ExperimentRow]
    next_cursor: str | None


class ArmOut(BaseModel):
    """One combination of settings, and means of its trials that are done; null without any."""

    number: int
    label: str
    model: str
    upstream: str
    params: dict[str, Any]
    trials: int = 0
    done: int = 0
    failed: int = 0
    score: float | None = None
    passed: float | None = None
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    duration_ms: float | None = None
    completion_tokens: float | None = None
    cost_usd: float | None = None

    @classmethod
    def of(cls, arm: Arm, figures: ArmFigures | None) -> Self:
        known = {} if figures is None else {name: value for name, value in asdict(figures).items() if name != "arm"}
        settings = parameters.to_json(arm.params)
        return cls(
            number=arm.number,
            label=arm.label,
            model=arm.model.name,
            upstream=arm.model.upstream,
            params=settings,
            **known,
        )


class ProgressOut(BaseModel):
    """How far it is: trials by what became of them, judges' calls, and what all calls cost."""

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

    @classmethod
    def of(cls, progress: Progress) -> Self:
        return cls.model_validate(progress, from_attributes=True)


class ExperimentOut(BaseModel):
    """An experiment, how far it is and its arms; they are empty while it is a draft. `revision` moves with each change
    of its plan.
    """

    id: UUID
    name: str
    state: State
    paused_because: str | None
    cases: int
    case_columns: list[str]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    revision: int
    progress: ProgressOut
    arms: list[ArmOut]

    @classmethod
    def of(cls, found: Experiment, progress: Progress, figures: list[ArmFigures]) -> Self:
        by_arm = {one.arm: one for one in figures}
        own = {name: getattr(found, name) for name in cls.model_fields if name not in ("progress", "arms")}
        arms = [ArmOut.of(arm, by_arm.get(arm.number)) for arm in found.arms]
        return cls(**own, progress=ProgressOut.of(progress), arms=arms)


@router.get("")
async def list_experiments(
    caller: Reader,
    rt: Rt,
    threads: Threads,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor = None,
) -> ExperimentList:
    """Your experiments, drafts among them."""
    before = read_cursor(cursor) if cursor else None
    lines = await threads.run(rt.experiments.list_experiments, user_id=caller.user_id, limit=limit + 1, before=before)
    shown = lines[:limit]
    return ExperimentList(
        data=[ExperimentRow.of(line) for line in shown],
        next_cursor=write_cursor(shown[-1].updated_at, shown[-1].id) if len(lines) > limit else None,
    )


@router.get("/{experiment_id}")
async def get_experiment(experiment_id: UUID, caller: Reader, rt: Rt, threads: Threads) -> ExperimentOut:
    """One of yours with its progress and the figures of its arms so far. May be asked every second."""
    return await threads.run(read_experiment, rt, caller, experiment_id)


@router.get(
    "/{experiment_id}/export",
    response_class=Response,
    responses={200: documented_files("csv", "jsonl", "parquet", "zip")},
)
async def export_experiment(
    experiment_id: UUID,
    request: Request,
    caller: Reader,
    rt: Rt,
    threads: Threads,
    format: ExportFormat = "csv",
    name: Annotated[str, Query(pattern="^[a-z0-9-]{1,60}$", description="Of the file, without its ending.")] = "trials",
    shared: Annotated[str | None, Query(max_length=200, description="The secret of a read-only link to it.")] = None,
) -> Response:
    """All its trials with settings, cases, answers, figures and scores, written while they are sent; as `zip` with a
    Jupyter notebook that computes every figure again.
    """
    whose: dict[str, Any] = {"user_id": caller.user_id, "experiment_id": experiment_id, "token": shared}
    pieces = await threads.run(rt.experiments.export, **whose, fmt=format)
    slow_reader_sec = rt.settings.api_slow_reader_sec
    sit = seating(threads, rt, request, caller, "read")
    return Download(pieces, services=threads, name=name, format=format, slow_reader_sec=slow_reader_sec, sit=sit)


def read_experiment(rt: Runtime, caller: Caller, experiment_id: UUID) -> ExperimentOut:
    """As `get_experiment` answers. Raises NotFound."""
    whose: dict[str, Any] = {"user_id": caller.user_id, "experiment_id": experiment_id}
    found, progress = rt.experiments.get(**whose), rt.experiments.get_progress(**whose)
    return ExperimentOut.of(found, progress, rt.experiments.list_arm_figures(**whose))
