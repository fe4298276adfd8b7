"""The left column of the compare page: the person's comparisons by day, the one touched last on top."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from chatplay.errors import StoreError
from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.compare import actions as compare_actions
from chatplay.ui.history_rows import Rows
from chatplay.ui.markdown import plain_markdown

_PAGE_ROWS = 20
_ROWS = Rows("compare", compare_actions.open_comparison, compare_actions.ask)


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
    _ROWS.draw(rows[:limit], current)
    if len(rows) > limit:
        st.button("Show more", key="compare_more", type="tertiary", on_click=compare_actions.more)


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
    _buttons("Delete comparison", compare_actions.delete, comparison_id, key="compare_dialog_destroy")


@st.dialog("Rename this comparison", on_dismiss="rerun")
def _rename(comparison_id: UUID, title: str) -> None:
    key = f"compare_title_{comparison_id}"
    st.text_input("Title", title, key=key, max_chars=200)
    _buttons("Rename", compare_actions.rename, comparison_id, key)


def _buttons(verb: str, act: object, *args: object, key: str = "compare_dialog_yes") -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", key="compare_dialog_cancel", on_click=compare_actions.close_dialog)
        st.button(verb, key=key, type="primary", on_click=act, args=args)  # type: ignore[arg-type]
