"""The hub and what works beside it, started and stopped together."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chatplay.errors import StoreError
from chatplay.generation.ends import EndWriter
from chatplay.generation.hub import Hub, OnCall
from chatplay.generation.log import EventLog
from chatplay.generation.reaper import Reaper
from chatplay.generation.remote import Listener
from chatplay.generation.running import Limits
from chatplay.store import Store
from chatplay.tokens.calibrations import Sample
from db import generations

_log = logging.getLogger(__name__)
_LONGEST_IDLE_SEC = 1.0  # of the event log, whose thread sees to the heartbeat, too
_MISSED_BEATS = 2  # of a process that is not connected any more; then it is not waited for


@dataclass(frozen=True)
class Generations:
    """One per process."""

    hub: Hub
    log: EventLog
    listener: Listener

    def start(self) -> None:
        self.hub.start()
        self.log.start()
        self.listener.start()

    def close(self) -> None:
        """Running answers are marked `interrupted` with their text; then the threads end."""
        self.hub.close()
        self.log.close()
        self.listener.close()


def assemble(
    *,
    store: Store,
    limits: Limits,
    heartbeat_sec: float,
    reap_after_sec: float,
    at_close: Callable[[], Awaitable[None]] | None = None,
    on_call: OnCall | None = None,
    on_counted: Callable[[Sample], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generations:
    """The parts, connected; nothing runs yet. `at_close` is awaited on the hub's loop, after the last answer;
    `on_call` hears how each call ended, `on_counted` how many tokens a server counted. `clock` times the answers.
    """
    log = EventLog(store=store, idle_sec=min(heartbeat_sec, _LONGEST_IDLE_SEC))
    ends = EndWriter(store, on_counted=on_counted)
    hub = Hub(ends=ends, log=log, limits=limits, at_close=at_close, on_call=on_call, clock=clock)
    reaper = Reaper(
        store=store,
        lives_here=hub.lives_here,
        after_sec=reap_after_sec,
        gone_after_sec=min(_MISSED_BEATS * heartbeat_sec, reap_after_sec),
    )
    log.on_tick = _every(heartbeat_sec, lambda: _look_around(store, hub, reaper))
    return Generations(hub=hub, log=log, listener=Listener(store=store, owner=hub.owner, on_stop=hub.stop))


def _look_around(store: Store, hub: Hub, reaper: Reaper) -> None:
    """A sign of life for our own, an end for those we were asked to stop and for those of dead processes."""
    try:
        if alive := hub.list_alive():
            with store.reading() as conn:
                unwanted = generations.beat(conn, owner=hub.owner, generation_ids=alive)
            for generation_id in unwanted:
                hub.stop(generation_id)
    except StoreError as error:
        _log.warning("heartbeat waits for the database (%s)", error.code)
    reaper.look()


def _every(period_sec: float, act: Callable[[], None]) -> Callable[[], None]:
    due_sec = 0.0

    def tick() -> None:
        nonlocal due_sec
        if time.monotonic() >= due_sec:
            due_sec = time.monotonic() + period_sec
            act()

    return tick
