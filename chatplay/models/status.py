"""Why models run or not, in words: nothing configured, none well, none open to a role, or nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from chatplay.models.health import BreakerState, Problem, Standing
from chatplay.models.view import ModelInfo, View
from chatplay.providers.registry import EngineType, Source, Upstream

Why = Literal["running", "nothing configured", "nothing for you", "all unhealthy", "database unreachable"]
Lack = Literal["none loaded", "none allowed", "none open"]


@dataclass(frozen=True)
class UpstreamStatus:
    """How one upstream is, for people: no address, no key. `wait_sec` is above 0 while its breaker is open; `lack`
    says why it has no `models` for somebody.
    """

    name: str
    source: Source
    engine_type: EngineType
    standing: Standing
    breaker: BreakerState
    wait_sec: float
    models: tuple[ModelInfo, ...]
    checked_at: datetime | None
    healthy_at: datetime | None
    latency_ms: float | None
    problem: Problem | None
    lack: Lack | None = None

    @property
    def runs(self) -> bool:
        return self.standing in ("healthy", "not checked yet") and self.breaker != "open"


@dataclass(frozen=True)
class CatalogStatus:
    """Why models run or not: `message` says what is so, `cure` what to do. `polled_at`: the last whole round."""

    why: Why
    message: str
    cure: str
    polled_at: datetime | None
    upstreams: tuple[UpstreamStatus, ...]


def for_role(view: View, status: UpstreamStatus, upstream: Upstream, role: str) -> UpstreamStatus | None:
    """The status with the models open to `role`; None when nothing there ever is."""
    offered = view.models_of.get(upstream.name, ())
    models = tuple(info for info in offered if role in info.roles)
    if not models and role not in upstream.roles:
        return None
    lack: Lack | None = None if models else "none open" if offered else _lack(view, upstream)
    return replace(status, models=models, lack=lack)


def _lack(view: View, upstream: Upstream) -> Lack:
    health = view.health.get(upstream.name)
    return "none allowed" if health is not None and health.models else "none loaded"


def lack_of(status: UpstreamStatus) -> Problem | None:
    """Why an upstream that is well has no model for somebody; None where it has some or is not known to be well."""
    if status.standing != "healthy" or status.lack is None:
        return None
    return Problem(status.lack.replace(" ", "_"), *_LACKS[status.lack])


_LACKS: Mapping[Lack, tuple[str, str]] = {
    "none loaded": ("It is well and has no model loaded.", "Load one there, and it shows up here."),
    "none allowed": (
        "It is well, but lists none of its allowed models.",
        "Correct the allowed models on the Models page, or load one of them there.",
    ),
    "none open": ("It is well, but none of its models is open to you.", "Let this role use one on the Models page."),
}


def reason_of(view: View, found: tuple[UpstreamStatus, ...]) -> Why:
    if not view.database:
        return "database unreachable"
    if any(status.runs and status.models for status in found):
        return "running"
    if not view.upstreams:
        return "nothing configured"
    return "all unhealthy" if found else "nothing for you"


def words_of(why: Why, found: tuple[UpstreamStatus, ...]) -> tuple[str, str]:
    """What is so and what to do."""
    if why == "running":
        count = sum(len(status.models) for status in found if status.runs)
        return f"{count} {'model runs' if count == 1 else 'models run'}.", ""
    if why == "database unreachable":
        return (
            "The database cannot be reached, so nobody knows which models run.",
            "The models may be well. An administrator can look with `make status`; this page comes back by itself.",
        )
    if why == "nothing configured":
        return (
            "No model server is configured.",
            "An administrator adds one on the Models page, in models.toml or with the OPENAI_ variables.",
        )
    if why == "nothing for you":
        return "No model is open to you.", "Ask an administrator to let your role use one."
    return "No model is running. " + " ".join(_reasons(found)), _WAIT


_WAIT = "A model that was just started shows up within 15 to 30 seconds; the Models page says what to do."


_MOST_NAMES, _MOST_REASONS = 3, 3


def _reasons(found: tuple[UpstreamStatus, ...]) -> list[str]:
    """One sentence for all servers that share a reason, the commonest first, and no wall of them."""
    by_reason: dict[str, list[str]] = {}
    for status in found:
        by_reason.setdefault(_reason(status), []).append(status.name)
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    said = [f"{_listed(names)}: {reason}" for reason, names in ordered[:_MOST_REASONS]]
    left = sum(len(names) for _, names in ordered[_MOST_REASONS:])
    return [*said, f"{left:,} more have other reasons."] if left else said


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _reason(status: UpstreamStatus) -> str:
    if status.problem is not None:
        return status.problem.message
    if status.breaker == "open":
        return f"It failed several times in a row and is left alone for {status.wait_sec:.0f} seconds."
    if status.standing == "stale":
        return "It has not been checked for a while."
    if status.standing == "not checked yet":
        return "It is being asked for the first time."
    lack = lack_of(status)
    return lack.message if lack else "It has no model loaded."
