"""Run experiments without the app: one more machine, or the only one with a way to a model server."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import ExitStack

from chatplay import runtime
from chatplay.api.terminal import end_with_the_terminal, hang_up_ends_like_terminate
from chatplay.logs import configure_worker_logging, hush_import_chatter
from chatplay.presence import Presence
from chatplay.settings import Settings


def work(settings: Settings) -> int:
    """Takes part in experiments until SIGTERM, Ctrl+C or the end of its terminal; what runs then goes to other workers.

    Raises StoreUnavailable with the cure.
    """
    hush_import_chatter()
    configure_worker_logging(settings)
    over = _told_to_end()
    with ExitStack() as goodbye:
        presence = Presence(settings, "workers")
        presence.enter()
        goodbye.callback(presence.leave)
        running = runtime.start(settings.model_copy(update={"experiment_worker": True}))
        goodbye.callback(running.close)
        print(f"Working on experiments, {settings.experiment_calls} calls at once. Ctrl+C ends it.", flush=True)
        while not over.wait(1.0):
            pass
    print("Stopped; what was left goes to other workers.", flush=True)
    return 0


def _told_to_end() -> threading.Event:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    hang_up_ends_like_terminate()
    threading.Thread(target=lambda: asyncio.run(end_with_the_terminal()), name="terminal", daemon=True).start()
    return over
