"""How a model server is: what one check found, when to leave it alone for a while, and what to tell people.

Values only; `chatplay.models.polling` asks the servers and keeps these in the database for all processes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from chatplay.errors import (
    ProviderAuthFailed,
    ProviderError,
    ProviderSilent,
    ProviderUnreachable,
    QuotaSpent,
    RateLimited,
    RequestBroken,
)
from chatplay.providers import faults
from chatplay.providers.base import Provider
from chatplay.providers.engines import discover
from chatplay.providers.openai import ListedModel, OpenAIProvider
from chatplay.providers.registry import EngineType, Upstream
from chatplay.waits import wait_text

BreakerState = Literal["closed", "open", "half-open"]
Standing = Literal["healthy", "unhealthy", "not checked yet", "stale"]

_ROOM_SEC = 0.5


@dataclass(frozen=True)
class Problem:
    """What is wrong with an upstream, in plain words, and what to do. `code` is its stable name."""

    code: str
    message: str
    cure: str

    def __str__(self) -> str:
        return f"{self.message} {self.cure}"


@dataclass(frozen=True)
class Breaker:
    """Opens after `threshold` failures in a row and lets one more try through after `cooldown_sec`.

    Failed checks and failed calls are counted apart: a server that lists its models and cannot answer is not
    well because the list came. A good call closes the breaker, a good check only what checks have opened.
    """

    threshold: int = 3
    cooldown_sec: float = 30.0
    failed_checks: int = 0
    failed_calls: int = 0
    opened_at: datetime | None = None

    def after_check(self, well: bool, now: datetime) -> Breaker:
        if not well:
            return self._failed(replace(self, failed_checks=self.failed_checks + 1), self.failed_checks + 1, now)
        opened_by_calls = self.failed_calls >= self.threshold
        return replace(self, failed_checks=0, opened_at=self.opened_at if opened_by_calls else None)

    def after_call(self, well: bool, now: datetime) -> Breaker:
        if not well:
            return self._failed(replace(self, failed_calls=self.failed_calls + 1), self.failed_calls + 1, now)
        return replace(self, failed_checks=0, failed_calls=0, opened_at=None)

    def _failed(self, counted: Breaker, failures: int, now: datetime) -> Breaker:
        if failures >= self.threshold and self.state(now) != "open":
            return replace(counted, opened_at=now)
        return counted

    def state(self, now: datetime) -> BreakerState:
        if self.opened_at is None:
            return "closed"
        return "open" if self.wait_sec(now) > 0 else "half-open"

    def wait_sec(self, now: datetime) -> float:
        """Seconds until the next try is let through; 0 when it may go now."""
        if self.opened_at is None:
            return 0.0
        return max((self.opened_at + timedelta(seconds=self.cooldown_sec) - now).total_seconds(), 0.0)


@dataclass(frozen=True)
class CheckResult:
    """What one check found. `models` is None when there was no readable list; then `problem` says why."""

    engine_type: EngineType | None
    models: tuple[ListedModel, ...] | None
    latency_ms: float | None
    problem: Problem | None = None

    @property
    def healthy(self) -> bool:
        return self.problem is None


@dataclass(frozen=True)
class Health:
    """What is known of one upstream. `checked_at` is None before the first check, and `models` then too."""

    checked_at: datetime | None = None
    healthy: bool = False
    engine_type: EngineType | None = None
    models: tuple[ListedModel, ...] | None = None
    latency_ms: float | None = None
    problem: Problem | None = None
    breaker: Breaker = Breaker()
    healthy_at: datetime | None = None

    def after_check(self, result: CheckResult, now: datetime) -> Health:
        """What is known after a check; a failed one leaves engine and models as they were."""
        return Health(
            checked_at=now,
            healthy=result.healthy,
            engine_type=result.engine_type or self.engine_type,
            models=self.models if result.models is None else result.models,
            latency_ms=result.latency_ms,
            problem=result.problem,
            breaker=self.breaker.after_check(result.healthy, now),
            healthy_at=now if result.healthy else self.healthy_at,
        )


def missing_here(upstream: Upstream) -> Problem | None:
    """What this process lacks to ask an upstream that others may well ask; None when it can."""
    if upstream.missing_key == "variable not set":
        variable = upstream.api_key_env
        return Problem(
            "no_key",
            f"Its API key is not here: the variable {variable} is not set.",
            f"Set {variable} in the environment or in .env and start again; for a server without a key, name none.",
        )
    if upstream.missing_key == "stored but unreadable":
        return Problem(
            "no_key",
            "Its stored API key cannot be opened with the key file of this data folder.",
            "Put the right upstream-keys.key there and start again, or type the key again on the Models page.",
        )
    return None


async def check(
    provider: Provider,
    upstream: Upstream,
    *,
    limit_sec: float,
    path: str | None = None,
    known: tuple[ListedModel, ...] = (),
    clock: Callable[[], float] = time.monotonic,
) -> CheckResult:
    """Asks one upstream whether it is well; ends within `limit_sec`, never raises for what the server does. The server
    gets a little less, so that a round of many ends in time too: what came has to be read and kept.

    Well is a readable model list with a 2xx status, and the same status at `path` when there is one.
    """
    if not isinstance(provider, OpenAIProvider):
        return CheckResult(upstream.engine_type, None, None)
    started_sec, asked_sec = clock(), limit_sec - min(_ROOM_SEC, limit_sec / 6)
    try:
        async with asyncio.timeout(asked_sec):
            if path is not None:
                await provider.check_page(path)
            found = await discover(provider, upstream, known)
    except TimeoutError:
        return CheckResult(None, None, None, _silent(asked_sec))
    except ProviderError as error:
        return CheckResult(None, None, None, explain(error, has_key=upstream.api_key is not None, limit_sec=asked_sec))
    return CheckResult(found.engine_type, found.models, (clock() - started_sec) * 1000)


def explain(error: ProviderError, *, has_key: bool, limit_sec: float) -> Problem:
    """Why a check failed, for people who did not make the request."""
    status = error.status
    if isinstance(error, ProviderAuthFailed):
        return _refused(status, has_key)
    if isinstance(error, ProviderUnreachable):
        why = faults.why_unreachable(error)
        return Problem(
            "unreachable", f"It cannot be reached: {why}.", "Check that it runs and that its address is right."
        )
    if isinstance(error, ProviderSilent):
        return _silent(limit_sec)
    if isinstance(error, RequestBroken):
        return Problem("not_asked", "The check failed here, not at that server.", error.cure)
    if status is not None and 300 <= status < 400:
        return Problem(
            "redirect",
            f"It redirects to another address (HTTP {status}); that is not followed, so that the key stays where it "
            "belongs.",
            "Set the base URL to the final address.",
        )
    if status == 404:
        message = "It has no model list at its address (HTTP 404)."
        return Problem("not_found", message, "Check the base URL; it usually ends in /v1.")
    if isinstance(error, QuotaSpent):
        return Problem("quota_spent", "Its account has no credit left.", "Check its plan and billing.")
    if isinstance(error, RateLimited):
        wait = "a little" if error.retry_after_sec is None else wait_text(error.retry_after_sec)
        return Problem("rate_limited", "It takes no more requests at the moment (HTTP 429).", f"Wait {wait}.")
    if status is not None and status >= 400:
        return Problem("failed", f"It answered with an error (HTTP {status}).", "Look at that server's log.")
    return Problem(
        "no_model_list",
        "It answered with something other than a model list, such as a web page.",
        "Check the base URL; it usually ends in /v1.",
    )


def _refused(status: int | None, has_key: bool) -> Problem:
    if not has_key:
        http = f" (HTTP {status})" if status else ""
        return Problem("no_key", f"It asks for an API key{http} and has none.", "Give it one.")
    if status == 403:
        return Problem("key_refused", "It does not let this key see its models (HTTP 403).", "Give the key access.")
    http = f" (HTTP {status})" if status else ""
    return Problem("key_refused", f"It refuses the API key{http}.", "Set a valid one.")


def _silent(limit_sec: float) -> Problem:
    cure = "It may be starting or overloaded; if it stays silent, that server's log says why."
    return Problem("silent", f"It did not answer within {limit_sec:g} seconds.", cure)
