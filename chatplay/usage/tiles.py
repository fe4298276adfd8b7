"""The tiles on top of the metrics page, from sums and percentiles by bucket."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from chatplay.usage.values import TARGETS, Target, Tile, Tiles, TrendPoint, UsageFilter
from db.usage_counts import Counts
from db.usage_figures import Percentiles
from db.usage_source import floor_to, series_level, step

Part = Callable[[Counts], float]


def make_tiles(
    filter: UsageFilter, *, counts: Sequence[Counts], whole: Percentiles | None, trend: Sequence[Percentiles]
) -> Tiles:
    """`whole` is of the range, `counts` and `trend` are by bucket."""
    board = _Board(filter, counts)
    percentiles = {one.start: one for one in trend}

    def latency(name: str, figure: Callable[[Percentiles], float]) -> Tile:
        known = whole.n if whole else 0
        return Tile(
            value=figure(whole) if whole else None,
            n=known,
            unknown=board.sum(lambda one: one.calls) - known,
            trend=board.trend(
                lambda start: figure(percentiles[start]) if start in percentiles else None,
                lambda start: percentiles[start].n if start in percentiles else 0,
            ),
            target=TARGETS[name],
        )

    return Tiles(
        calls=board.total(lambda one: one.calls, unknown=lambda _: 0),
        prompt_tokens=board.total(lambda one: one.prompt_tokens, unknown=lambda one: one.tokens_unknown),
        completion_tokens=board.total(lambda one: one.completion_tokens, unknown=lambda one: one.tokens_unknown),
        cost_usd=board.total(lambda one: one.cost_usd, unknown=lambda one: one.cost_unknown),
        ttft_p50_ms=latency("ttft_p50_ms", lambda one: one.p50),
        ttft_p95_ms=latency("ttft_p95_ms", lambda one: one.p95),
        error_rate=board.rate(lambda one: one.failed + one.interrupted, TARGETS["error_rate"]),
        fallback_rate=board.rate(lambda one: one.fallbacks, TARGETS["fallback_rate"]),
        prompts_per_chat=board.ratio(
            lambda one: one.chat_answers, lambda one: one.chats, TARGETS["prompts_per_chat"], with_count=False
        ),
    )


class _Board:
    def __init__(self, filter: UsageFilter, counts: Sequence[Counts]) -> None:
        self._counts = counts
        self._by_start: Mapping[datetime, Counts] = {one.start: one for one in counts}
        level = series_level(filter)
        self._length = step(level)
        self._starts, start = [], floor_to(level, filter.start)
        while start < filter.end:
            self._starts.append(start)
            start += self._length

    def sum(self, part: Callable[[Counts], int]) -> int:
        return sum(part(one) for one in self._counts)

    def trend(self, value: Callable[[datetime], float | None], n: Callable[[datetime], int]) -> tuple[TrendPoint, ...]:
        return tuple(TrendPoint(start, start + self._length, value(start), n(start)) for start in self._starts)

    def total(self, part: Part, *, unknown: Callable[[Counts], int]) -> Tile:
        """A sum: 0 where nobody called, unknown where somebody did but it is known of no call."""
        left_out = self.sum(unknown)
        calls = self.sum(lambda one: one.calls)

        def value(start: datetime) -> float | None:
            one = self._by_start.get(start)
            if one is None or not one.calls:
                return 0
            return part(one) if one.calls > unknown(one) else None

        return Tile(
            value=None if calls and calls == left_out else sum(part(one) for one in self._counts),
            n=calls - left_out,
            unknown=left_out,
            trend=self.trend(value, lambda start: self._by_start[start].calls if start in self._by_start else 0),
        )

    def rate(self, part: Callable[[Counts], int], target: Target) -> Tile:
        return self.ratio(part, lambda one: one.calls, target, with_count=True)

    def ratio(
        self, part: Callable[[Counts], int], whole: Callable[[Counts], int], target: Target, *, with_count: bool
    ) -> Tile:
        k, n = self.sum(part), self.sum(whole)

        def value(start: datetime) -> float | None:
            one = self._by_start.get(start)
            return part(one) / whole(one) if one is not None and whole(one) else None

        trend = self.trend(value, lambda start: whole(self._by_start[start]) if start in self._by_start else 0)
        return Tile(value=k / n if n else None, n=n, k=k if with_count else None, trend=trend, target=target)
