"""What a text must look like in a file that somebody opens in a spreadsheet."""

from __future__ import annotations

from math import isfinite

# What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection), full-width forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(text: str) -> str:
    """`text` as no spreadsheet takes it for a formula: with an apostrophe before what could begin one.

    Numbers, and numbers in a row (`-1, 0, 1`), stay as they are: they name no cell and call nothing.
    """
    return f"'{text}" if text.startswith(_FORMULA) and not all(map(_is_number, text.split(","))) else text


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False
