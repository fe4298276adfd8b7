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

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

MODEL = "mock-model"


# --- steps -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "text/event-stream"),)
    chunked: bool = True


@dataclass(frozen=True)
class Body:
    data: bytes


@dataclass(frozen=True)
class Wait:
    sec: float


@dataclass(frozen=True)
class Gate:
    event: threading.Event


@dataclass(frozen=True)
class Hang:
    pass


@dataclass(frozen=True)
class Finish:
    pass


@dataclass(frozen=True)
class Cut:
    pass


@dataclass(frozen=True)
class Reset:
    pass


Step = Head | Body | Wait | Gate | Hang | Finish | Cut | Reset


@dataclass
class Recorded:
    """One request as it arrived, and what became of it."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int
    arrived_at: float
    sent_at: list[float] = field(default_factory=list)
    finished_at: float | None = None
    disconnected_at: float | None = None

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))


Script = Callable[[Recorded], Iterable[Step]]


# --- pieces of the protocol ------------------------------------------------------------------------------


def event(payload: Any) -> bytes:
    """One server-sent event; non-ASCII text goes as UTF-8 bytes so that chunk cuts can split characters."""
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"


def delta(text: str = "", *, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chat.completion.chunk with `text`; `more` goes into the delta (reasoning_content, role)."""
    content = {"content": text} if text else {}
    return _chunk(choices=[{"index": 0, "delta": content | more, "finish_reason": finish}])


