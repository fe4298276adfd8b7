"""Draws an answer while it comes: finished blocks once, the growing one through st.write_stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import streamlit as st

from chatplay.generation.values import GenerationEnd, LiveMetrics, Update
from chatplay.ui.blocks import BlockCutter
from chatplay.ui.markdown import safe_markdown, stable_part

Clock = Callable[[], float]
_PAINT_SEC, _PAINT_SEC_PER_OTHER, _LONGEST_PAINT_SEC, _LONGEST_WAIT_SEC = 0.04, 0.012, 0.5, 0.2


class Crowd:
    """The pages of this process that draw an answer at this moment.

    What follows the last words of one, figures and buttons, costs ten times what the words cost: where many answers
    end together, everybody's last words come first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    @property
    def wait_sec(self) -> float:
        """How much longer than usual to put off what is no part of an answer."""
        return min(_PAINT_SEC_PER_OTHER * max(self._count - 1, 0), _LONGEST_WAIT_SEC)

    @property
    def paint_sec(self) -> float:
        """How long to leave the browser and the others alone after the last words."""
        return min(_PAINT_SEC + _PAINT_SEC_PER_OTHER * max(self._count - 1, 0), _LONGEST_PAINT_SEC)


class AnswerFeed:
    """Turns updates into what `st.write_stream` appends, one block after the other.

    `block` is the current block's whole text once it is finished, `shown` what was yielded of it, escaped.
    """

    def __init__(self, updates: Iterator[Update], *, on_news: Callable[[LiveMetrics], None], clock: Clock) -> None:
        self.end: GenerationEnd | None = None
        self.block: str | None = None
        self.shown = ""
        self._ran_dry = False  # the updates ended before the answer did
        self._updates = updates
        self._on_news = on_news
        self._clock = clock
        self._cutter = BlockCutter()
        self._shown_sec = float("-inf")  # the first text is drawn at once

    def pieces(self) -> Iterator[str]:
        """Ends with the block, or when what was yielded would now be written differently: then start over."""
        self.shown = ""
        yield from self._news(self._target())
        for update in self._updates:
            self._take(update)
            if self.block is None and self._clock() - self._shown_sec < self._cutter.pause_sec / 2:
                continue
            target = self._target()
            if not target.startswith(self.shown):
                return
            yield from self._news(target)
            if self.block is not None:
                return
        self._ran_dry = True
        self.block = self._cutter.take()

    def advance(self) -> bool:
        """On to the next block; False when the answer is over, or no more of it will be told."""
        self.block, self.shown = None, ""
        if self.end is not None:
            self.block = self._cutter.take() or None
            return self.block is not None
        return not self._ran_dry

    def _take(self, update: Update) -> None:
        self.end = update.end
        self.block = self._cutter.feed(update.text) or None
        if self.block is None and self.end is not None:
            self.block = self._cutter.take()
        self._on_news(update.live)

    def _target(self) -> str:
        return safe_markdown(stable_part(self._cutter.live) if self.block is None else self.block)

    def _news(self, target: str) -> Iterator[str]:
        if len(target) > len(self.shown) and target.strip():
            news = target[len(self.shown) :]
            self.shown, self._shown_sec = target, self._clock()
            yield news


def write_answer(
    updates: Iterator[Update],
    *,
    on_news: Callable[[LiveMetrics], None] = lambda _live: None,
    clock: Clock = time.monotonic,
) -> tuple[GenerationEnd | None, tuple[str, ...]]:
    """Draws the answer here to its end; returns that, and the Markdown of each block, escaped. Touching a widget
    meanwhile ends the drawing, never the answer.
    """
    feed = AnswerFeed(updates, on_news=on_news, clock=clock)
    blocks = []
    more = True
    while more:
        slot = st.empty()
        while feed.block is None:
            slot.write_stream(feed.pieces())
        final = safe_markdown(feed.block)
        if final.strip() and final != feed.shown:
            slot.markdown(final, anchors=False)
        blocks.append(final)
        more = feed.advance()
    return feed.end, tuple(blocks)


def draw_blocks(blocks: Iterable[str]) -> None:
    """What `write_answer` drew, in the same shape: the browser keeps what is selected in it."""
    for block in blocks:
        if block.strip():
            st.markdown(block, anchors=False)
        else:
            st.empty()
