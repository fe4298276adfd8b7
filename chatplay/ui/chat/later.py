"""While an answer comes: what was put off for its sake, how long it has been waited for, and its figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from chatplay.generation.live import usual_patience
from chatplay.generation.values import LiveMetrics
from chatplay.ui import together
from chatplay.ui.chat import header
from chatplay.ui.chat.live import Crowd

_FIGURES_SEC = 0.5
_SHORTEST_SEC = 0.01
_WAITING = (
    '<div role="status"><span class="chat-dots"><i></i><i></i><i></i></span>'
    '<span class="chat-unseen">Waiting for the first token</span>'
    '<span class="chat-waited" aria-hidden="true">{waited}</span></div>'
)


@dataclass
class Later:
    """What is drawn `after_sec`, or with the answer's end: on Enter each element puts off the first token."""

    after_sec: float
    draw: Callable[[], None]
    is_drawn: bool = False

    def draw_once(self) -> None:
        if not self.is_drawn:
            self.is_drawn = True
            self.draw()

    def drop(self) -> None:
        """It is not to be drawn any more."""
        self.is_drawn = True


def draw_rest(later: list[Later]) -> None:
    for each in later:
        each.draw_once()


class Figures:
    """Shows how long it waits, then the running figures, twice a second, and draws in between what is due; the first
    token, or an end without one, puts the waiting sign away.
    """

    def __init__(self, marker: header.Place, performance: header.Place, later: list[Later], crowd: Crowd) -> None:
        self._marker = marker
        self._performance = performance
        self._later = later
        self._crowd = crowd
        self._begun_sec = time.monotonic()
        self._drawn_sec = 0.0
        self._is_waiting = False
        self._has_text = False
        self._waited_sec = 0

    def begin_waiting(self) -> None:
        self._is_waiting = True
        self._marker.html(_WAITING.format(waited=""))

    def __call__(self, live: LiveMetrics) -> None:
        now = time.monotonic()
        if live.ttft_ms is not None and not self._has_text:  # before all else: it is drawn next
            together.hold()
            self.end_waiting()
            self._has_text, self._drawn_sec = True, now
            return
        if due := [each for each in self._later if not each.is_drawn and self._due_sec(each) <= now]:
            together.hold()
            draw_rest(due)
        if live.ttft_ms is None:
            self._tell_waited(int(live.elapsed_ms / 1000))
        elif now - self._drawn_sec >= _FIGURES_SEC:
            header.draw_performance(
                self._performance,
                live.tokens_per_second,
                live.ttft_ms,
                live_tokens=live.completion_tokens,
            )
            self._drawn_sec = now

    def patience(self) -> float:
        """How long to wait for news at the most: until something is due."""
        due = [self._due_sec(each) - time.monotonic() for each in self._later if not each.is_drawn]
        return max(min(due, default=usual_patience()), _SHORTEST_SEC)

    def _due_sec(self, each: Later) -> float:
        return self._begun_sec + each.after_sec + self._crowd.wait_sec

    def _tell_waited(self, seconds: int) -> None:
        if self._is_waiting and seconds > self._waited_sec:
            self._waited_sec = seconds
            self._marker.html(_WAITING.format(waited=f"{seconds} s"))

    def end_waiting(self) -> None:
        if self._is_waiting:
            self._marker.empty()
            self._is_waiting = False
