"""Pure sums over the stamps of one answer; every page, route and export takes its numbers from here.

Definitions (monotonic clock, milliseconds unless the name says otherwise):

- ttft_ms: request sent (its last byte written to the connection) to the first non-empty delta.
- itl: the gaps between consecutive deltas; p50 and p95 by linear interpolation (Hyndman & Fan 1996,
  type 7, as numpy's default).
- tokens_per_second (decode): (completion tokens - 1) / (last delta - first delta). A model that reasons has both for
  its visible text alone where its reasoning tokens are known; else, where its reasoning was streamed, for both
  together, from the first piece of reasoning on.
- end_to_end_tokens_per_second: completion tokens / duration.
- reasoning_ms: the first piece of reasoning to the first delta, where the reasoning was streamed.

What cannot be known is None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_SHORTEST_SPAN_SEC = 0.02  # below it a rate tells of buffers on the way, not of the model


@dataclass(frozen=True)
class Reasoning:
    """What a model thought beside its visible text. `first_sec` and `last_sec`: when pieces of it came (clock
    readings), None when none did. `tokens`: how many of those that were counted are its own, None when nobody says.
    """

    first_sec: float | None = None
    last_sec: float | None = None
    tokens: int | None = None

    def goes_on_after(self, moment_sec: float) -> bool:
        return self.last_sec is not None and self.last_sec > moment_sec


NO_REASONING = Reasoning()


@dataclass(frozen=True)
class Timings:
    """The measured shape of one answer. `gaps_ms` has one entry fewer than there were deltas."""

    ttft_ms: float | None = None
    itl_p50_ms: float | None = None
    itl_p95_ms: float | None = None
    itl_max_ms: float | None = None
    gaps_ms: tuple[float, ...] = ()
    duration_ms: float | None = None
    tokens_per_second: float | None = None
    end_to_end_tokens_per_second: float | None = None
    reasoning_ms: float | None = None


def summarise(
    *,
    sent_sec: float,
    delta_secs: Sequence[float],
    ended_sec: float,
    completion_tokens: int | None,
    reasoning: Reasoning = NO_REASONING,
) -> Timings:
    """Timings from the clock readings (seconds, one monotonic clock) of request, deltas, reasoning and end."""
    gaps = tuple((b - a) * 1000 for a, b in pairwise(delta_secs))
    duration_sec = max(ended_sec - sent_sec, 0.0)
    return Timings(
        ttft_ms=(delta_secs[0] - sent_sec) * 1000 if delta_secs else None,
        itl_p50_ms=percentile(gaps, 0.50),
        itl_p95_ms=percentile(gaps, 0.95),
        itl_max_ms=max(gaps, default=None),
        gaps_ms=gaps,
        duration_ms=duration_sec * 1000,
        tokens_per_second=decode_rate(completion_tokens, delta_secs, reasoning),
        end_to_end_tokens_per_second=rate(completion_tokens, duration_sec),
        reasoning_ms=_reasoning_ms(delta_secs, reasoning),
    )


def decode_rate(
    completion_tokens: int | None, delta_secs: Sequence[float], reasoning: Reasoning = NO_REASONING
) -> float | None:
    """Decode tokens per second: tokens over the time in which these very tokens came. None with fewer than two of
    them, when they came as one packet, or when reasoning that was not counted came in between.
    """
    if completion_tokens is None or not delta_secs:
        return None
    begin_sec, end_sec = delta_secs[0], delta_secs[-1]
    if reasoning.tokens is not None and not reasoning.goes_on_after(begin_sec):
        return _rate_between(completion_tokens - reasoning.tokens, begin_sec, end_sec)
    if reasoning.tokens == 0:
        return None
    if reasoning.first_sec is not None and reasoning.last_sec is not None:
        begin_sec, end_sec = min(begin_sec, reasoning.first_sec), max(end_sec, reasoning.last_sec)
    return _rate_between(completion_tokens, begin_sec, end_sec)


def _rate_between(tokens: int, begin_sec: float, end_sec: float) -> float | None:
    """Of the tokens after the first, which was there when the time began."""
    if tokens < 2 or end_sec - begin_sec < _SHORTEST_SPAN_SEC:
        return None
    return rate(tokens - 1, end_sec - begin_sec)


def _reasoning_ms(delta_secs: Sequence[float], reasoning: Reasoning) -> float | None:
    """From the first piece of reasoning to the text; to the last piece where no text came after it."""
    if reasoning.first_sec is None or reasoning.last_sec is None:
        return None
    begins_text = bool(delta_secs) and delta_secs[0] >= reasoning.first_sec
    span_sec = (delta_secs[0] if begins_text else reasoning.last_sec) - reasoning.first_sec
    return span_sec * 1000 if span_sec >= _SHORTEST_SPAN_SEC else None


def rate(count: int | None, seconds: float) -> float | None:
    """`count` per second, or None when either is unknown or no time passed."""
    if count is None or seconds <= 0:
        return None
    return count / seconds


def percentile(values: Sequence[float], share: float) -> float | None:
    """The `share` (0..1) quantile by linear interpolation; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
