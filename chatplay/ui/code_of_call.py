"""A call as a program that makes it again: to read, to copy, in the language one chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.snippets import Language
from chatplay.ui.markdown import message_markdown

_LANGUAGES: Mapping[Language, tuple[str, str]] = {"curl": ("curl", "bash"), "python": ("Python", "python")}


def draw(write: Callable[[Language], str], *, key: str) -> None:
    """The program that `write` gives, or why there is none; `key` is that of the choice of language."""
    language: Language = st.segmented_control(
        "Language",
        list(_LANGUAGES),
        format_func=lambda name: _LANGUAGES[name][0],
        default="curl",
        required=True,
        key=key,
        label_visibility="collapsed",
    )
    try:
        code = write(language)
    except ChatplayError as error:
        st.info(message_markdown(str(error)))
        return
    st.code(code, language=_LANGUAGES[language][1])
