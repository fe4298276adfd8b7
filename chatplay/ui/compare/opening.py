"""Which comparison the page shows: the one in the address, else the one of this tab, else the one touched last."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from chatplay.compare.values import ComparisonView
from chatplay.errors import NotFound
from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.state import CompareState, Notice

PARAM = "comparison"


def open_view(page: CompareState) -> ComparisonView:
    """The comparison to show, read anew; the address says which from now on. Raises NotFound when there is none and
    no model runs for a first one.
    """
    wanted = _wanted(page)
    was_open = wanted == page.comparison_id
    if not was_open:
        page.open(wanted)
    service = get_runtime().compare
    try:
        view = service.open(**state.me(), comparison_id=page.comparison_id)
    except NotFound:
        if page.comparison_id is None:
            raise
        page.open(None)
        view = service.open(**state.me(), comparison_id=None)
        page.notice = _not_found(was_open=was_open)
    page.comparison_id, page.address = view.comparison.id, str(view.comparison.id)
    if st.query_params.get(PARAM) != page.address:
        st.query_params[PARAM] = page.address
    return view


def _wanted(page: CompareState) -> UUID | None:
    """The id in the address wins when it changed; what is no id is as missing as what is not mine."""
    text = st.query_params.get(PARAM)
    if text is None or text == page.address:
        return page.comparison_id
    page.address = text
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)  # no comparison has it


def _not_found(*, was_open: bool) -> Notice:
    if was_open:
        return Notice("This comparison was deleted in another tab or browser.", "Here is another one.", kind="warning")
    return Notice("There is no such comparison.", "It was deleted, or the address is not one of yours.", kind="warning")
