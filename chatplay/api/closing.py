"""Ends running answers before the server waits for its connections to close: a stream would hold it up to its end."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGBREAK")
_LOOK_SEC = 0.1


async def act_first_when_asked_to_end(act: Callable[[], None]) -> None:
    """From now on `act` is called before the server's own handlers of the signals that end it.

    Streamlit sets those only once it serves, so this waits for them: run it as a task on the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    while not callable(signal.getsignal(signal.SIGTERM)):
        await asyncio.sleep(_LOOK_SEC)
    for name in _SIGNALS:
        if (number := getattr(signal, name, None)) is not None:
            _put_before(number, act)


def _put_before(number: signal.Signals, act: Callable[[], None]) -> None:
    before: Any = signal.getsignal(number)
    if not callable(before):
        return

    def handle(received: int, frame: FrameType | None) -> None:
        act()
        before(received, frame)

    signal.signal(number, handle)
