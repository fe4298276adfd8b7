"""The cases of a plan: edited in a table, pasted or uploaded; what is wrong is said with row and column."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import pandas as pd
import streamlit as st

from chatplay import templates
from chatplay.errors import BadInput
from chatplay.experiments import cases as reader
from chatplay.experiments.values import EXPECTED, CaseTable
from chatplay.ui import state
from chatplay.ui.experiments.plan.draft import Draft, edited_rows, is_blank
from chatplay.ui.experiments.plan.fields import draw_error, draw_errors

_WAYS = ("Table", "Paste", "Upload")
_EDITABLE_ROWS = 1_000  # the editor sends all its rows with every run
_KINDS = ["csv", "tsv", "txt", "xlsx", "xlsm", "jsonl", "ndjson", "json"]
_EXAMPLE = "question,expected\nWhat is 2 + 2?,4\nThe capital of France?,Paris"


def collect(draft: Draft) -> None:
    """Takes over what was typed into the table."""
    delta = state.widget_value(_editor_key(draft))
    if delta is None:
        return
    edited = edited_rows(draft.table, delta)
    if edited == draft.cases:
        return
    try:
        draft.cases, draft.cases_error = checked(edited), ""
    except BadInput as error:
        draft.cases_error = str(error)


def checked(table: CaseTable) -> CaseTable:
    """`table`, or BadInput for a cell that can't be stored or sent."""
    if not all(map(is_blank, table.rows)):
        lines = (json.dumps(table.values(row), ensure_ascii=False) for row in range(len(table)))
        reader.read_text("\n".join(lines))
    return table


def draw(draft: Draft) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader("Cases", anchor=False, width="content")
        st.caption(f"{len(draft.cases):,}" if len(draft.cases) else "", width="content")
        way = st.segmented_control(
            "How to enter cases", _WAYS, required=True, key=_way_key(draft),
            label_visibility="collapsed",
        )  # fmt: skip
    with st.container():
        draw_error(draft.cases_error)
        if len(draft.cases) and not draft.cases_error:
            draw_errors(draft, "cases")
    {"Table": _draw_table, "Paste": _draw_paste, "Upload": _draw_upload}[way or "Table"](draft)


def _draw_table(draft: Draft) -> None:
    if not draft.table.columns:
        draft.replace_cases(CaseTable(_first_columns(draft)))
    if draft.table != draft.cases and _editor_key(draft) not in st.session_state:
        draft.replace_cases(draft.cases)  # an editor that was out of sight has forgotten what was typed into it
    config = {name: st.column_config.TextColumn(name) for name in draft.table.columns}
    if len(draft.table) > _EDITABLE_ROWS:
        st.dataframe(_frame(draft.table), hide_index=False, column_config=config, height=320)
        st.caption(f"More than {_EDITABLE_ROWS:,} cases are changed in their file: upload it again.")
    else:
        st.data_editor(
            _frame(draft.table),
            key=_editor_key(draft),
            num_rows="dynamic",
            placeholder="",
            hide_index=len(draft.table) == 0,
            height=min(400, 76 + 35 * max(len(draft.table), 1)),
            column_config=config,
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.popover("Columns", icon=":material/view_column:"):
            st.multiselect(
                "Columns",
                draft.table.columns,
                draft.table.columns,
                accept_new_options=True,
                key=draft.key(f"columns_{draft.edition}"),
                on_change=_columns_changed,
                args=(draft,),
                help="Type a name to add one. A prompt uses it as {{name}}; rules compare with `expected`.",
            )
        if len(draft.cases):
            st.button("Remove all", key=draft.key("clear"), type="tertiary", on_click=_clear, args=(draft,))
        elif _needs_no_values(draft):
            st.button("Use one case without values", key=draft.key("one_case"), on_click=_one_case, args=(draft,))


def _draw_paste(draft: Draft) -> None:
    key = draft.key("pasted")
    st.text_area(
        "Pasted cases",
        key=key,
        height=160,
        placeholder=_EXAMPLE,
        label_visibility="collapsed",
        help="CSV, cells copied from a sheet, or JSON lines. The first row names the columns.",
    )
    st.button(_use_label(draft), key=draft.key("use_pasted"), on_click=_use_pasted, args=(draft, key))
    st.caption("CSV, cells copied from a sheet, or one JSON object a line. The first row names the columns.")


def _draw_upload(draft: Draft) -> None:
    key = draft.key(f"upload_{draft.edition}")
    st.file_uploader(
        "A file with cases",
        _KINDS,
        key=key,
        on_change=_use_upload,
        args=(draft, key),
        label_visibility="collapsed",
        max_upload_size=reader.MAX_BYTES // 1_000_000,
    )
    st.caption(
        f"CSV, XLSX or JSONL, up to {reader.MAX_ROWS:,} cases. The first row names the columns; a file takes the place "
        "of the cases that are there."
    )


def _use_label(draft: Draft) -> str:
    count = len(draft.cases)
    if count == 1:
        return "Replace the case"
    return f"Replace the {count:,} cases" if count else "Use these cases"


def _first_columns(draft: Draft) -> tuple[str, ...]:
    """For a table nobody has begun: what the prompts ask for, and what rules compare with."""
    texts = [text for one in draft.prompts for text in (one.prompt, one.system_prompt)]
    return tuple(dict.fromkeys((*templates.variables(*texts), EXPECTED)))


def _needs_no_values(draft: Draft) -> bool:
    """Prompts without variables ask the same in every case, so one is enough."""
    texts = [text for one in draft.prompts for text in (one.prompt, one.system_prompt)]
    return any(text.strip() for text in texts) and not templates.variables(*texts)


def _frame(table: CaseTable) -> pd.DataFrame:
    frame = pd.DataFrame(list(table.rows), columns=list(table.columns), dtype="object")
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="Case")
    return frame