def usage_chunk(prompt: int, completion: int) -> dict[str, Any]:
    return _chunk(choices=[], usage=usage(prompt, completion))


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _chunk(**fields: Any) -> dict[str, Any]:
    base = {"id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return base | {"system_fingerprint": "fp_mock"} | fields


def whole(text: str, *, finish: str = "stop", completion_tokens: int = 1) -> dict[str, Any]:
    """A chat.completion, the answer to a request without streaming."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return _chunk(object="chat.completion", choices=[choice], usage=usage(3, completion_tokens))


DONE = b"data: [DONE]\n\n"


# --- scripts ---------------------------------------------------------------------------------------------


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


def _error(message: str, **more: Any) -> dict[str, Any]:
    return {"message": message, "type": "invalid_request_error", "param": None, "code": None} | more


_OVERFLOW = "This model's maximum context length is 4096 tokens. However, your messages resulted in 9000 tokens."
SCRIPTS: dict[str, Script] = {
    "answer": words(20, delay_sec=0.02),
    "slow": words(200, delay_sec=0.1),
    "usage-in-finish": answer("Hello", " there", usage_in="finish"),
    "usage-missing": answer("Hello", " there", usage_in=None),
    "split-utf8": answer("naïve ", "日本語 ", "👩‍👩‍👧 ", "ü", cut_every=1),
    "length": answer("Hello", " there", finish="length"),
    "unauthorized": refuse(401, _error("Incorrect API key provided: sk-secret123456.", code="invalid_api_key")),
    "forbidden": refuse(403, _error("You do not have access to this model.")),
    "no-model": refuse(404, _error("The model `no-model` does not exist.", code="model_not_found")),
    "rate-limited": refuse(429, _error("Rate limit reached."), headers=(("retry-after", "7"),)),
    "overflow": refuse(400, _error(_OVERFLOW, code="context_length_exceeded", param="messages")),
    "bad-parameter": refuse(400, _error("Unsupported value: 'temperature'.", param="temperature")),
    "server-error": refuse(500),
    "overloaded": refuse(503, _error("Overloaded."), headers=(("retry-after", "2"),)),
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


# --- the server ------------------------------------------------------------------------------------------


class Upstream:
    """The server and its records. Every attribute may be read and set while it runs."""

    def __init__(self, *, port: int = 0, default: Script | None = None, models: list[dict[str, Any]] | None = None):
        self.requests: list[Recorded] = []
        self.default: Script = default or SCRIPTS["answer"]
        self.models = models if models is not None else [{"id": MODEL, "object": "model", "owned_by": "mock"}]
        self.routes: dict[str, Script] = {}
        self._queue: deque[Script] = deque()
        self._changed = threading.Condition()
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstream", daemon=True)
        self._connections: set[_Connection] = set()
        self.connection_count = 0

    def __enter__(self) -> Upstream:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> Upstream:
        self._thread.start()
        serve = self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self._port, backlog=512)
        self._server = asyncio.run_coroutine_threadsafe(serve, self._loop).result(timeout=5)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._close)
        self._thread.join(timeout=5)
        self._loop.close()

    def _close(self) -> None:
        self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        self._loop.call_later(0.01, self._loop.stop)

    @property
    def port(self) -> int:
        return self._port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def chats(self) -> list[Recorded]:
        """The chat requests, oldest first."""
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    def script(self, *scripts: Script) -> None:
        """Queue how the next chat requests are answered, one script each."""
        self._queue.extend(scripts)

    def wait_until(self, condition: Callable[[], bool], timeout_sec: float = 5.0) -> None:
        """Return once `condition()` holds; AssertionError after `timeout_sec`."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout_sec), "the upstream never saw it"

    def wait_for_request(self, number: int = 1, timeout_sec: float = 5.0) -> Recorded:
        """The `number`th chat request, waiting for it."""
        self.wait_until(lambda: len(self.chats) >= number, timeout_sec)
        return self.chats[number - 1]

    def note(self, change: Callable[[], None] = lambda: None) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    def choose(self, request: Recorded) -> Script:
        route = self.routes.get(f"{request.method} {request.path}")
        if route is not None:
            return route
        if request.path.endswith("/models"):
            return payload(200, {"object": "list", "data": self.models})
        if not request.path.endswith("/chat/completions"):
            return refuse(404, _error("Not found"))
        return self._queue.popleft() if self._queue else SCRIPTS.get(request.body.get("model", ""), self.default)


class _Connection(asyncio.Protocol):
    """One TCP connection: requests in, the steps of their scripts out, one after the other."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.buffer = b""
        self.current: Recorded | None = None
        self.task: asyncio.Task[None] | None = None
        self.chunked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.upstream._connections.add(self)
        self.upstream.connection_count += 1
        self.number = self.upstream.connection_count

    def connection_lost(self, exc: Exception | None) -> None:
        self.upstream._connections.discard(self)
        if self.task is not None:
            self.task.cancel()
        request = self.current
        if request is not None and request.finished_at is None:
            self.upstream.note(lambda: setattr(request, "disconnected_at", time.monotonic()))

    def abort(self) -> None:
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.buffer[:1].isalpha():  # a TLS handshake, for one
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()
            return
        self._next()

    def _next(self) -> None:
        if self.current is not None:
            return
        request = self._take()
        if request is not None:
            self.current = request
            self.upstream.note(lambda: self.upstream.requests.append(request))
            self.task = asyncio.get_running_loop().create_task(self._run(request))

    def _take(self) -> Recorded | None:
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        self.buffer = rest[length:]
        method, path, _ = first.split(" ", 2)
        body = json.loads(rest[:length]) if length else {}
        return Recorded(method, path, headers, body, self.number, time.monotonic())

    async def _run(self, request: Recorded) -> None:
        self.chunked = False
        for step in self.upstream.choose(request)(request):
            if not await self._do(step, request):
                return
        await self._do(Finish(), request)
        self.current = None
        self._next()

    async def _do(self, step: Step, request: Recorded) -> bool:
        """True when the script may go on."""
        if isinstance(step, Head):
            self._head(step)
        elif isinstance(step, Body):
            self._write(step.data)
            request.sent_at.append(time.monotonic())
        elif isinstance(step, Wait) and step.sec > 0:
            await asyncio.sleep(step.sec)
        elif isinstance(step, Gate):
            await asyncio.get_running_loop().run_in_executor(None, step.event.wait, 10)
        elif isinstance(step, Hang):
            await asyncio.Event().wait()
        elif isinstance(step, (Cut, Reset)):
            self._break(step, request)
            return False
        elif isinstance(step, Finish):
            self.transport.write(b"0\r\n\r\n" if self.chunked else b"")
            self.upstream.note(lambda: setattr(request, "finished_at", time.monotonic()))
        return True

    def _head(self, head: Head) -> None:
        self.chunked = head.chunked
        framing = (("transfer-encoding", "chunked"),) if head.chunked else ()
        lines = [f"HTTP/1.1 {head.status} X", *(f"{name}: {value}" for name, value in head.headers + framing)]
        lines.append("x-request-id: req_mock")
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n")

    def _write(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def _break(self, step: Cut | Reset, request: Recorded) -> None:
        self.upstream.note(lambda: setattr(request, "finished_at", time.monotonic()))
        if isinstance(step, Cut):
            self.transport.close()
            return
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


def main() -> None:
    parser = argparse.ArgumentParser(description="A scriptable OpenAI-compatible server for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", choices=sorted(SCRIPTS), default="answer")
    parser.add_argument("--tokens", type=int, help="with --script answer: how many words")
    parser.add_argument("--delay-ms", type=float, default=20.0, help="with --tokens: pause between words")
    args = parser.parse_args()
    script = words(args.tokens, delay_sec=args.delay_ms / 1000) if args.tokens else SCRIPTS[args.script]
    with Upstream(port=args.port, default=script) as upstream, contextlib.suppress(KeyboardInterrupt):
        print(upstream.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
