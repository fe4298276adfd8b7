"""One call while the hub runs it: what has happened so far, what it may take, and what it came to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from chatplay.errors import ChatplayError, ProviderError, ProviderSilent, StreamCut
from chatplay.generation.live import LiveGeneration
from chatplay.generation.outcome import Outcome
from chatplay.generation.values import Job, Status
from chatplay.providers.base import End

_CHARS_A_TOKEN, _SPARE_CHARS, _ANSWER_CHARS = 16, 65_536, 1_000_000


@dataclass(frozen=True)
class Limits:
    """Time limits of a call, in seconds. Silence is no sign of life from the upstream, not even an empty delta."""

    first_token_sec: float = 60.0
    silence_sec: float = 30.0
    total_sec: float = 600.0


@dataclass
class Running:
    """The state of one call; written on the hub's loop only. `..._sec` are moments of the hub's clock: `began_sec` when
    it was first asked, while a second try has a `live.sent_sec` and signs of life of its own.
    """

    job: Job
    live: LiveGeneration
    submitted_sec: float
    last_sign_sec: float
    began_sec: float
    streaming: bool = True
    fallback_reason: str | None = None
    size_bytes: int = 0
    relayed: bool = False
    end: End | None = None
    task: asyncio.Task[None] | None = None
    why: Status | ProviderError | None = None  # set before the task is cancelled

    @property
    def max_chars(self) -> int:
        """More than any honest answer of so many tokens has; a server that ignores the limit is cut there."""
        max_tokens = self.job.request.params.max_tokens
        return _ANSWER_CHARS if max_tokens is None else _SPARE_CHARS + _CHARS_A_TOKEN * max_tokens

    def outcome(self, status: Status, error: ChatplayError | None, *, ended_sec: float) -> Outcome:
        """What happened, as measured."""
        return Outcome(
            job=self.job,
            status=status,
            content=self.live.content,
            sent_sec=self.live.sent_sec,
            queued_sec=max(self.began_sec - self.submitted_sec, 0.0),
            delta_secs=tuple(self.live.stamps),
            delta_chars=self.live.delta_chars,
            reasoning=self.live.reasoning,
            ended_sec=ended_sec,
            end=self.end,
            streamed=self.streaming,
            fallback_reason=self.fallback_reason,
            size_bytes=self.size_bytes,
            error=error,
        )

    def overdue(self, limits: Limits, now_sec: float) -> ProviderSilent | None:
        """What to end it with when it has taken longer than it may."""
        began, silent_sec = self.live.stamps, now_sec - self.last_sign_sec
        if now_sec - self.began_sec > limits.total_sec:
            return self._silent(f"did not finish within {limits.total_sec:g} s")
        if not self.streaming:
            return None
        if began and silent_sec > limits.silence_sec:
            return self._silent(f"stopped sending for {limits.silence_sec:g} s")
        if not began and silent_sec > limits.first_token_sec:
            return self._silent(f"did not answer for {limits.first_token_sec:g} s")
        return None

    def endless(self) -> StreamCut:
        """What to end it with when it has more than `max_chars`."""
        model, provider = self.job.request.model, self.job.provider.name
        return StreamCut(
            f"The model `{model}` at `{provider}` did not stop at the max tokens it was given; "
            f"the answer was cut at {self.max_chars:,} characters.",
            provider=provider,
            model=model,
            cure="What had arrived is kept. An administrator can look at the model's server.",
        )

    def _silent(self, what: str) -> ProviderSilent:
        model, provider = self.job.request.model, self.job.provider.name
        return ProviderSilent(
            f"The model `{model}` at `{provider}` {what}. Your message is saved.",
            provider=provider,
            model=model,
            cure="Try again, or choose another model.",
        )
