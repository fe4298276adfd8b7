"""Run experiments without the app: one more machine, or the only one with a way to a model server."""

from __future__ import annotations

import signal
import threading

from chatplay import runtime
from chatplay.logs import configure_logging, hush_import_chatter
from chatplay.settings import Settings


def work(settings: Settings) -> int:
    """Takes part in experiments until SIGTERM or Ctrl+C; what runs then goes to other workers.

    Raises StoreUnavailable with the cure.
    """
    hush_import_chatter()
    configure_logging(settings)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    running = runtime.start(settings.model_copy(update={"experiment_worker": True}))
    print(f"Working on experiments, {settings.experiment_calls} calls at once. Ctrl+C ends it.", flush=True)
    try:
        while not over.wait(1.0):
            pass
    finally:
        running.close()
    print("Stopped; what was left goes to other workers.", flush=True)
    return 0
