"""The flight recorder's sums: where the time of one call went, and where it stood still."""

from __future__ import annotations

from collections.abc import Sequence

from chatplay.prices import Price
from chatplay.timing import percentile
from chatplay.usage.values import CallDetail, FlightRecord, Gap

_STALL_TIMES, _STALL_MS = 4.0, 100.0


def make_record(call: CallDetail, price: Price | None) -> FlightRecord:
    """The call with its timeline. `price` is the dated one in force then, None when there was none."""
    gaps = [float(gap) for gap in call.gaps_ms or ()]
    limit = stall_limit_ms(gaps)
    timeline = _timeline(call.ttft_ms, gaps, limit)
    return FlightRecord(
        call=call,
        timeline=timeline,
        stall_ms=limit,
        stalls=sum(gap.is_stall for gap in timeline),
        price=price,
    )


def stall_limit_ms(gaps_ms: Sequence[float]) -> float | None:
    """The gap above which an answer stood still: four times its median, at least 100 ms; None without gaps."""
    median = percentile(gaps_ms, 0.5)
    return None if median is None else max(_STALL_TIMES * median, _STALL_MS)


def _timeline(ttft_ms: float | None, gaps_ms: Sequence[float], limit: float | None) -> tuple[Gap, ...]:
    found, at_ms = [], ttft_ms or 0.0
    for number, gap_ms in enumerate(gaps_ms):
        at_ms += gap_ms
        found.append(Gap(number + 2, at_ms, gap_ms, limit is not None and gap_ms > limit))
    return tuple(found)
