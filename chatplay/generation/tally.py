"""What this process's model calls came to since it started: counted as they end, read by `/metrics`."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from chatplay.generation.values import GenerationEnd

TTFT_BOUNDS_SEC = (0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass
class TtftCount:
    """Times to the first token of one source: how many up to each bound, the last above all of them."""

    in_bucket: list[int] = field(default_factory=lambda: [0] * (len(TTFT_BOUNDS_SEC) + 1))
    sum_sec: float = 0.0


@dataclass(frozen=True)
class TallySnapshot:
    """`ended` by (status, source), `errors` by class, `tokens` by kind and source, `ttft` by source."""

    ended: Counter[tuple[str, str]]
    errors: Counter[str]
    tokens: Counter[tuple[str, str]]
    ttft: dict[str, TtftCount]


class Tally:
    """One per hub; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = _empty()

    def note(self, source: str, end: GenerationEnd) -> None:
        """Counts a call that has ended."""
        now, metrics = self._now, end.metrics
        with self._lock:
            now.ended[end.status, source] += 1
            if metrics.error_code is not None:
                now.errors[metrics.error_code] += 1
            now.tokens["prompt", source] += metrics.prompt_tokens or 0
            now.tokens["completion", source] += metrics.completion_tokens or 0
            if metrics.ttft_ms is not None:
                _add(now.ttft.setdefault(source, TtftCount()), metrics.ttft_ms / 1000)

    def read(self) -> TallySnapshot:
        now = self._now
        with self._lock:
            ttft = {source: TtftCount(list(count.in_bucket), count.sum_sec) for source, count in now.ttft.items()}
            return TallySnapshot(now.ended.copy(), now.errors.copy(), now.tokens.copy(), ttft)


def _empty() -> TallySnapshot:
    return TallySnapshot(Counter(), Counter(), Counter(), {})


def _add(count: TtftCount, ttft_sec: float) -> None:
    count.in_bucket[bisect_left(TTFT_BOUNDS_SEC, ttft_sec)] += 1
    count.sum_sec += ttft_sec
