"""A TCP proxy that counts what crosses the wire of the WebSockets going through it, compressed as it is.

Any request for /__bytes is answered by the proxy itself: {"down": bytes to the browser, "up": bytes from it}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket


class Counter:
    """Bytes of WebSocket connections since the start; plain HTTP (the page's files) is left out."""

    def __init__(self) -> None:
        self.down = 0
        self.up = 0


class Server(asyncio.Protocol):
    """The half that talks to the app."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _no_delay(transport)
        self.browser.server = transport
        transport.write(bytes(self.browser.pending))

    def data_received(self, data: bytes) -> None:
        if self.browser.is_websocket:
            self.browser.counter.down += len(data)
        self.browser.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.browser.transport.close()


class Browser(asyncio.Protocol):
    """The half that talks to the browser; decides by its first request whether bytes are counted."""

    def __init__(self, counter: Counter, app_port: int) -> None:
        self.counter, self.app_port = counter, app_port
        self.server: asyncio.WriteTransport | None = None
        self.pending = bytearray()
        self.is_websocket = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _no_delay(transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.server is not None:
            self._forward(data)
            return
        if not self.pending:
            if data.startswith(b"GET /__bytes"):
                self._report()
                return
            self.connecting = asyncio.get_running_loop().create_task(self._connect())
        self.pending += data
        self.is_websocket = b"upgrade: websocket" in self.pending.lower()

    def _forward(self, data: bytes) -> None:
        # A browser may reuse a kept-alive connection for the handshake of the WebSocket.
        if not self.is_websocket and data.startswith(b"GET ") and b"upgrade: websocket" in data.lower():
            self.is_websocket = True
        elif self.is_websocket:
            self.counter.up += len(data)
        self.server.write(data)

    def _report(self) -> None:
        body = json.dumps({"down": self.counter.down, "up": self.counter.up}).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: Server(self), "127.0.0.1", self.app_port)
        except OSError:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.server is not None:
            self.server.close()


def _no_delay(transport: asyncio.BaseTransport) -> None:
    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def _main(port: int, app_port: int) -> None:
    counter = Counter()
    server = await asyncio.get_running_loop().create_server(lambda: Browser(counter, app_port), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--app-port", type=int, required=True)
    args = parser.parse_args()
    asyncio.run(_main(args.port, args.app_port))
