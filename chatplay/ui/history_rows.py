"""The rows of a history in the sidebar, of chats and comparisons alike: by day, each with its menu."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Literal
from uuid import UUID

import streamlit as st

from chatplay.ui import format, state
from chatplay.ui.markdown import plain_markdown
from chatplay.ui.people import viewer_zone
from db.chats import ChatSummary
from db.compare import ComparisonSummary

_MENU = {"rename": "Rename", "delete": "Delete"}


@dataclass(frozen=True)
class Rows:
    """`on_open` gets the id of a row; `on_menu` its id, its title and the key of the menu that holds the choice."""

    kind: Literal["chat", "compare"]
    on_open: Callable[..., None]
    on_menu: Callable[..., None]

    def draw(
        self, found: Sequence[ChatSummary | ComparisonSummary], current: UUID | None, *, named: str | None = None
    ) -> None:
        """As they are sorted, each day under its name. `named`: the day whose name stands above them already."""
        for day, group in groupby(found, key=lambda row: day_of(row.updated_at)):
            if day != named:
                st.caption(day)
            for row in group:
                self.draw_row(row, is_current=row.id == current)

    def draw_row(self, row: ChatSummary | ComparisonSummary, *, is_current: bool) -> None:
        marks = f"{'now_' if is_current else ''}{'rtl_' if is_right_to_left(row.title or '') else ''}"
        key = f"chat_row_{marks}{row.id}"  # as the stylesheet knows both kinds
        with st.container(key=key, horizontal=True, gap=None, vertical_alignment="center", wrap=False):
            st.button(
                plain_markdown(row.title or "Untitled"),
                key=f"{self.kind}_open_{row.id}",
                type="tertiary",
                icon="spinner" if row.streaming and not is_current else None,
                width="stretch",
                on_click=self.on_open,
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
                on_click=self.on_menu,
                args=(row.id, row.title, menu_key),
            )


def day_of(moment: datetime) -> str:
    """The name of the day it belongs to, in the viewer's zone: `Today`, `Yesterday`, ..."""
    return format.day_group(moment, now=format.now_utc(), tz=viewer_zone(state.person()))


def is_right_to_left(text: str) -> bool:
    """Whether `text` is read from right to left: its first character that has a direction decides."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((way for way in directions if way in ("L", "R", "AL")), "L") != "L"