def _way_key(draft: Draft) -> str:
    key = draft.key("way")
    if state.widget_value(key) is None:
        state.set_widget_value(key, "Table")
    return key


def _editor_key(draft: Draft) -> str:
    return draft.key(f"cases_{draft.edition}")


# ---- what the buttons do -----------------------------------------------------------------------


def add_columns(draft: Draft, names: Sequence[str]) -> None:
    """Empty columns at the right, for variables that have none."""
    collect(draft)
    table = draft.cases if draft.cases.columns else CaseTable(_first_columns(draft))
    new = [name for name in names if name not in table.columns]
    draft.replace_cases(_with_columns(table, (*table.columns, *new)))


def _columns_changed(draft: Draft) -> None:
    names = state.widget_value(draft.key(f"columns_{draft.edition}")) or []
    collect(draft)
    table = draft.cases if draft.cases.columns else draft.table
    bad = next((name for name in names if not templates.is_name(name.strip())), None)
    draft.replace_cases(_with_columns(table, dict.fromkeys(name.strip() for name in names if name != bad)))
    if bad is not None:
        draft.cases_error = (
            f"No variable can be called `{bad[:60]}`. Begin it with a letter; letters, digits, `_`, `-`, `.` and "
            "single spaces may follow."
        )


def _with_columns(table: CaseTable, names: Iterable[str]) -> CaseTable:
    columns = tuple(names)
    rows = (tuple(table.values(row).get(name, "") for name in columns) for row in range(len(table)))
    return CaseTable(columns, tuple(rows))


def _clear(draft: Draft) -> None:
    draft.replace_cases(CaseTable(draft.cases.columns))


def _one_case(draft: Draft) -> None:
    columns = draft.table.columns or (EXPECTED,)
    draft.replace_cases(CaseTable(columns, (("",) * len(columns),)))


def _use_pasted(draft: Draft, key: str) -> None:
    _take(draft, lambda: reader.read_text(state.widget_value(key) or ""))


def _use_upload(draft: Draft, key: str) -> None:
    file = state.widget_value(key)
    if file is not None:
        _take(draft, lambda: reader.read_file(file.getvalue(), name=file.name))


def _take(draft: Draft, read: Callable[[], CaseTable]) -> None:
    """The cases read, or why they can't be; those that are there stay until then."""
    try:
        table = read()
    except BadInput as error:
        draft.cases_error = str(error)
        return
    draft.replace_cases(table)
    state.set_widget_value(draft.key("way"), "Table")
