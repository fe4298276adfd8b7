"""Two texts laid over each other: what was taken out is struck through, what came in is underlined."""

from __future__ import annotations

from functools import lru_cache
from html import escape

import streamlit as st

from chatplay.diffs import Diff, Piece, word_diff

_TAGS = {"removed": "del", "added": "ins"}


def draw(left: str, right: str) -> None:
    """The difference, and that it is not exact where that would take too long."""
    found = find(left, right)
    st.html(f'<div class="compare-diff">{"".join(map(_piece_html, found.pieces))}</div>')
    if found.is_rough:
        st.caption(
            "These texts are too long, or repeat themselves too much, to be compared exactly: some of what is marked "
            "may be in both."
        )


@lru_cache(maxsize=64)
def find(left: str, right: str) -> Diff:
    """The difference, kept for the next run of the page."""
    return word_diff(left, right)


def _piece_html(piece: Piece) -> str:
    """Safe for st.html: the text is escaped."""
    text, tag = escape(piece.text), _TAGS.get(piece.kind)
    return f"<{tag}>{text}</{tag}>" if tag else text
