"""How long somebody has to wait, in words."""

from __future__ import annotations


def wait_text(wait_sec: float) -> str:
    """`"1 second"`, `"14 minutes"`, `"4 hours"`, never shorter than the wait."""
    for unit, size in (("hour", 3600), ("minute", 60), ("second", 1)):
        if wait_sec > size or unit == "second":
            count = max(int(-(-wait_sec // size)), 1)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError
