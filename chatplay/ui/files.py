"""A table as a file to take away."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from chatplay.sheets import BOM, csv_lines


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
    known = frame.astype(object).where(frame.notna(), None)
    return (BOM + csv_lines([list(known.columns), *known.itertuples(index=False, name=None)])).encode()
