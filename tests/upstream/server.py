"""The server: one asyncio loop in a thread, one `_Connection` for each TCP connection."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.upstream.pieces import Body, Cut, Finish, Gate, Hang, Head, Recorded, Reset, Script, Step, Wait
from tests.upstream.protocol import MODEL
from tests.upstream.scripts import SCRIPTS, error_object, payload, refuse


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
        """Also more than once."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    async def _close(self) -> None:
        # Who knocked in the last moment is a task first, then a connection. None of them may outlive the loop, and a
        # task that finds its server closed leaves its socket open (asyncio): so nobody is let in first.
        for socket_ in self._server.sockets:
            self._loop.remove_reader(socket_.fileno())
        while self._connections or asyncio.all_tasks() - {asyncio.current_task()}:
            for connection in tuple(self._connections):
                connection.abort()
            await asyncio.sleep(0)
        self._server.close()

    @property
    def port(self) -> int:
        return self._port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def open_count(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    @property
    def chats(self) -> list[Recorded]:
        """The chat requests, oldest first."""
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    def script(self, *scripts: Script) -> None:
        """Queue how the next chat requests are answered, one script each."""
        self._queue.extend(scripts)

    def wait_until(self, condition: Callable[[], bool], timeout_sec: float = 20.0) -> None:
        """Return once `condition()` holds; AssertionError after `timeout_sec`."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout_sec), "the upstream never saw it"

    def wait_for_request(self, number: int = 1, timeout_sec: float = 20.0) -> Recorded:
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
            return refuse(404, error_object("Not found"))
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
        self.upstream.note(lambda: self.upstream._connections.discard(self))
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
