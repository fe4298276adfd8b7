"""`/admin`: what was used, and a round of health checks now. For administrators, with the scope `admin` in a token."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel

from chatplay.api.errors import documented
from chatplay.api.ranges import read_range
from chatplay.api.services import Rt, Threads
from chatplay.api.who import Administrator
from chatplay.models.catalog import CatalogStatus, UpstreamStatus
from chatplay.usage.values import By

router = APIRouter(prefix="/admin", tags=["Administration"])


class UsageLine(BaseModel):
    """What one model, person, organisation, source or day used; sums are of what is known, null is unknown."""

    key: str
    label: str
    calls: int
    failed: int
    fallbacks: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    tokens_estimated: int
    tokens_unknown: int
    cost_usd: float | None
    cost_unknown: int
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    tokens_per_second_p50: float | None
    chats: int


class UsageReport(BaseModel):
    """Calls begun within [start, end); no prompt and no answer is in it."""

    by: str
    start: datetime
    end: datetime
    data: list[UsageLine]


class UpstreamOut(BaseModel):
    """How one model server is; no address, no key."""

    name: str
    source: str
    engine_type: str
    standing: str
    breaker: str
    models: list[str]
    checked_at: datetime | None
    healthy_at: datetime | None
    latency_ms: float | None
    problem: str | None
    cure: str | None

    @classmethod
    def of(cls, status: UpstreamStatus) -> Self:
        problem = status.problem
        return cls(
            **{name: getattr(status, name) for name in cls.model_fields if name not in ("models", "problem", "cure")},
            models=[info.name for info in status.models],
            problem=problem.message if problem else None,
            cure=problem.cure if problem else None,
        )


class HealthReport(BaseModel):
    """How the model servers are after the round."""

    message: str
    cure: str
    polled_at: datetime | None
    upstreams: list[UpstreamOut]

    @classmethod
    def of(cls, status: CatalogStatus) -> Self:
        found = [UpstreamOut.of(one) for one in status.upstreams]
        return cls(message=status.message, cure=status.cure, polled_at=status.polled_at, upstreams=found)


def _tidy(usd: float | None) -> float | None:
    """Without the last digits, which only say that many floats were added."""
    return None if usd is None else round(usd, 9)


@router.get("/usage")
async def report_usage(
    caller: Administrator,
    rt: Rt,
    threads: Threads,
    by: Annotated[By, Query(description="What a line is for.")] = "model",
    start: Annotated[datetime | None, Query(description="From then on; 30 days before `end` without it.")] = None,
    end: Annotated[datetime | None, Query(description="Up to then; now without it.")] = None,
    tz: Annotated[str, Query(max_length=64, description="The time zone of days, as in `Europe/Berlin`.")] = "UTC",
) -> UsageReport:
    """Calls, tokens, cost and latency of everybody, most calls first."""
    wanted = read_range(start, end)
    rows = await threads.run(rt.usage.usage_table, rt.usage.restrict(wanted, caller.person), by, tz)
    data = [UsageLine(**asdict(row) | {"cost_usd": _tidy(row.cost_usd)}) for row in rows]
    return UsageReport(by=by, start=wanted.start, end=wanted.end, data=data)


@router.post("/upstreams/refresh-health", responses=documented(502, 504))
async def refresh_health(caller: Administrator, rt: Rt, threads: Threads) -> HealthReport:
    """Has every model server asked now, for all processes, and says how they are then."""
    return HealthReport.of(await threads.run(rt.upstreams.refresh_now, actor=caller.person))
