"""The cells of the exported notebook: text and code that stand alone, outside this app."""

from __future__ import annotations

CELLS: list[tuple[str, str]] = []
