"""What happened in a call, put into figures: for its readers, its message and its usage row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from chatplay.errors import ChatplayError, ProviderError
from chatplay.generation.values import AnswerMetrics, GenerationEnd, Job, Status
from chatplay.prices import cost_usd
from chatplay.providers.base import End, Usage
from chatplay.timing import Reasoning, Timings, summarise
from chatplay.tokens.calibrations import Sample
from chatplay.tokens.ranks import estimate_usage
from db.generations import UsageFigures


@dataclass(frozen=True)
class Outcome:
    """What happened in one call, as measured: seconds of one monotonic clock, bytes as read."""

    job: Job
    status: Status
    content: str
    sent_sec: float
    queued_sec: float
    delta_secs: tuple[float, ...]
    delta_chars: tuple[int, ...]
    reasoning: Reasoning
    ended_sec: float
    end: End | None
    streamed: bool
    fallback_reason: str | None
    size_bytes: int
    error: ChatplayError | None


@dataclass(frozen=True)
class Ending:
    """An outcome put into figures: `end` for readers, `figures` for the usage row, `sample` for the token counts,
    `delta_chars` to resume a reader between two deltas.
    """

    generation_id: UUID
    message_id: int | None
    end: GenerationEnd
    figures: UsageFigures
    delta_chars: tuple[int, ...] = ()
    sample: Sample | None = None


def describe(outcome: Outcome) -> Ending:
    """The end as readers and the usage row will have it. Nothing is written."""
    usage = _usage(outcome)
    timings = summarise(
        sent_sec=outcome.sent_sec,
        delta_secs=outcome.delta_secs,
        ended_sec=outcome.ended_sec,
        completion_tokens=usage.completion_tokens if usage else None,
        reasoning=replace(outcome.reasoning, tokens=_reasoning_tokens(outcome, usage)),
    )
    metrics = _metrics(outcome, usage, timings)
    return Ending(
        generation_id=outcome.job.generation_id,
        message_id=outcome.job.message_id,
        end=GenerationEnd(outcome.status, outcome.content, metrics),
        figures=_figures(outcome, metrics, usage, timings),
        delta_chars=outcome.delta_chars,
        sample=_sample(outcome, usage),
    )


def _usage(outcome: Outcome) -> Usage | None:
    """The server's count, else our own, flagged; None when nothing was exchanged that could be counted."""
    if outcome.end is not None and outcome.end.usage is not None:
        return outcome.end.usage
    if outcome.error is not None and not outcome.content:
        return None
    if len(outcome.delta_secs) > len(outcome.delta_chars):  # tool calls, which are not kept
        return None
    return estimate_usage(outcome.job.request.messages, outcome.content, outcome.job.request.model)


def _reasoning_tokens(outcome: Outcome, usage: Usage | None) -> int | None:
    """Of the tokens that were counted; None where nobody says. Our own count is of the visible text alone."""
    if usage is None or usage.estimated:
        return 0
    was_seen = outcome.reasoning.first_sec is not None
    return None if was_seen and usage.reasoning_tokens == 0 else usage.reasoning_tokens


def _sample(outcome: Outcome, usage: Usage | None) -> Sample | None:
    if usage is None or usage.estimated:
        return None
    request = outcome.job.request
    if request.relay is not None:  # tools and pictures were counted, too
        return None
    return Sample(outcome.job.provider.name, request.model, request.messages, usage.prompt_tokens)


def _metrics(outcome: Outcome, usage: Usage | None, timings: Timings) -> AnswerMetrics:
    error, end, job = outcome.error, outcome.end, outcome.job
    return AnswerMetrics(
        provider=job.provider.name,
        model=job.request.model,
        model_used=end.model if end else None,
        finish_reason=end.finish_reason if end else None,
        streamed=outcome.streamed,
        fallback_reason=outcome.fallback_reason,
        ttft_ms=timings.ttft_ms,
        itl_p50_ms=timings.itl_p50_ms,
        itl_p95_ms=timings.itl_p95_ms,
        duration_ms=timings.duration_ms,
        tokens_per_second=timings.tokens_per_second,
        end_to_end_tokens_per_second=timings.end_to_end_tokens_per_second,
        reasoning_ms=timings.reasoning_ms,
        reasoning_tokens=usage.reasoning_tokens if usage else None,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        tokens_estimated=usage.estimated if usage else None,
        cost_usd=cost_usd(usage, job.price) if usage else None,
        error_code=error.code if error else None,
        error_message=error.message if error else None,
        error_cure=error.cure if error else None,
        error_param=error.param if isinstance(error, ProviderError) else None,
        retry_after_sec=error.retry_after_sec if isinstance(error, ProviderError) else None,
        params=job.request.params,
        ignored_params=end.ignored_params if end else (),
        omitted_messages=job.omitted_messages or None,
        omitted_tokens=job.omitted_tokens or None,
        fingerprint=end.fingerprint if end else None,
    )


def _figures(outcome: Outcome, metrics: AnswerMetrics, usage: Usage | None, timings: Timings) -> UsageFigures:
    end = outcome.end
    return UsageFigures(
        status=outcome.status,
        model_used=metrics.model_used,
        finish_reason=metrics.finish_reason,
        error_class=metrics.error_code,
        error_message=metrics.error_message,
        streamed=outcome.streamed,
        fallback_reason=outcome.fallback_reason,
        prompt_tokens=metrics.prompt_tokens,
        completion_tokens=metrics.completion_tokens,
        cached_tokens=usage.cached_tokens if usage else None,
        reasoning_tokens=metrics.reasoning_tokens,
        tokens_estimated=metrics.tokens_estimated,
        ttft_ms=timings.ttft_ms,
        itl_p50_ms=timings.itl_p50_ms,
        itl_p95_ms=timings.itl_p95_ms,
        itl_max_ms=timings.itl_max_ms,
        gaps_ms=timings.gaps_ms,
        queue_ms=outcome.queued_sec * 1000,
        connect_ms=end.connect_ms if end else None,
        duration_ms=timings.duration_ms,
        tokens_per_second=timings.tokens_per_second,
        end_to_end_tokens_per_second=timings.end_to_end_tokens_per_second,
        bytes_received=outcome.size_bytes or None,
        cost_usd=metrics.cost_usd,
        request_id=end.request_id if end else None,
        system_fingerprint=end.system_fingerprint if end else None,
        sent=end.sent or None if end else None,
        fingerprint=end.fingerprint if end else None,
    )
