"""What the fields of the Plan tab share: their errors, and what may not be meant."""

from __future__ import annotations

import streamlit as st

from chatplay.experiments.values import Preview
from chatplay.ui.experiments.plan.draft import Draft, errors_of
from chatplay.ui.markdown import message_markdown


def draw_errors(draft: Draft, *fields: str) -> None:
    """What keeps the plan from starting because of these fields."""
    found = errors_of(draft.preview)
    draw_error(*(text for name in fields for text in found.get(name, ())))


def draw_error(*texts: str) -> None:
    """Under the field that they are about."""
    for text in texts:
        if text:
            st.markdown(f":red[:material/error: {message_markdown(text)}]")


def draw_warnings(preview: Preview) -> None:
    """What may not be meant, though the plan can start."""
    for warning in preview.warnings[:10]:
        text = f"{warning.message} {warning.cure}".strip()
        st.markdown(f":orange[:material/warning: {message_markdown(text)}]")
