"""A server that says what a test wants, byte by byte, and a client of our transport that asks it."""

import asyncio
from contextlib import suppress

import httpx2

from chatplay.providers.network import Transport
from chatplay.providers.safety import AddressPolicy

STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def whole(data):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)


async def read_request(reader):
    """The head and the body of the request that comes next."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head, await reader.readexactly(int(found[0].split(b":")[1]) if found else 0)


def talk(serve, act, *, name="127.0.0.1", scheme="http", tls=None, **more):
    """What `act(client)` gives; its requests go to a server that does `serve(reader, writer)` for each connection."""
    answers = []

    async def answer(reader, writer):
        answers.append(asyncio.current_task())
        with suppress(asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.transport.abort()

    async def run():
        server = await asyncio.start_server(answer, "127.0.0.1", 0, **more)
        base_url = f"{scheme}://{name}:{server.sockets[0].getsockname()[1]}"
        transport = Transport(base_url, AddressPolicy(), use_proxy=False)
        transport._tls = tls or transport._tls
        async with server, httpx2.AsyncClient(base_url=base_url, transport=transport, timeout=5) as client:
            try:
                return await asyncio.wait_for(act(client), 10)
            finally:
                for task in answers:
                    task.cancel()
                await asyncio.gather(*answers, return_exceptions=True)
                await asyncio.sleep(0)  # in which the connections of the server are closed

    return asyncio.run(run())


def ask(client, content=b"{}"):
    return client.stream("POST", "/", content=content)


async def read_all(client, content=b"{}"):
    async with ask(client, content) as response:
        return await response.aread()
