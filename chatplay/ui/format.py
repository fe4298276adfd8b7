"""The one way numbers, rates, costs and times are written, on every page, table, export and chart.

Unknown is `n/a`, never 0 and never empty; an estimate carries `~`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import floor, log10
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UNKNOWN = "n/a"
_CURRENCY_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}


def duration(ms: float | None) -> str:
    """`145 ms` below a second, `1.52 s` above, `2 min 05 s` from two minutes on. For ttft too."""
    if ms is None:
        return UNKNOWN
    if round(ms) < 1000:
        return f"{ms:.1f} ms" if 0 < ms < 10 else f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 119.995:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest:02d} s"


def speed(tokens_per_second: float | None) -> str:
    """`32.5 tok/s`."""
    return UNKNOWN if tokens_per_second is None else f"{tokens_per_second:,.1f} tok/s"


def many(number: int, noun: str) -> str:
    """`1 arm`, `1,200 trials`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def count(value: int | None, *, estimated: bool | None = False) -> str:
    """`1,234`; estimated `~1,234`."""
    return UNKNOWN if value is None else f"{'~' if estimated else ''}{value:,}"


def four_digits(value: float) -> str:
    """Four significant digits: `123,500`, `1.235`, `0.0001235`."""
    return f"{Decimal(f'{value:.4g}'):,f}"


def tokens(value: int | None, *, estimated: bool | None = False) -> str:
    """`1,234 tokens`."""
    return UNKNOWN if value is None else f"{count(value, estimated=estimated)} {'token' if value == 1 else 'tokens'}"


def reasoning(ms: float | None, reasoning_tokens: int | None) -> str:
    """`Thought for 12.30 s, 2,000 tokens`, without what is not known; "" when nothing is."""
    thought = "" if ms is None else f"Thought for {duration(ms)}"
    return ", ".join(part for part in (thought, tokens(reasoning_tokens) if reasoning_tokens else "") if part)


def rate(part: int | None, whole: int | None) -> str:
    """`2.1 %`; unknown of nothing."""
    return UNKNOWN if part is None or not whole else f"{100 * part / whole:.1f} %"


def rate_with_counts(part: int | None, whole: int | None) -> str:
    """`2.1 % (13 of 612)`."""
    return UNKNOWN if part is None or not whole else f"{rate(part, whole)} ({part:,} of {whole:,})"


def cost(value: float | None, *, currency: str = "USD") -> str:
    """`$1.23`, `$0.0123`; below a cent four significant digits, `$0.00001234`."""
    if value is None:
        return UNKNOWN
    sign = _CURRENCY_SIGNS.get(currency, f"{currency} ")
    if value == 0:
        return f"{sign}0"
    if abs(value) >= 1:
        return f"{sign}{value:,.2f}"
    rounded = float(f"{value:.3e}")
    digits = 4 if abs(rounded) >= 0.01 else 3 - floor(log10(abs(rounded)))
    return f"{sign}{rounded:.{digits}f}"


def interval(middle: float | None, low: float | None, high: float | None) -> str:
    """Milliseconds with their interval: `145 ms [132, 160]`, from a second on `1.52 s [1.40, 1.71]`."""
    if middle is None or low is None or high is None:
        return duration(middle)
    if round(middle) < 1000:
        return f"{middle:.0f} ms [{low:.0f}, {high:.0f}]"
    return f"{middle / 1000:.2f} s [{low / 1000:.2f}, {high / 1000:.2f}]"


def performance(tokens_per_second: float | None, ttft_ms: float | None) -> str:
    """The line `Performance: 32.5 tok/s | TTFT: 145ms`, in the very form of the specification."""
    ttft = UNKNOWN if ttft_ms is None else duration(ttft_ms).replace(" ", "")
    return f"Performance: {speed(tokens_per_second)} | TTFT: {ttft}"


def context(used_tokens: int | None, window_tokens: int | None, *, estimated: bool = False) -> str:
    """The line `Context: 1,234 / 32,768 tokens`; estimated `Context: ~1,234 / ...`."""
    return f"Context: {count(used_tokens, estimated=estimated)} / {count(window_tokens)} tokens"


def zone(name: str | None) -> ZoneInfo:
    """The zone called `name` (IANA); UTC for an unknown or missing one."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def ago(moment: datetime | None, *, now: datetime, tz: ZoneInfo) -> str:
    """`just now`, `4 min ago`, `3 h ago`; older than a day the exact time. A time ahead of us counts as now."""
    if moment is None:
        return UNKNOWN
    passed = max(now - moment, timedelta())
    if passed < timedelta(minutes=1):
        return "just now"
    if passed < timedelta(hours=1):
        return f"{passed.seconds // 60} min ago"
    if passed < timedelta(days=1):
        return f"{passed.seconds // 3600} h ago"
    return exact(moment, tz=tz)


def exact(moment: datetime | None, *, tz: ZoneInfo, seconds: bool = False) -> str:
    """`2026-11-21 14:05` or `2026-11-21 14:05:09` in the viewer's zone, named when it is UTC."""
    if moment is None:
        return UNKNOWN
    zone_name = " UTC" if tz.key == "UTC" else ""
    return (in_column(moment, tz=tz) if seconds else f"{moment.astimezone(tz):%Y-%m-%d %H:%M}") + zone_name


def in_column(moment: datetime, *, tz: ZoneInfo) -> str:
    """`2026-11-21 14:05:09`, for columns whose heading names the zone."""
    return f"{moment.astimezone(tz):%Y-%m-%d %H:%M:%S}"


def day_group(moment: datetime, *, now: datetime, tz: ZoneInfo) -> str:
    """`Today`, `Yesterday`, `Previous 7 days`, then months: `October`, `October 2025`."""
    day, today = moment.astimezone(tz).date(), now.astimezone(tz).date()
    if day >= today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    if day >= today - timedelta(days=7):
        return "Previous 7 days"
    return f"{day:%B}" if day.year == today.year else f"{day:%B %Y}"


def now_utc() -> datetime:
    """This moment, aware; the clock pages hand to the functions above."""
    return datetime.now(UTC)
