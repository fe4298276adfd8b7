"""Pure sums over the stamps of one answer; every page, route and export takes its numbers from here.

Definitions (monotonic clock, milliseconds unless the name says otherwise):

- ttft_ms: request sent (its last byte written to the connection) to the first non-empty delta.
- itl: the gaps between consecutive deltas; p50 and p95 by linear interpolation (Hyndman & Fan 1996,
  type 7, as numpy's default).
- tokens_per_second (decode): (completion tokens - 1) / (last delta - first delta).
- end_to_end_tokens_per_second: completion tokens / duration.

What cannot be known is None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_SHORTEST_SPAN_SEC = 0.02  # below it a rate tells of buffers on the way, not of the model


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


def summarise(
    *, sent_sec: float, delta_secs: Sequence[float], ended_sec: float, completion_tokens: int | None
) -> Timings:
    """Timings from the clock readings (seconds, one monotonic clock) of request, deltas and end."""
    gaps = tuple((b - a) * 1000 for a, b in pairwise(delta_secs))
    duration_sec = max(ended_sec - sent_sec, 0.0)
    return Timings(
        ttft_ms=(delta_secs[0] - sent_sec) * 1000 if delta_secs else None,
        itl_p50_ms=percentile(gaps, 0.50),
        itl_p95_ms=percentile(gaps, 0.95),
        itl_max_ms=max(gaps, default=None),
        gaps_ms=gaps,
        duration_ms=duration_sec * 1000,
        tokens_per_second=decode_rate(completion_tokens, delta_secs),
        end_to_end_tokens_per_second=rate(completion_tokens, duration_sec),
    )


def decode_rate(completion_tokens: int | None, delta_secs: Sequence[float]) -> float | None:
    """Decode tokens per second; None with fewer than two deltas or two tokens, or deltas that came as one packet."""
    if completion_tokens is None or completion_tokens < 2 or len(delta_secs) < 2:
        return None
    if delta_secs[-1] - delta_secs[0] < _SHORTEST_SPAN_SEC:
        return None
    return rate(completion_tokens - 1, delta_secs[-1] - delta_secs[0])


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
