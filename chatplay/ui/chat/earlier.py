"""Messages before the last ones, on demand: a page of them with all that can be done with them, the rest as text.

Elements cost the browser time as long as they stand, and the app in each run: however many were asked for, few are
drawn whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from chatplay.chats.values import MessageRecord
from chatplay.ui import state
from chatplay.ui.chat import actions as chat_actions
from chatplay.ui.chat import transcript

WHOLE = 12


def draw(older: Sequence[MessageRecord], *, cut: int | None) -> None:
    """`cut`: before which of them a line says that what stands above was left out."""
    first = _first_whole(older)
    last = min(first + WHOLE, len(older))
    for start in range(first % WHOLE - WHOLE, first, WHOLE):
        _draw_folded(older[max(start, 0) : start + WHOLE])
    for place in range(first, last):
        if place == cut:
            transcript.draw_cut()
        transcript.draw_message(older[place], before=older[place - 1] if place else None)
    for start in range(last, len(older), WHOLE):
        _draw_folded(older[start : start + WHOLE])


def _first_whole(older: Sequence[MessageRecord]) -> int:
    wanted = state.chat().whole_from
    at = next((place for place, message in enumerate(older) if message.id == wanted), None)
    return max(len(older) - WHOLE, 0) if at is None else at


def _draw_folded(messages: Sequence[MessageRecord]) -> None:
    if not messages:
        return
    first = messages[0].id
    st.button(
        "Show from here", key=f"chat_from_{first}", type="tertiary", on_click=chat_actions.show_from, args=(first,)
    )
    transcript.draw_folded(messages)
