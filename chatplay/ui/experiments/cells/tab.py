"""The Cases tab: a row for each case, a column for each arm; a chosen cell opens with all its repeats.

The open cell lives in the address (`case` and `arm`, counted from 1), so it can be shared and reloaded; so does whose
scores are shown, which is the same choice as on the Results tab.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from chatplay.experiments.values import CasePage, CellFilter, CellLine, Experiment
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import state
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments import words as experiments_words
from chatplay.ui.experiments.cells import view as cells_view
from chatplay.ui.experiments.cells.view import Spot
from chatplay.ui.experiments.results.data import about, scores_of
from chatplay.ui.tables import rows_key, table_height

_PAGE = 25
_SNIPPET_CHARS = 120
_FILTERS: dict[CellFilter, str] = {
    "all": "All",
    "arms_differ": "Arms differ",
    "repeats_differ": "Repeats differ",
    "failed": "Failed",
    "scored": "Scored",
    "not_scored": "Not scored",
}
_EMPTY: dict[CellFilter, str] = {
    "all": "No case holds this text. A shorter one finds more.",
    "arms_differ": "All arms did alike on these cases. Show all cases to see them.",
    "repeats_differ": "Repeats gave the same answer everywhere. Show all cases to see them.",
    "failed": "No trial failed.",
    "scored": "No answer has a score of this kind yet. Choose other scores, or score answers on the Review tab.",
    "not_scored": "Every case has a score of this kind.",
}


def draw(experiment: Experiment, token: str | None) -> None:
    """The table, or the cell that the address names."""
    spot = cells_view.asked(experiment)
    if spot is not None:
        cells_view.draw(experiment, token, spot)
        return
    scored_by, only, search, shown = _draw_filters(experiment, token)
    place = st.container()
    page_key = _key(experiment, f"page_{scored_by}_{only}_{search}")
    number = state.widget_value(page_key) or 1
    page = get_runtime().experiments.list_cells(
        **about(experiment, token),
        only=only,
        scored_by=scored_by,
        search=search,
        offset=(number - 1) * _PAGE,
        limit=_PAGE,
    )
    pages = max(1, -(-page.total // _PAGE))
    with place:
        _draw_count(experiment, page)
        if page.lines:
            _draw_table(experiment, page, shown)
        else:
            st.caption(_EMPTY["all" if search else only])
    if pages > 1:
        st.pagination(pages, key=page_key)


def _draw_filters(experiment: Experiment, token: str | None) -> tuple[str, CellFilter, str, str]:
    judges = [one for one in get_runtime().experiments.list_judges(**about(experiment, token)) if not one.is_withdrawn]
    whose = scores_of(experiment, judges)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="experiments_cells_filters"):
        only: CellFilter = st.segmented_control(
            "Cases",
            list(_FILTERS),
            format_func=_FILTERS.__getitem__,
            default="all",
            required=True,
            key=_key(experiment, "only"),
        )
        shown = st.segmented_control(
            "Shown",
            list(_WRITERS),
            default="Score" if experiment.plan.rules else "Answer",
            required=True,
            key=_key(experiment, "shown"),
        )
        scored_by = st.selectbox(
            "Scores",
            list(whose),
            format_func=lambda name: whose.get(name, name),
            **experiments_state.in_address("scores", _key(experiment, "scores"), {name: name for name in whose}),
            width=200,
            help="Who scored the answers: what Score shows, and by what arms differ.",
        )
        search = st.text_input("Search the cases", key=_key(experiment, "search"), type="search", width=260)
    return scored_by, only, search.strip(), shown


def _draw_count(experiment: Experiment, page: CasePage) -> None:
    if page.total == experiment.cases:
        st.caption(f"{fmt.many(page.total, 'case')}. Choose a cell to see its answers.")
    elif page.total:
        st.caption(f"{page.total:,} of {fmt.many(experiment.cases, 'case')}. Choose a cell.")


# ---- the table ---------------------------------------------------------------------------------


def _draw_table(experiment: Experiment, page: CasePage, shown: str) -> None:
    columns = _case_columns(experiment)
    arms = _arm_columns(experiment, columns)
    frame = pd.DataFrame([_row(line, columns, arms, _WRITERS[shown]) for line in page.lines])
    key = rows_key(_key(experiment, f"table_{shown}"), [line.case.number for line in page.lines])
    align: Any = "left" if shown == "Answer" else "right"
    st.dataframe(
        frame,
        hide_index=True,
        key=key,
        height=table_height(len(frame), most=_PAGE),
        on_select=lambda: _choose(key, page, list(arms)),
        selection_mode="single-cell",
        column_config={
            "Case": st.column_config.NumberColumn(pinned=True, width=60),
            **{name: st.column_config.TextColumn(alignment=align, width=_width(shown)) for name in arms},
        },
    )


def _width(shown: str) -> int | None:
    return 260 if shown == "Answer" else None


def _case_columns(experiment: Experiment) -> dict[str, str]:
    """The cases' columns under titles of their own: none is called as the number of the case."""
    return {name: name if name != "Case" else "Case (column)" for name in experiment.case_columns}


def _arm_columns(experiment: Experiment, columns: dict[str, str]) -> list[str]:
    names = experiments_words.arm_names(experiment.arms)
    taken = {"Case", *columns.values()}
    return [f"{name} (arm {place + 1})" if name in taken else name for place, name in enumerate(names)]


def _row(line: Any, columns: dict[str, str], arms: list[str], write: Callable[[CellLine], str]) -> dict[str, Any]:
    row: dict[str, Any] = {"Case": line.case.number + 1}
    row |= {title: _one_line(line.case.values.get(name, "")) for name, title in columns.items()}
    cells = {cell.arm: cell for cell in line.cells}
    return row | {title: _cell_text(cells.get(arm), write) for arm, title in enumerate(arms)}


def _cell_text(cell: CellLine | None, write: Callable[[CellLine], str]) -> str:
    if cell is None:
        return "not run"
    if not cell.done:
        return "failed" if cell.failed else "waiting"
    return write(cell) + (f", {cell.failed} failed" if cell.failed else "")


def _score(cell: CellLine) -> str:
    return fmt.UNKNOWN if cell.score is None else f"{cell.score:.2f}"


def _answer(cell: CellLine) -> str:
    return _one_line(cell.text or "")


def _different(cell: CellLine) -> str:
    return f"{cell.distinct_answers} of {cell.done}"


def _duration(cell: CellLine) -> str:
    return fmt.duration(cell.duration_ms)


_WRITERS: dict[str, Callable[[CellLine], str]] = {
    "Score": _score,
    "Answer": _answer,
    "Different answers": _different,
    "Duration": _duration,
}


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SNIPPET_CHARS else f"{line[: _SNIPPET_CHARS - 3]}..."


def _choose(key: str, page: CasePage, arms: list[str]) -> None:
    """The callback of the table: the chosen cell opens; a cell of the case's own columns opens its first arm."""
    cells = state.widget_value(key).selection.cells
    if not cells:
        return
    row, column = cells[0]
    if row < len(page.lines):
        cells_view.open_cell(Spot(page.lines[row].case.number, arms.index(column) if column in arms else 0))


def _key(experiment: Experiment, name: str) -> str:
    return state.experiments_key(f"cells_{name}_{experiment.id}")
