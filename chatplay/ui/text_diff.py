"""Two texts laid over each other: what was taken out is struck through, what came in is underlined."""

from __future__ import annotations

from functools import lru_cache
from html import escape

from chatplay.diffs import Piece, word_diff

_TAGS = {"removed": "del", "added": "ins"}


@lru_cache(maxsize=64)
def diff_html(left: str, right: str) -> str:
    """For st.html; the texts are escaped."""
    return f'<div class="compare-diff">{"".join(map(_piece_html, word_diff(left, right)))}</div>'


def _piece_html(piece: Piece) -> str:
    text, tag = escape(piece.text), _TAGS.get(piece.kind)
    return f"<{tag}>{text}</{tag}>" if tag else text
