"""Many answers in one loop: whatever has come of any of them, together, a few times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Protocol, TypeVar

from chatplay.generation.values import Update

Key = TypeVar("Key")
_PATIENCE_SEC, _SOON_SEC = 1.0, 0.2


class Source(Protocol):
    """An answer that can be looked at without waiting, and that says when a look is worth it."""

    def look(self, after_seq: int) -> Update: ...

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]: ...


class _Watched:
    """One source, how far it was read, and whether there is news."""

    def __init__(self, source: Source, bell: threading.Event, seq: int) -> None:
        self._source = source
        self._bell = bell
        self._has_news = True
        self._seq = seq
        self.unwatch = source.watch(self._wake)

    def take(self, *, anyway: bool) -> Update | None:
        if not (self._has_news or anyway):
            return None
        self._has_news = False  # before the look: what comes during it rings again
        update = self._source.look(self._seq)
        self._seq = update.seq
        return update

    def _wake(self) -> None:
        self._has_news = True
        self._bell.set()


def follow_together(
    sources: Mapping[Key, Source],
    *,
    interval_sec: float,
    after: Mapping[Key, int] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[dict[Key, Update]]:
    """What each answer brought since the last time, until all have ended; {} when nothing came for a while.

    Each answer begins after the delta named in `after`, else at its first; its last update has the end.
    """
    bell = threading.Event()
    with ExitStack() as stack:
        begin = after or {}
        watched = {key: _Watched(source, bell, begin.get(key, 0)) for key, source in sources.items()}
        for one in watched.values():
            stack.callback(one.unwatch)
        silent = False
        while watched:
            bell.clear()
            taken = {key: one.take(anyway=silent) for key, one in watched.items()}
            news = {key: update for key, update in taken.items() if update is not None}
            yield news
            watched = {key: one for key, one in watched.items() if key not in news or news[key].end is None}
            if watched and any(update.text for update in news.values()):
                sleep(interval_sec)
                bell.wait(_SOON_SEC)  # a reader that draws more calmly than we tell is told soon that nothing follows
                silent = False
            elif watched:
                silent = not bell.wait(_PATIENCE_SEC)
