"""Loads what charts need before somebody asks for one: 1.5 s of CPU that would stall everybody's streams."""

from __future__ import annotations

import gc
import threading
from importlib import import_module

_DELAY_SEC = 3.0  # the app is up and its first pages are drawn by then
_HEAVY = ("chatplay.ui.metrics.cards", "chatplay.experiments.stats")


def begin(delay_sec: float = _DELAY_SEC) -> threading.Timer:
    """Loads it a little later, on a thread of its own."""
    timer = threading.Timer(delay_sec, _load)
    timer.daemon = True
    timer.name = "warm-up"
    timer.start()
    return timer


def _load() -> None:
    for name in _HEAVY:
        import_module(name)
    gc.freeze()  # as after the start: a collection need not look at what stays
