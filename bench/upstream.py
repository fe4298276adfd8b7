"""A mock OpenAI-compatible upstream: streams a known answer on an absolute schedule and stamps every chunk.

The last user message orders the answer: `n=500 gap=10 id=a3f1` is 500 tokens, 10 ms apart,
the first one gap after the request or, with `wait=300`, after that many ms. A system message `part=2` makes
it id `a3f1p2`: requests with one user message are told apart by it. GET /stamps gives,
by id, the wall-clock nanoseconds at which the request was received and its chunks were sent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import socket
import time
from dataclasses import dataclass, field

from bench.text import tokens

PART = re.compile(r"\bpart=(\w+)")
ORDER = re.compile(r"\bn=(\d+) gap=(\d+(?:\.\d+)?) id=(\w+)(?: wait=(\d+))?")


@dataclass
class Stamps:
    """What happened to one request; `sent_ns` has one entry for each content chunk."""

    received_ns: int
    sent_ns: list[int] = field(default_factory=list)
    cut: bool = False


class Upstream:
    """Answers HTTP/1.1 with keep-alive; one instance serves every connection of the process."""

    def __init__(self) -> None:
        self.stamps: dict[str, Stamps] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                received_ns = time.time_ns()
                body = await reader.readexactly(_content_length(head))
                await self._answer(head.split(" ", 2)[1], body, received_ns, writer)
        writer.close()

    async def _answer(self, path: str, body: bytes, received_ns: int, writer: asyncio.StreamWriter) -> None:
        if path.endswith("/chat/completions"):
            await self._complete(json.loads(body), received_ns, writer)
        elif path.startswith("/stamps"):
            stamps = {
                key: {"received_ns": s.received_ns, "sent_ns": s.sent_ns, "cut": s.cut}
                for key, s in self.stamps.items()
            }
            self.stamps = {key: s for key, s in self.stamps.items() if not s.sent_ns}
            _send_json(writer, stamps)
        elif path.endswith("/models"):
            _send_json(writer, {"object": "list", "data": [{"id": "bench", "object": "model", "owned_by": "bench"}]})
        else:
            _send_json(writer, {"status": "ok"})
        await writer.drain()

    async def _complete(self, request: dict, received_ns: int, writer: asyncio.StreamWriter) -> None:
        count, gap_sec, wait_sec, answer_id = _order(request)
        stamps = self.stamps[answer_id] = Stamps(received_ns)
        parts = tokens(count, answer_id)
        usage = {"prompt_tokens": 20, "completion_tokens": count, "total_tokens": count + 20}
        if not request.get("stream"):
            message = {"role": "assistant", "content": "".join(parts)}
            _send_json(writer, _envelope("chat.completion", message=message, finish="stop", usage=usage))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        events = [_event(_envelope("chat.completion.chunk", delta={"content": part})) for part in parts]
        start = time.perf_counter() + wait_sec
        for index, event in enumerate(events):
            early_sec = start + index * gap_sec - time.perf_counter()
            if early_sec > 0 or index % 64 == 63:
                await asyncio.sleep(max(early_sec, 0))
            if writer.transport.is_closing():
                stamps.cut = True
                return
            stamps.sent_ns.append(time.time_ns())
            writer.write(event)
        writer.write(_event(_envelope("chat.completion.chunk", delta={}, finish="stop")))
        if (request.get("stream_options") or {}).get("include_usage"):
            writer.write(_event(_envelope("chat.completion.chunk", usage=usage)))
        writer.write(_frame(b"data: [DONE]\n\n") + b"0\r\n\r\n")


def _order(request: dict) -> tuple[int, float, float, str]:
    for message in reversed(request.get("messages", [])):
        content = message.get("content")
        text = content if isinstance(content, str) else json.dumps(content)
        found = ORDER.search(text)
        if message.get("role") == "user" and found:
            gap_ms = float(found[2])
            return max(int(found[1]), 2), gap_ms / 1000, float(found[4] or gap_ms) / 1000, found[3] + _part(request)
    return 2, 0.0, 0.0, "none"


def _part(request: dict) -> str:
    first = str(request["messages"][0].get("content"))
    found = PART.search(first) if request["messages"][0].get("role") == "system" else None
    return f"p{found[1]}" if found else ""


def _envelope(kind: str, *, delta=None, message=None, finish=None, usage=None) -> dict:
    choices = []
    if delta is not None:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
    if message is not None:
        choices = [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}]
    out = {"id": "chatcmpl-bench", "object": kind, "created": 0, "model": "bench", "choices": choices}
    return out if usage is None else {**out, "usage": usage}


def _event(value: dict) -> bytes:
    return _frame(b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n")


def _frame(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _send_json(writer: asyncio.StreamWriter, value: dict) -> None:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


def _content_length(head: str) -> int:
    found = re.search(r"(?im)^content-length:\s*(\d+)", head)
    return int(found[1]) if found else 0


async def _main(port: int) -> None:
    server = await asyncio.start_server(Upstream().serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_main(parser.parse_args().port))
