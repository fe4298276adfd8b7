"""What a run draws together is sent together, and that a fragment runs is told when it does for longer than a moment.

Streamlit hands each element to the server's event loop by itself. Each wakes the loop, which sends what there is while
the script waits for the interpreter; and the browser works out its whole page for each part that arrives, and again
when it hears that a run is under way.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import ScriptRunnerEvent

HELD_SEC = 0.06  # the longest that a run's first elements wait, whatever the script does meanwhile
RUNNING_SEC = 0.15  # the browser fades what a run has not drawn yet only half a second after it hears of the run
_STARTED, _ELEMENT = ScriptRunnerEvent.SCRIPT_STARTED, ScriptRunnerEvent.ENQUEUE_FORWARD_MSG
_hand_over = AppSession._on_scriptrunner_event
_enqueue = AppSession._enqueue_forward_msg
_Event = Callable[[], None]


class _Parcel:
    """Elements of one session in their order, sent once: by the script or, `HELD_SEC` after the first one where it
    has a clock, by that.
    """

    def __init__(self, session: AppSession, *, has_clock: bool) -> None:
        self._session = session
        self._has_clock = has_clock
        self._lock = threading.Lock()
        self._events: list[_Event] | None = []

    @property
    def is_sent(self) -> bool:
        return self._events is None

    def add(self, event: _Event) -> bool:
        """False when it was sent already."""
        with self._lock:
            if self._events is None:
                return False
            self._events.append(event)
            is_first = len(self._events) == 1
        if is_first and self._has_clock:
            self._session._call_soon_on_event_loop(self._wind_up)
        return True

    def send(self) -> None:
        if events := self._take():
            self._session._call_soon_on_event_loop(partial(_deliver, events))

    def _wind_up(self) -> None:
        self._session._event_loop.call_later(HELD_SEC, self._send_late)

    def _send_late(self) -> None:
        if events := self._take():
            _deliver(events)

    def _take(self) -> list[_Event] | None:
        with self._lock:
            events, self._events = self._events, None
            return events


def _deliver(events: list[_Event]) -> None:
    for event in events:
        event()


class _Script(threading.local):
    """What this thread draws for, and what of it is held back."""

    session: AppSession | None = None
    parcel: _Parcel | None = None


_script = _Script()
# Touched on the event loop only.
_in_fragments: WeakSet[AppSession] = WeakSet()  # those whose last run was one of fragments
_to_be_told: WeakKeyDictionary[AppSession, asyncio.TimerHandle] = WeakKeyDictionary()


def send_together() -> None:
    """From now on it is done so, in every session.

    There is no public way. A test notices when a Streamlit of another version hands over otherwise.
    """
    AppSession._on_scriptrunner_event = _hand_over_or_hold  # type: ignore[method-assign, assignment]
    AppSession._enqueue_forward_msg = _enqueue_or_wait  # type: ignore[method-assign, assignment]


def hold() -> None:
    """What this script draws now is sent by `send`, or with the run's end."""
    if _script.session is not None and (_script.parcel is None or _script.parcel.is_sent):
        _script.parcel = _Parcel(_script.session, has_clock=False)


def send() -> None:
    """Before a script waits: sends what is held back. What it draws then is sent at once, each element by itself."""
    parcel, _script.parcel = _script.parcel, None
    if parcel is not None:
        parcel.send()


def _hand_over_or_hold(session: AppSession, sender: Any, event: ScriptRunnerEvent, **details: Any) -> None:
    deliver = partial(session._handle_scriptrunner_event_on_event_loop, sender, event, **details)
    if event is _ELEMENT and _script.parcel is not None and _script.parcel.add(deliver):
        return
    send()  # elements come before the end of their run
    _hand_over(session, sender, event, **details)
    if event is _STARTED:  # told at once: the browser has something to do, and the script, too
        _script.session, _script.parcel = session, _Parcel(session, has_clock=True)


def _enqueue_or_wait(session: AppSession, message: ForwardMsg) -> None:
    """Only for runs of fragments: after the key R the browser waits to hear that the whole page runs, however short."""
    kind = message.WhichOneof("type")
    if kind == "new_session":
        (_in_fragments.add if message.metadata.run.fragment_ids else _in_fragments.discard)(session)
    elif kind == "session_status_changed":
        if (waiting := _to_be_told.pop(session, None)) is not None:
            waiting.cancel()
        if message.session_status_changed.script_is_running and session in _in_fragments:
            _to_be_told[session] = session._event_loop.call_later(RUNNING_SEC, _tell, session, message)
            return
    _enqueue(session, message)


def _tell(session: AppSession, message: ForwardMsg) -> None:
    _to_be_told.pop(session, None)
    _enqueue(session, message)
