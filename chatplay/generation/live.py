"""A running answer in memory: appended to by the hub's thread, followed by any number of others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from math import ceil

from chatplay.generation.values import GenerationEnd, LiveMetrics, Update
from chatplay.timing import NO_REASONING, Reasoning, decode_rate

Patience = Callable[[], float]
_PATIENCE_SEC = 1.0


def usual_patience() -> float:
    """After how many seconds without news a follower gets an empty update, so that it can look around."""
    return _PATIENCE_SEC


class LiveGeneration:
    """The deltas of one answer with their stamps (seconds of `clock`), and its end once there is one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._news = threading.Condition()
        self._over = threading.Event()
        self._texts: list[str] = []
        self._stamps: list[float] = []
        self._chars = 0
        self._waiting = 0
        self._watchers: tuple[Callable[[], None], ...] = ()
        self.sent_sec = clock()
        self.reasoning = NO_REASONING
        self.end: GenerationEnd | None = None
        self.saved = threading.Event()  # the end is in the database, too

    @property
    def stamps(self) -> list[float]:
        return self._stamps

    @property
    def delta_chars(self) -> tuple[int, ...]:
        return tuple(map(len, self._texts))

    @property
    def chars(self) -> int:
        return self._chars

    @property
    def content(self) -> str:
        return "".join(self._texts)

    def begin(self) -> None:
        """Marks now as the moment the model is asked; a repeated request starts the clock anew."""
        self.sent_sec, self.reasoning = self._clock(), NO_REASONING

    def sent_after(self, connect_ms: float) -> None:
        """The request went out that long after the model was asked: times count from there."""
        self.sent_sec += connect_ms / 1000

    def append(self, text: str) -> tuple[int, float]:
        """Takes a delta; returns its number (from 1) and its stamp in milliseconds since the request."""
        now = self._clock()
        with self._news:
            self._texts.append(text)
            self._stamps.append(now)
            self._chars += len(text)
            if self._waiting:
                self._news.notify_all()
            number = len(self._texts)
        for wake in self._watchers:
            wake()
        return number, (now - self.sent_sec) * 1000

    def mark(self) -> None:
        """A delta that is no text: timed, not kept."""
        self._stamps.append(self._clock())

    def mark_reasoning(self) -> None:
        """A piece of reasoning: timed apart from the deltas, and not among the tokens that are counted here."""
        now, first_sec = self._clock(), self.reasoning.first_sec
        self.reasoning = Reasoning(now if first_sec is None else first_sec, now, tokens=0)

    def finish(self, end: GenerationEnd) -> None:
        """Ends it and wakes every follower."""
        with self._news:
            self.end = end
            self._over.set()
            self._news.notify_all()
        for wake in self._watchers:
            wake()

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Has `wake` called at each delta and at the end, on the hub's thread, which it must not hold up.

        Returns what ends that. For readers that must not wait here: they `look` when woken.
        """
        with self._news:
            self._watchers = (*self._watchers, wake)

        def unwatch() -> None:
            with self._news:
                self._watchers = tuple(other for other in self._watchers if other is not wake)

        return unwatch

    def look(self, after_seq: int) -> Update:
        """What there is after delta `after_seq`, without waiting."""
        end = self.end  # before the texts: nothing is appended after an end
        texts = self._texts[after_seq:]
        return Update("".join(texts), len(self._texts) if end else after_seq + len(texts), self.metrics(), end)

    def metrics(self) -> LiveMetrics:
        """The figures of this moment."""
        return live_metrics(
            sent_sec=self.sent_sec,
            now_sec=self._clock(),
            delta_secs=self._stamps[:1] + self._stamps[-1:],
            deltas=len(self._texts),
            chars=self._chars,
            reasoning=self.reasoning,
        )

    def has_news(self, *, within_sec: float) -> bool:
        """Whether the first text or the end is there, `within_sec` from now at the latest."""
        with self._news:
            return self._await_news(0, within_sec)

    def follow(self, *, after_seq: int, interval_sec: float, patience: Patience = usual_patience) -> Iterator[Update]:
        """Updates from delta `after_seq` + 1 on: the first text at once, then one per interval, the end at once.

        While nothing comes an empty update is given after `patience` seconds, so that a reader can look around.
        """
        seq = after_seq
        while True:
            end, text, seq = self._take(seq, patience())
            yield Update(text, seq, self.metrics(), end)
            if end is not None:
                return
            if text:
                self._over.wait(interval_sec)

    def _take(self, seq: int, patience_sec: float) -> tuple[GenerationEnd | None, str, int]:
        with self._news:
            self._await_news(seq, patience_sec)
            return self.end, "".join(self._texts[seq:]), len(self._texts)

    def _await_news(self, after_seq: int, timeout_sec: float) -> bool:
        """With the lock of `_news`."""
        self._waiting += 1
        is_there = self._news.wait_for(lambda: len(self._texts) > after_seq or self.end is not None, timeout_sec)
        self._waiting -= 1
        return is_there


def live_metrics(
    *,
    sent_sec: float,
    now_sec: float,
    delta_secs: Sequence[float],
    deltas: int,
    chars: int,
    reasoning: Reasoning = NO_REASONING,
) -> LiveMetrics:
    """Figures of a running answer. `delta_secs`: of the first and the last delta, empty where they are not known.
    Tokens: a delta is at least one, and four characters are about one.
    """
    tokens = max(deltas, ceil(chars / 4))
    return LiveMetrics(
        ttft_ms=(delta_secs[0] - sent_sec) * 1000 if delta_secs else None,
        completion_tokens=tokens,
        tokens_per_second=decode_rate(tokens, delta_secs, reasoning) if deltas > 1 else None,
        elapsed_ms=(now_sec - sent_sec) * 1000,
    )
