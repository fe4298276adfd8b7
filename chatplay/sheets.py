"""What a text must look like in a file that somebody opens in a spreadsheet."""

from __future__ import annotations

# What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection), full-width forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(text: str) -> str:
    """`text` as no spreadsheet takes it for a formula: with an apostrophe before what could begin one."""
    return f"'{text}" if text.startswith(_FORMULA) else text
