"""What a page shows in its own place while the database is away."""

from __future__ import annotations

import streamlit as st

from chatplay.errors import StoreError
from chatplay.ui.markdown import message_markdown


def draw_away(error: StoreError, unharmed: str = "", *, key: str) -> None:
    """What is wrong and what helps, and a button that draws the page again. `unharmed` says that nothing is lost."""
    text = f"**{message_markdown(error.message)}** {message_markdown(error.cure)} {unharmed}"
    st.error(text.rstrip(), icon=":material/database_off:")
    st.button("Try again", type="primary", key=key)
