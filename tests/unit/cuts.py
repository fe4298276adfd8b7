"""Texts cut into pieces as streams cut them: anywhere."""

from collections.abc import Sequence

from hypothesis import strategies as st

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def cut(text: str, sizes: Sequence[int]) -> list[str]:
    """`text` in pieces of these sizes, which are taken in turn."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    return pieces
