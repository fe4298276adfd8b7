"""A closed terminal ends the app in order, however it was started in it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

_LOOK_SEC = 1.0
_STDIN = 0


def hang_up_ends_like_terminate() -> None:
    """For shells that pass SIGHUP on; `nohup`, which ignores the signal, keeps the app running."""
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: _terminate())


async def end_with_the_terminal() -> None:
    """For those that do not: make, begun without a shell (`ssh -t HOST make run`), keeps the signal to itself.

    What was put into the background, and so may be meant to stay, is left alone.
    """
    if not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return
    was_in_front = False
    while (is_in_front := _is_in_front()) is not None:
        was_in_front = is_in_front
        await asyncio.sleep(_LOOK_SEC)
    if was_in_front:
        _terminate()


def _is_in_front() -> bool | None:
    """Whether the terminal at standard input is ours now; None when it is gone or there is none."""
    try:
        return os.tcgetpgrp(_STDIN) == os.getpgrp()
    except OSError:
        return None


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
