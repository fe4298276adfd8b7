"""`/v1/models/running` and what each model can take."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from chatplay.api.services import Rt
from chatplay.api.who import Reader
from chatplay.errors import StoreUnavailable

router = APIRouter(tags=["Models"])


class ModelConstraints(BaseModel):
    """What a model can take; null where its server does not say."""

    served_model_name: str
    engine_type: str
    task: str
    context_size: int | None
    max_model_len: int | None
    max_tokens_default: int
    request_defaults: dict[str, Any] | None
    supports_streaming: bool
    supports_system_prompt: bool


class RunningModel(ModelConstraints):
    """A model that runs, and at which upstream."""

    upstream: str
    is_default: bool


class RunningModels(BaseModel):
    """`message` and `cure` say why when `data` is empty."""

    data: list[RunningModel]
    message: str
    cure: str


@router.get("/v1/models/running")
async def list_running_models(caller: Reader, rt: Rt) -> RunningModels:
    """The models that run and are open to you, the default one first."""
    status = rt.catalog.status(caller.role)
    if status.why == "database unreachable":
        raise StoreUnavailable(status.message, cure=status.cure)
    models = [
        RunningModel(**asdict(rt.catalog.constraints(info)), upstream=info.upstream, is_default=place == 0)
        for place, info in enumerate(rt.catalog.list_running(caller.role))
    ]
    return RunningModels(data=models, message=status.message, cure=status.cure)


@router.get("/v1/models/{name:path}/constraints")
async def get_model_constraints(
    name: str,
    caller: Reader,
    rt: Rt,
    upstream: Annotated[str | None, Query(description="Where several servers have a model of this name.")] = None,
) -> ModelConstraints:
    """Context limits and defaults of one model, whether it runs or not."""
    info = rt.catalog.get(name, role=caller.role, upstream=upstream)
    return ModelConstraints(**asdict(rt.catalog.constraints(info)))
