"""Connections to model servers as the HTTP library asks for them, on asyncio's transports themselves.

The library's own, made for any async framework, stop and start reading around every piece that arrives and set up a
time limit for it; at a hundred tokens a second that costs more than decoding them. Our answers have time limits of
their own (`patience.py`).
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore2

_MOST_UNREAD_BYTES = 256 * 1024  # then the server has to wait
_MOST_UNSENT_BYTES = 64 * 1024  # a request is handed over in pieces, head and body; so much of it goes out as one
Option = Any  # a socket option as setsockopt takes it


class PlainBackend(httpcore2.AsyncNetworkBackend):
    """Connects by TCP; `Stream.start_tls` does the rest."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Option] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        local = None if local_address is None else (local_address, 0)
        try:
            async with asyncio.timeout(timeout):
                loop = asyncio.get_running_loop()
                transport, inbox = await loop.create_connection(_Inbox, host, port, local_addr=local)
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"no connection within {timeout} s") from None
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return Stream(transport, inbox)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Inbox(asyncio.Protocol):
    """What has arrived and was not read yet. At most one waits for more, and one for room to write."""

    def __init__(self) -> None:
        self.unread = bytearray()
        self.ended = False
        self.failure: Exception | None = None
        self.news: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self.room = asyncio.Event()
        self.room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if len(self.unread) > _MOST_UNREAD_BYTES and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._tell()

    def eof_received(self) -> bool:
        self.ended = True
        self._tell()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.ended, self.failure = True, error
        self.room.set()
        self._tell()

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def take(self, max_bytes: int) -> bytes:
        taken = bytes(self.unread[:max_bytes])
        del self.unread[:max_bytes]
        if self._paused and self._transport is not None and not self.ended:
            self._paused = False
            self._transport.resume_reading()
        return taken

    def _tell(self) -> None:
        if self.news is not None and not self.news.done():
            self.news.set_result(None)


class Stream(httpcore2.AsyncNetworkStream):
    """One connection. Its errors are the HTTP library's own. `written_sec`: when bytes were last handed to it."""

    def __init__(self, transport: asyncio.Transport, inbox: _Inbox) -> None:
        self.written_sec: float | None = None
        self._transport = transport
        self._inbox = inbox
        self._unsent = bytearray()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has arrived, at least one byte; b"" when the server has ended."""
        inbox = self._inbox
        if self._unsent:
            self._send()
        if not inbox.unread and not inbox.ended:
            inbox.news = asyncio.get_running_loop().create_future()
            try:
                if timeout is None:
                    await inbox.news
                else:
                    async with asyncio.timeout(timeout):
                        await inbox.news
            except TimeoutError:
                raise httpcore2.ReadTimeout(f"nothing came within {timeout} s") from None
            finally:
                inbox.news = None
        if not inbox.unread and inbox.failure is not None:
            raise httpcore2.ReadError(str(inbox.failure)) from inbox.failure
        return inbox.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Goes out once there is much of it, or when an answer to it is read."""
        self._unsent += buffer
        if len(self._unsent) <= _MOST_UNSENT_BYTES:
            return
        if self._inbox.ended or self._transport.is_closing():
            raise httpcore2.WriteError("the connection is closed")
        self._send()
        try:
            async with asyncio.timeout(timeout):
                await self._inbox.room.wait()
        except TimeoutError:
            raise httpcore2.WriteTimeout(f"the server took nothing for {timeout} s") from None
        if self._inbox.failure is not None:
            raise httpcore2.WriteError(str(self._inbox.failure)) from self._inbox.failure

    def _send(self) -> None:
        if self._transport.is_closing():  # what has ended it is told where an answer is read
            return
        self.written_sec = time.monotonic()  # before: the thread may have to wait its turn after sending
        self._transport.write(bytes(self._unsent))
        self._unsent.clear()

    async def aclose(self) -> None:
        """At once: what the server still sends is not waited for."""
        self._transport.abort()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        if self._inbox.ended:  # a handshake would wait for an end that has been told already
            raise httpcore2.ConnectError("the server hung up")
        loop, inbox = asyncio.get_running_loop(), _Inbox()
        try:
            async with asyncio.timeout(timeout):
                secured = await loop.start_tls(self._transport, inbox, ssl_context, server_hostname=server_hostname)
        except TimeoutError:
            self._transport.abort()
            raise httpcore2.ConnectTimeout(f"no secure connection within {timeout} s") from None
        except OSError as error:  # ssl.SSLError among them
            self._transport.abort()
            raise httpcore2.ConnectError(str(error)) from error
        if secured is None:
            raise httpcore2.ConnectError("the server hung up")
        inbox.connection_made(secured)
        return Stream(secured, inbox)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # of an idle connection: that the server has closed it
            return bool(self._inbox.unread) or self._inbox.ended or _is_readable(self._transport)
        names = {"ssl_object": "ssl_object", "client_addr": "sockname", "server_addr": "peername", "socket": "socket"}
        return self._transport.get_extra_info(names[info]) if info in names else None


def _is_readable(transport: asyncio.Transport) -> bool:
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None or (number := sock.fileno()) < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([number], [], [], 0)[0])
    look = select.poll()
    look.register(number, select.POLLIN)
    return bool(look.poll(0))
