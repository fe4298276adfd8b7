"""How tall a table stands, and which of its rows is chosen."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Literal, TypeVar

import pandas as pd
import streamlit as st

_HEAD_PX, _ROW_PX = 38, 35
_CELL_PX, _LETTER_PX = 20, 7  # what a cell keeps free at its sides; a letter, on average
Row = TypeVar("Row")


def table_height(rows: int, *, most: int = 16) -> int | Literal["content"]:
    """All of it, up to `most` rows. The last row in sight of a longer one is cut in half: there are more, it says."""
    return "content" if rows <= most else _HEAD_PX + _ROW_PX * most + _ROW_PX // 2


def text_column(texts: Iterable[str]) -> Any:
    """A column as wide as the longest of `texts`, within bounds: Streamlit looks at its first rows alone."""
    longest = max(map(len, texts), default=0)
    return st.column_config.TextColumn(width=min(max(_CELL_PX + _LETTER_PX * longest, 80), 280))


def choose_row(
    frame: pd.DataFrame, rows: Sequence[Row], *, key: str, ids: Iterable[Hashable], **more: Any
) -> Row | None:
    """Draws `frame`, a line for each of `rows`, which are called `ids`; gives the row that is chosen."""
    event: Any = st.dataframe(
        frame, hide_index=True, key=rows_key(key, ids), on_select="rerun", selection_mode="single-row", **more
    )
    place = next(iter(event.selection.rows), None)
    return None if place is None else rows[place]


def rows_key(key: str, ids: Iterable[Hashable]) -> str:
    """The widget key of a table while it shows these rows: what is chosen is kept by place, not by row."""
    return f"{key}_{hash(tuple(ids))}"
