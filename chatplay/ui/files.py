"""A table as a file to take away."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from chatplay.sheets import safe_cell


def draw_csv(name: str, table: pd.DataFrame | Callable[[], pd.DataFrame]) -> None:
    """A button for `NAME.csv`: all of the table, unrounded, with no name that a spreadsheet takes for a formula.
    A callable makes the table when the file is asked for, without a session.
    """
    st.download_button(
        "CSV",
        lambda: _csv(table() if callable(table) else table),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"csv_{name}",
    )


def _csv(frame: pd.DataFrame) -> bytes:
    safe = frame.map(lambda value: safe_cell(value) if isinstance(value, str) else value)
    return safe.to_csv(index=False).encode()
