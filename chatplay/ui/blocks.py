"""Cuts a growing Markdown text where a block is finished, so that what was drawn is never drawn again.

A cut never falls inside a fence, a list, a table or a paragraph: drawing the pieces one below the other looks like
drawing the whole.
"""

from __future__ import annotations

import re

from chatplay.ui.markdown import block_tokens

_MIN_CHARS, _MORE_CHARS = 150, 40  # pieces grow with their number: few elements even for a long answer
_CALM_CHARS_PER_SEC, _MIN_SEC, _MAX_SEC = 20_000, 1 / 15, 0.5

# Code and tables cost the browser much each time they are drawn: they share a piece with nothing.
_COSTLY = re.compile(r"^[ \t>]*(?:```|~~~|\|)", re.MULTILINE)
# The first characters of a line that may still become a list item, rule, heading, quote, table or fence.
_UNDECIDED = re.compile(r"[\s>*+\-=#~`|_:\d.)]*\Z|[\s>]*(?:[*+\-=#~`|_]|\d)")


class BlockCutter:
    """Takes a text as it comes; `live` is the part that may still change, all before it is final."""

    def __init__(self, *, min_chars: int = _MIN_CHARS, more_chars: int = _MORE_CHARS) -> None:
        self.live = ""
        self._min_chars = min_chars
        self._more_chars = more_chars
        self._tried = 0

    def feed(self, text: str) -> str:
        """Adds `text`; returns what is finished now, often nothing. Pieces and `live` joined are the whole text."""
        self.live += text
        ready = _decided(self.live)
        is_costly = _COSTLY.search(self.live) is not None
        if ready <= (self._tried if is_costly else max(self._min_chars, self._tried)):
            return ""
        # A long block is looked at again only once it has grown a bit, so that the work stays linear.
        self._tried = ready + len(self.live) // 64
        cut = _last_start(self.live[:ready])
        if cut == 0 or (cut < self._min_chars and not is_costly):
            return ""
        finished, self.live = self.live[:cut], self.live[cut:]
        self._min_chars += self._more_chars
        self._tried = 0
        return finished

    def take(self) -> str:
        """The live part, at the end of the text."""
        rest, self.live = self.live, ""
        return rest

    @property
    def pause_sec(self) -> float:
        """How long to wait before the live part is drawn again: the longer it is, the more calmly."""
        return min(max(len(self.live) / _CALM_CHARS_PER_SEC, _MIN_SEC), _MAX_SEC)


def _decided(text: str) -> int:
    """Length of the part whose lines can no longer turn into something else."""
    start = text.rfind("\n") + 1
    return start if _UNDECIDED.match(text, start) or text[start : start + 1].isspace() else len(text)


def _last_start(text: str) -> int:
    """Where the last top-level block begins; 0 when there is only one."""
    line = max((token.map[0] for token in block_tokens(text) if token.level == 0 and token.map), default=0)
    if line == 0:
        return 0
    at = 0
    for _ in range(line):
        at = text.index("\n", at) + 1
    return at
