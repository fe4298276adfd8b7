"""Ready-made scripts: answers in every packaging, and every way to fail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.upstream.pieces import Body, Cut, Hang, Head, Recorded, Reset, Script, Step, Wait
from tests.upstream.protocol import DONE, delta, event, usage, usage_chunk, whole


def answer(
    *texts: str,
    delay_sec: float = 0.0,
    first_delay_sec: float = 0.0,
    finish: str | None = "stop",
    usage_in: str | None = "own",
    cut_every: int | None = None,
    done: bool = True,
) -> Script:
    """A normal answer. `usage_in`: "own" chunk, "finish" chunk or None; `cut_every`: bytes per HTTP chunk."""

    def run(request: Recorded) -> Iterator[Step]:
        if not request.streamed:
            yield Wait(first_delay_sec)
            yield from json_body(200, whole("".join(texts), finish=finish or "stop", completion_tokens=len(texts)))
            return
        yield Head()
        yield from cut([Body(event(delta(role="assistant")))], cut_every)
        yield Wait(first_delay_sec)
        for text in texts:
            yield from cut([Body(event(delta(text)))], cut_every)
            yield Wait(delay_sec)
        yield from cut(list(_ending(len(texts), finish, usage_in, done)), cut_every)

    return run


def _ending(count: int, finish: str | None, usage_in: str | None, done: bool) -> Iterator[Body]:
    if finish is not None:
        last = delta(finish=finish)
        yield Body(event(last | ({"usage": usage(3, count)} if usage_in == "finish" else {})))
    if usage_in == "own":
        yield Body(event(usage_chunk(3, count)))
    if done:
        yield Body(DONE)


def cut(bodies: list[Body], every: int | None) -> Iterator[Body]:
    """The same bytes in pieces of `every` bytes; whole when None."""
    for body in bodies:
        size = every or len(body.data)
        for start in range(0, len(body.data), size):
            yield Body(body.data[start : start + size])


def words(count: int, *, delay_sec: float = 0.0, first_delay_sec: float = 0.0) -> Script:
    """`count` numbered words, so that a lost or doubled chunk is seen."""
    texts = (f"w{number} " for number in range(count))
    return answer(*texts, delay_sec=delay_sec, first_delay_sec=first_delay_sec)


def json_body(status: int, payload: Any, *, headers: tuple[tuple[str, str], ...] = ()) -> Iterator[Step]:
    yield from _plain(status, json.dumps(payload).encode(), "application/json", headers)


def _plain(status: int, data: bytes, kind: str, headers: tuple[tuple[str, str], ...] = ()) -> Iterator[Step]:
    length = (("content-type", kind), ("content-length", str(len(data))))
    yield Head(status, length + headers, chunked=False)
    yield Body(data)


def refuse(status: int, error: Any = None, *, headers: tuple[tuple[str, str], ...] = ()) -> Script:
    """An error as OpenAI words it: `error` is the object under "error"."""
    payload = {"error": error or {"message": f"status {status}", "type": "mock", "param": None, "code": None}}
    return lambda request: json_body(status, payload, headers=headers)


def payload(status: int, body: Any) -> Script:
    """A JSON body of any shape: for servers that word errors in their own way."""
    return lambda request: json_body(status, body)


def html(status: int) -> Script:
    page = b"<!doctype html><html><body><h1>Welcome to nginx</h1></body></html>"
    return lambda request: _plain(status, page, "text/html")


def raw(*data: bytes, before: tuple[str, ...] = ("Hello", " there"), then: tuple[Step, ...] = ()) -> Script:
    """A stream that says `before`, then `data` as it is, then the steps of `then`."""

    def run(request: Recorded) -> Iterator[Step]:
        yield Head()
        for text in before:
            yield Body(event(delta(text)))
        for piece in data:
            yield Body(piece)
        yield from then

    return run


def steps(*fixed: Step) -> Script:
    return lambda request: fixed


def _refuse_stream(request: Recorded) -> Iterable[Step]:
    if not request.streamed:
        return json_body(200, whole("Whole answer."))
    error = {"message": "Streaming is not supported for this model.", "param": "stream", "code": "unsupported_value"}
    return json_body(400, {"error": error})


def error_object(message: str, **more: Any) -> dict[str, Any]:
    return {"message": message, "type": "invalid_request_error", "param": None, "code": None} | more


_OVERFLOW = "This model's maximum context length is 4096 tokens. However, your messages resulted in 9000 tokens."
SCRIPTS: dict[str, Script] = {
    "answer": words(20, delay_sec=0.02),
    "slow": words(200, delay_sec=0.1),
    "usage-in-finish": answer("Hello", " there", usage_in="finish"),
    "usage-lies": raw(event(delta(finish="stop")), event(usage_chunk(90_000, 70_000)), DONE),
    "usage-missing": answer("Hello", " there", usage_in=None),
    "split-utf8": answer("naïve ", "日本語 ", "👩‍👩‍👧 ", "ü", cut_every=1),
    "length": answer("Hello", " there", finish="length"),
    "unauthorized": refuse(401, error_object("Incorrect API key provided: sk-secret123456.", code="invalid_api_key")),
    "forbidden": refuse(403, error_object("You do not have access to this model.")),
    "no-model": refuse(404, error_object("The model `no-model` does not exist.", code="model_not_found")),
    "rate-limited": refuse(429, error_object("Rate limit reached."), headers=(("retry-after", "7"),)),
    "overflow": refuse(400, error_object(_OVERFLOW, code="context_length_exceeded", param="messages")),
    "bad-parameter": refuse(400, error_object("Unsupported value: 'temperature'.", param="temperature")),
    "server-error": refuse(500),
    "overloaded": refuse(503, error_object("Overloaded."), headers=(("retry-after", "2"),)),
    "html": html(200),
    "html-error": html(502),
    "redirect": steps(Head(307, (("location", "http://127.0.0.1:9/v1"), ("content-length", "0")), chunked=False)),
    "hang-before-headers": steps(Hang()),
    "hang-before-text": steps(Head(), Hang()),
    "hang-mid-stream": raw(then=(Hang(),)),
    "reset-mid-stream": raw(then=(Wait(0.05), Reset())),
    "cut-mid-stream": raw(then=(Cut(),)),
    "end-without-done": raw(),
    "error-mid-stream": raw(event({"error": {"message": "The server had an error.", "type": "server_error"}})),
    "garbage": raw(b"data: {not json\n\n"),
    "refuse-stream": _refuse_stream,
}
