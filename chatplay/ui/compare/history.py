"""The left column of the compare page: the person's comparisons by day, the one touched last on top."""

from __future__ import annotations

from itertools import groupby
from uuid import UUID

import streamlit as st

from chatplay.errors import StoreError
from chatplay.runtime import get_runtime
from chatplay.ui import format, state
from chatplay.ui.chat.history import viewer_zone
from chatplay.ui.compare import actions as compare_actions
from chatplay.ui.markdown import plain_markdown
from db.compare import ComparisonSummary

_PAGE_ROWS = 20
_MENU = {"rename": "Rename", "delete": "Delete"}


def draw(current: UUID | None) -> None:
    """Title, "+ New comparison", search, the list."""
    with st.sidebar, st.container(key="compare_history", gap="xsmall"):
        st.markdown("**Comparisons**")
        st.button(
            "\\+ New comparison",
            key="compare_new",
            width="stretch",
            type="primary",
            shortcut="Alt+Shift+N",
            on_click=compare_actions.new,
        )
        search = st.text_input(
            "Search comparisons",
            key="compare_search",
            type="search",
            placeholder="Search",
            label_visibility="collapsed",
            live="300ms",
        )
        try:
            _draw_list(search or "", current)
        except StoreError as error:
            st.caption(f"The history cannot be read. {plain_markdown(error.message)}")


def _draw_list(search: str, current: UUID | None) -> None:
    limit = _PAGE_ROWS * state.compare().more
    rows = get_runtime().compare.list_comparisons(user_id=state.person().id, search=search, limit=limit + 1)
    if not rows:
        st.caption("No comparison holds these words." if search else "Your comparisons will be listed here.")
    tz, now = viewer_zone(), format.now_utc()
    for day, group in groupby(rows[:limit], key=lambda row: format.day_group(row.updated_at, now=now, tz=tz)):
        st.caption(day)
        for row in group:
            _draw_row(row, is_current=row.id == current)
    if len(rows) > limit:
        st.button("Show more", key="compare_more", type="tertiary", on_click=compare_actions.more)


def _draw_row(row: ComparisonSummary, *, is_current: bool) -> None:
    key = f"chat_row_{'now_' if is_current else ''}{row.id}"  # the look of the chat's history
    with st.container(key=key, horizontal=True, gap=None, vertical_alignment="center", wrap=False):
        st.button(
            plain_markdown(row.title or "Untitled"),
            key=f"compare_open_{row.id}",
            type="tertiary",
            icon="spinner" if row.streaming and not is_current else None,
            width="stretch",
            on_click=compare_actions.open_comparison,
            args=(row.id,),
        )
        menu_key = f"chat_icon_row_{row.id}"
        st.menu_button(
            "Rename or delete",
            list(_MENU),
            key=menu_key,
            type="tertiary",
            icon=":material/more_vert:",
            format_func=lambda name: _MENU.get(name, name),
            on_click=compare_actions.ask,
            args=(row.id, row.title, menu_key),
        )


# ---- dialogs -----------------------------------------------------------------------------------


def draw_dialog() -> None:
    """The dialog that was asked for, if any."""
    page = state.compare()
    if page.dialog is None:
        return
    (name, about), page.dialog = page.dialog, None
    {"rename": _rename, "delete": _delete}[name](*about)


@st.dialog("Delete this comparison", on_dismiss="rerun")
def _delete(comparison_id: UUID, title: str) -> None:
    st.markdown(
        f"**{plain_markdown(title or 'Untitled')}** is deleted with its answers, figures and votes. "
        "This cannot be undone."
    )
    _buttons("Delete comparison", compare_actions.delete, comparison_id)


@st.dialog("Rename this comparison", on_dismiss="rerun")
def _rename(comparison_id: UUID, title: str) -> None:
    key = f"compare_title_{comparison_id}"
    st.text_input("Title", title, key=key, max_chars=200)
    _buttons("Rename", compare_actions.rename, comparison_id, key)


def _buttons(verb: str, act: object, *args: object) -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", key="compare_dialog_cancel", on_click=compare_actions.close_dialog)
        st.button(verb, key="compare_dialog_yes", type="primary", on_click=act, args=args)  # type: ignore[arg-type]
