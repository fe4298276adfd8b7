"""Draws the answers of all panes while they come: one loop, each pane's finished blocks once, its last one again.

What was drawn is kept for the tab, so that a run of the page in the middle of the answers draws the same elements
and goes on where it was.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import streamlit as st

from chatplay.compare.values import ComparisonView, PaneAnswer, Window
from chatplay.generation.values import GenerationEnd, LiveMetrics, Update
from chatplay.runtime import get_runtime
from chatplay.ui import gate, state, together
from chatplay.ui.blocks import BlockCutter
from chatplay.ui.compare.figures import live_line
from chatplay.ui.markdown import plain_markdown, safe_markdown, stable_part

Place = st.delta_generator.DeltaGenerator
_UPDATE_SEC = 1 / 30  # how often is looked; each pane is drawn less often
_DRAWINGS_A_SEC = 30  # of all panes together: what a page costs grows with them
_FIGURES_SEC, _LOOK_SEC = 0.5, 1.0
_FINISH_AFTER_SEC = 0.3
_PAINT_SEC = 0.04  # the browser paints the last words before it is given the figures and buttons
_LONG_CHARS = 60_000  # as plain text: no browser draws so much Markdown quickly
_BOLD = re.compile(r"(?<!\\)\*\*")


@dataclass
class Feed:
    """One answer as far as this tab knows it: blocks that are finished, and the cutter that holds the rest."""

    blocks: list[str] = field(default_factory=list)
    cutter: BlockCutter = field(default_factory=BlockCutter)
    seq: int = 0
    end: GenerationEnd | None = None
    live: LiveMetrics = field(default_factory=LiveMetrics)

    @property
    def is_over(self) -> bool:
        return self.end is not None

    def take(self, update: Update) -> None:
        if self.is_over:
            return
        self.seq, self.live, self.end = update.seq, update.live, update.end
        if finished := self.cutter.feed(update.text):
            self.blocks.append(finished)
        if update.end is not None and (rest := self.cutter.take()):
            self.blocks.append(rest)


class AnswerPlace:
    """Where one answer stands: as many elements as it has blocks. Elements of the answer before it are put away."""

    def __init__(self, place: Place, number: int) -> None:
        self._place = place
        self._number = number
        self._slots = [place.empty() for _ in range(state.compare().drawn.get(number, 1))]
        self._done = 0  # so many blocks stand as they will stay
        self._growing = ""
        self._drawn_sec = float("-inf")

    def draw(self, blocks: list[str], growing: str = "") -> None:
        """All blocks, and the one that still grows; what stands already is not sent again."""
        for number in range(self._done, len(blocks)):
            self._write(number, safe_markdown(blocks[number]))
            self._growing = ""
        self._done = len(blocks)
        if growing.strip():
            text = _closed(safe_markdown(stable_part(growing)))
            self._write(self._done, text)
            self._growing = text

    def _write(self, number: int, text: str) -> None:
        if text.strip() and text != self._growing:
            self._slot(number).markdown(text, anchors=False)

    def draw_growing(self, feed: Feed, *, now_sec: float, pause_sec: float) -> None:
        """As `draw`, not more often than each `pause_sec`, and at a pace that fits the length of the growing block;
        the end at once.
        """
        if feed.is_over or now_sec - self._drawn_sec >= max(pause_sec, feed.cutter.pause_sec / 2):
            self._drawn_sec = now_sec
            self.draw(feed.blocks, feed.cutter.live)

    def draw_whole(self, content: str) -> None:
        """An answer that is over and was not drawn in this tab while it came."""
        if len(content) > _LONG_CHARS:
            self._slot(0).text(content)
        elif content.strip():
            self.draw([content])

    def _slot(self, number: int) -> Place:
        while number >= len(self._slots):
            self._slots.append(self._place.empty())
        drawn = state.compare().drawn
        drawn[self._number] = max(drawn.get(self._number, 1), number + 1)
        return self._slots[number]


@dataclass(frozen=True)
class LivePlace:
    """What changes in one pane while its answer comes: its text and running figures; `finish` draws how it went.
    `window` is what its prompt takes of the model's.
    """

    answer: AnswerPlace
    figures: Place
    finish: Callable[[GenerationEnd], None]
    window: Window | None


def draw_answer(place: AnswerPlace, answer: PaneAnswer) -> None:
    """What there is of it: in the blocks in which this tab has drawn it, if it did."""
    feed = state.compare().feeds.get(answer.generation_id) if answer.generation_id else None
    if feed is None:
        place.draw_whole(answer.content)
    elif answer.is_coming:
        place.draw(feed.blocks, feed.cutter.live)
    elif "".join(feed.blocks) == answer.content and len(answer.content) <= _LONG_CHARS:
        place.draw(feed.blocks)
    else:
        place.draw_whole(answer.content)


def follow(view: ComparisonView, places: Mapping[UUID, LivePlace]) -> None:
    """Draws until every answer has ended, then draws the page anew. While names are hidden nothing is shown: how
    quickly the words come would tell the models apart.
    """
    _forget_earlier(view)
    feeds = {pane_id: _feed(answer) for pane_id, answer in view.answers.items() if answer.is_coming}
    after = {pane_id: feed.seq for pane_id, feed in feeds.items()}
    screen = _Screen(places, feeds, is_veiled=view.is_veiled)
    together.send()
    for news in _watched(get_runtime().compare.follow(view, interval_sec=_UPDATE_SEC, after=after)):
        for pane_id, update in news.items():
            feeds[pane_id].take(update)
        screen.draw()
    time.sleep(_PAINT_SEC)
    st.rerun()


class _Screen:
    """The panes whose answers are coming."""

    def __init__(self, places: Mapping[UUID, LivePlace], feeds: Mapping[UUID, Feed], *, is_veiled: bool) -> None:
        self._panes = {pane_id: (places[pane_id], feed) for pane_id, feed in feeds.items() if pane_id in places}
        self._is_veiled = is_veiled
        self._pause_sec = len(self._panes) / _DRAWINGS_A_SEC - _UPDATE_SEC / 2
        self._figures_sec = float("-inf")
        self._begun: set[UUID] = set()  # those whose first figures are told: not before the first text, not long after
        self._ended_sec: dict[UUID, float] = {}

    def draw(self) -> None:
        if self._is_veiled:
            return
        now_sec = time.monotonic()
        with_figures = now_sec - self._figures_sec >= _FIGURES_SEC
        self._figures_sec = now_sec if with_figures else self._figures_sec
        for pane_id, (place, feed) in self._panes.items():
            place.answer.draw_growing(feed, now_sec=now_sec, pause_sec=self._pause_sec)
            begins = feed.live.ttft_ms is not None and pane_id not in self._begun
            if (with_figures or begins) and feed.end is None:
                self._begun |= {pane_id} if begins else set()
                place.figures.caption(plain_markdown(live_line(feed.live, place.window)))
            if feed.end is not None:
                self._ended_sec.setdefault(pane_id, now_sec)
        self._finish(now_sec)

    def _finish(self, now_sec: float) -> None:
        """How it went, of those that have been over for a while: answers often end together, and the last words of
        all of them come first.
        """
        for pane_id, ended_sec in list(self._ended_sec.items()):
            place, feed = self._panes[pane_id]
            if feed.end is not None and now_sec - ended_sec >= _FINISH_AFTER_SEC:
                del self._panes[pane_id], self._ended_sec[pane_id]
                place.finish(feed.end)


def _forget_earlier(view: ComparisonView) -> None:
    """Feeds of answers that others have taken the place of would pile up with each run."""
    page, shown = state.compare(), {answer.generation_id for answer in view.answers.values()}
    page.feeds = {generation_id: feed for generation_id, feed in page.feeds.items() if generation_id in shown}


def _feed(answer: PaneAnswer) -> Feed:
    assert answer.generation_id is not None, "what is coming has a generation"
    feed: Feed = state.compare().feeds.setdefault(answer.generation_id, Feed())
    return feed


def _watched(updates: Iterator[dict[UUID, Update]]) -> Iterator[dict[UUID, Update]]:
    """`updates`, as long as the person is signed in."""
    looked_sec = time.monotonic()
    for news in updates:
        yield news
        now_sec = time.monotonic()
        if now_sec - looked_sec >= _LOOK_SEC:
            looked_sec = now_sec
            if not gate.still_signed_in():
                st.rerun()


def _closed(markdown: str) -> str:
    """Bold that is still open at the end of the last paragraph is closed, so that it does not show its asterisks."""
    last = markdown.rsplit("\n\n", 1)[-1]
    if len(_BOLD.findall(last)) % 2 == 0 or "`" in last:
        return markdown
    return f"{markdown.rstrip()}**" if not markdown.rstrip().endswith("**") else markdown.rstrip()[:-2]
