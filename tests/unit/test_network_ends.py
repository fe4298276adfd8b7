"""Requests to model servers that end before their time, in the HTTP library's words; nothing that arrived is lost."""

import asyncio
import socket
import struct

import httpx2
import pytest

from chatplay.providers.network import Transport
from chatplay.providers.safety import AddressPolicy
from tests.unit.raw_server import STREAM, ask, chunk, read_all, read_request, talk, whole


def test_answer_that_is_left_in_its_middle_is_told_to_the_server_at_once():
    ended = asyncio.Event()

    async def serve(reader, writer):
        await read_request(reader)
        writer.write(STREAM + chunk(b"y"))
        await reader.read(1)
        ended.set()

    async def act(client):
        async with ask(client) as response:
            assert await response.extensions["body"].read() == b"y"
        await asyncio.wait_for(ended.wait(), 5)

    talk(serve, act)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", httpx2.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH_9.9\r\n", httpx2.RemoteProtocolError),
        (whole(b"half")[:-2], httpx2.ReadError),
        (STREAM + b"4\r\nha", httpx2.ReadError),
        (STREAM + chunk(b"half"), httpx2.ReadError),
        (STREAM + b"no number\r\n", httpx2.RemoteProtocolError),
    ],
)
def test_answer_that_breaks_off_or_is_none_is_an_error(answer, error):
    async def serve(reader, writer):
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    async def act(client):
        with pytest.raises(error):
            await read_all(client)

    talk(serve, act)


@pytest.mark.parametrize("end", [b"", b"no number\r\n"])
def test_what_had_arrived_before_an_answer_broke_off_is_read_before_the_error(end):
    async def serve(reader, writer):
        await read_request(reader)
        writer.write(STREAM + chunk(b"first"))
        await asyncio.sleep(0.05)
        writer.write(chunk(b"second") + end)
        await writer.drain()

    async def act(client):
        async with ask(client) as response:
            read = response.extensions["body"].read
            found = [await read()]
            await asyncio.sleep(0.2)  # the reader is busy until after the end
            found.append(await read())
            with pytest.raises(httpx2.ReadError):
                await read()
            return found

    assert talk(serve, act) == [b"first", b"second"]


@pytest.mark.parametrize("begun", [False, True])
def test_connection_that_is_reset_is_a_read_error(begun):
    async def serve(reader, writer):
        await read_request(reader)
        if begun:
            writer.write(STREAM + chunk(b"y"))
            await asyncio.sleep(0.05)
        lingers_not = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingers_not)

    async def act(client):
        with pytest.raises(httpx2.ReadError):
            await read_all(client)

    talk(serve, act)


def test_port_without_a_server_is_a_connect_error():
    async def run():
        async with httpx2.AsyncClient(transport=Transport("http://127.0.0.1:1", AddressPolicy())) as client:
            await client.get("http://127.0.0.1:1/")

    with pytest.raises(httpx2.ConnectError):
        asyncio.run(run())


def test_host_name_that_is_not_found_in_time_is_a_connect_timeout(monkeypatch):
    async def resolve(host, port):
        await asyncio.sleep(60)

    monkeypatch.setattr("chatplay.providers.safety._resolve", resolve)

    async def run():
        async with httpx2.AsyncClient(transport=Transport("http://slow.example", AddressPolicy())) as client:
            await client.get("http://slow.example/", timeout=0.05)

    with pytest.raises(httpx2.ConnectTimeout):
        asyncio.run(run())


def test_tls_with_a_server_that_has_hung_up_is_a_connect_error_at_once():
    async def serve(_reader, _writer):
        return

    async def act(client):
        with pytest.raises(httpx2.ConnectError):
            await read_all(client)

    talk(serve, act, scheme="https")
