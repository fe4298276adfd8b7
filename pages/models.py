"""The model servers: what runs, how well, with which models; administrators add, change and remove servers here."""

from __future__ import annotations

import streamlit as st

from chatplay.ui import state
from chatplay.ui.models import admin as models_admin
from chatplay.ui.models import board as models_board


def draw() -> None:
    person = state.person()
    st.title("Models", anchor=False)
    st.caption(
        "Each model server is asked every few seconds whether it is well. The model selector of a new chat offers what "
        "runs; this page brings itself up to date."
    )
    models_board.draw_search()
    models_board.draw()
    if person.is_administrator:
        models_admin.draw()


draw()
