"""Answers of the scripted upstream that wait for the test."""

from __future__ import annotations

import threading

from tests.upstream import DONE, Body, Gate, Script, Step, delta, event, raw, usage_chunk

END = (Body(event(delta(finish="stop"))), Body(event(usage_chunk(3, 4))), Body(DONE))


def held(gate: threading.Event, before: str, after: str = "") -> Script:
    """Says `before`, holds until the gate is set, says `after` and ends well."""
    return raw(before=(before,), then=(*waiting(gate), *saying(after), *END))


def silent_until(gate: threading.Event, text: str) -> Script:
    """Not a token before the gate is set."""
    return raw(before=(), then=(*waiting(gate), *saying(text), *END))


def waiting(gate: threading.Event) -> tuple[Step, ...]:
    return (Gate(gate),) * 6  # each waits ten seconds


def saying(*texts: str) -> tuple[Step, ...]:
    return tuple(Body(event(delta(text))) for text in texts if text)
