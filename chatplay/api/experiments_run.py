"""`/v1/experiments`, what changes one: create, start, pause, resume, cancel, extend. Each may be sent twice."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from fastapi import APIRouter

from chatplay.api.errors import documented
from chatplay.api.experiments import ExperimentOut, read_experiment
from chatplay.api.experiments_plan import Extension, NewExperiment, Planned, extended, plan_of
from chatplay.api.keys import IdempotencyKey, request_key
from chatplay.api.services import Rt, Threads
from chatplay.api.who import Caller, Chatter
from chatplay.errors import Conflict, NotFound
from chatplay.runtime import Runtime

router = APIRouter(prefix="/v1/experiments", tags=["Experiments"])
Out = TypeVar("Out", bound=ExperimentOut)


class Created(ExperimentOut):
    """A draft, and what it comes to; nothing runs before `start`."""

    planned: Planned


class Extended(ExperimentOut):
    """How it stands now, and how many trials were added or wait again."""

    new_trials: int


@router.post("", status_code=201, responses=documented(404))
async def create_experiment(
    body: NewExperiment, caller: Chatter, rt: Rt, threads: Threads, idempotency_key: IdempotencyKey = None
) -> Created:
    """Plans an experiment and tells how many trials it has, what they will cost and what keeps it from starting."""
    return await threads.run(_create, rt, caller, body, request_key(caller, "experiment", idempotency_key))


@router.post("/{experiment_id}/start", responses=documented(409))
async def start_experiment(experiment_id: UUID, caller: Chatter, rt: Rt, threads: Threads) -> ExperimentOut:
    """Lays out the trials of a draft and lets workers begin. One that has started stays as it is."""
    return await threads.run(_start, rt, caller, experiment_id)


@router.post("/{experiment_id}/pause")
async def pause_experiment(experiment_id: UUID, caller: Chatter, rt: Rt, threads: Threads) -> ExperimentOut:
    """Begins no more calls; those that run end and count."""
    return await threads.run(_after, rt, caller, experiment_id, rt.experiments.pause)


@router.post("/{experiment_id}/resume", responses=documented(409))
async def resume_experiment(experiment_id: UUID, caller: Chatter, rt: Rt, threads: Threads) -> ExperimentOut:
    """Goes on after a pause. Answers 409 when it is over, or a cap still stands in the way."""
    return await threads.run(_after, rt, caller, experiment_id, rt.experiments.resume)


@router.post("/{experiment_id}/cancel", responses=documented(409))
async def cancel_experiment(experiment_id: UUID, caller: Chatter, rt: Rt, threads: Threads) -> ExperimentOut:
    """Stops the calls that run and begins no more; `extend` runs the rest later. Answers 409 when nothing runs."""
    return await threads.run(_cancel, rt, caller, experiment_id)


@router.post("/{experiment_id}/extend", responses=documented(409))
async def extend_experiment(
    experiment_id: UUID, body: Extension, caller: Chatter, rt: Rt, threads: Threads
) -> Extended:
    """More repeats, models, values or cases: what is missing then runs, and what was cancelled; one that is paused goes
    on. Sent again with the `revision` it was first sent with, it is refused (409) instead of adding its cases twice.
    """
    return await threads.run(_extend, rt, caller, experiment_id, body)


def _whose(caller: Caller, experiment_id: UUID) -> dict[str, Any]:
    return {"user_id": caller.user_id, "experiment_id": experiment_id}


def _create(rt: Runtime, caller: Caller, body: NewExperiment, experiment_id: UUID) -> Created:
    try:
        rt.experiments.get(**_whose(caller, experiment_id))  # this very request came before
    except NotFound:
        plan, cases = plan_of(rt, body, user_id=caller.user_id, role=caller.role)
        rt.experiments.create(**_whose(caller, experiment_id), name=body.name, plan=plan, cases=cases)
    planned = rt.experiments.preview(**_whose(caller, experiment_id), role=caller.role)
    return _with(Created, read_experiment(rt, caller, experiment_id), planned=Planned.of(planned))


def _start(rt: Runtime, caller: Caller, experiment_id: UUID) -> ExperimentOut:
    with suppress(Conflict):  # it has started: perhaps by this very request, whose answer was lost
        rt.experiments.start(**_whose(caller, experiment_id), role=caller.role)
    return read_experiment(rt, caller, experiment_id)


def _after(rt: Runtime, caller: Caller, experiment_id: UUID, act: Any) -> ExperimentOut:
    act(**_whose(caller, experiment_id))
    return read_experiment(rt, caller, experiment_id)


def _cancel(rt: Runtime, caller: Caller, experiment_id: UUID) -> ExperimentOut:
    try:
        rt.experiments.cancel(**_whose(caller, experiment_id))
    except Conflict:
        if rt.experiments.get(**_whose(caller, experiment_id)).state != "cancelled":
            raise
    return read_experiment(rt, caller, experiment_id)


def _extend(rt: Runtime, caller: Caller, experiment_id: UUID, body: Extension) -> Extended:
    found = rt.experiments.get(**_whose(caller, experiment_id))
    plan, cases = extended(rt, found.plan, body, role=caller.role)
    revision = found.revision if body.revision is None else body.revision
    new = rt.experiments.extend(
        **_whose(caller, experiment_id), role=caller.role, plan=plan, cases=cases, revision=revision
    )
    return _with(Extended, read_experiment(rt, caller, experiment_id), new_trials=new)


def _with(kind: type[Out], found: ExperimentOut, **more: Any) -> Out:
    return kind(**dict(found), **more)
