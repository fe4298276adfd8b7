"""How tall a table stands."""

from __future__ import annotations

from typing import Literal

_HEAD_PX, _ROW_PX = 38, 35


def table_height(rows: int, *, most: int = 16) -> int | Literal["content"]:
    """All of it, up to `most` rows. The last row in sight of a longer one is cut in half: there are more, it says."""
    return "content" if rows <= most else _HEAD_PX + _ROW_PX * most + _ROW_PX // 2
