"""A scriptable OpenAI-compatible server: tests tell it, request by request, how to answer or to fail.

    with Upstream() as upstream:                         # a free port on 127.0.0.1, in a thread of its own
        upstream.script(answer("Hello", " world"))       # how the next chat request is answered
        ...ask upstream.base_url (".../v1")...
        request = upstream.wait_for_request()            # body, headers, sent_at stamps
        upstream.wait_until(lambda: request.disconnected_at is not None)

A script is a function of the recorded request that yields steps; `upstream.script(a, b)` queues one per
chat request. With an empty queue the request's model picks a script by name from `SCRIPTS` (model
"reset-mid-stream" is answered by that script), else `upstream.default` answers.

Steps: `Head(status, headers, chunked)`, `Body(bytes)`, `Wait(sec)`, `Gate(event)` (until the test sets
the threading.Event), `Hang()` (until the client leaves), `Finish()` (well-formed end), `Cut()` (close
without the end), `Reset()` (TCP RST). A script that runs out is finished well-formed.

Ready-made: `answer(*texts, ...)` (streams or answers whole as the request asks), `refuse(status, ...)`,
`raw(bytes, ...)`, and all of `SCRIPTS`. `GET /v1/models` lists `upstream.models`; `upstream.routes`
maps other paths ("GET /props") to scripts. Stamps (`time.monotonic()`) are recorded for every request:
`arrived_at`, `sent_at` (one per Body), `finished_at`, `disconnected_at`.

Alone: `python -m tests.upstream --port 8099 --script answer --tokens 500 --delay-ms 10`.
"""

from tests.upstream.pieces import Body, Cut, Finish, Gate, Hang, Head, Recorded, Reset, Script, Step, Wait
from tests.upstream.protocol import DONE, MODEL, delta, event, usage, usage_chunk, whole
from tests.upstream.scripts import SCRIPTS, answer, cut, html, json_body, payload, raw, refuse, steps, words
from tests.upstream.server import Upstream

__all__ = [
    "DONE",
    "MODEL",
    "SCRIPTS",
    "Body",
    "Cut",
    "Finish",
    "Gate",
    "Hang",
    "Head",
    "Recorded",
    "Reset",
    "Script",
    "Step",
    "Upstream",
    "Wait",
    "answer",
    "cut",
    "delta",
    "event",
    "html",
    "json_body",
    "payload",
    "raw",
    "refuse",
    "steps",
    "usage",
    "usage_chunk",
    "whole",
    "words",
]
