"""Requests to model servers: what arrives, what ends and what fails, in the words of the HTTP library."""

import asyncio
import socket
import ssl
import struct
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

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


def test_all_that_was_sent_is_read_in_order():
    sent = bytes(range(256)) * 4_000  # more than may lie unread

    async def serve(reader, writer):
        await read_request(reader)
        writer.write(STREAM + b"".join(chunk(sent[at : at + 1000]) for at in range(0, len(sent), 1000)) + chunk(b""))
        await writer.drain()
        await reader.read(1)

    async def act(client):
        async with ask(client) as response:
            await asyncio.sleep(0.1)  # the server runs ahead of a reader that is busy
            body, found = response.extensions["body"], b""
            while piece := await body.read():
                found += piece
            return found

    assert talk(serve, act) == sent


def test_large_request_arrives_whole():
    async def serve(reader, writer):
        _, body = await read_request(reader)
        writer.write(whole(str(len(body)).encode()))

    assert talk(serve, lambda client: read_all(client, b"x" * 3_000_000)) == b"3000000"


def test_request_goes_out_as_one_piece_at_the_moment_it_tells():
    arrived = []

    async def serve(reader, writer):
        arrived.append(await reader.read(65_536))
        writer.write(whole(b""))

    async def act(client):
        before = time.monotonic()
        async with ask(client, b"the body") as response:
            assert before <= response.extensions["written_sec"] <= time.monotonic()

    talk(serve, act)
    assert arrived[0].endswith(b"\r\n\r\nthe body")


def test_headers_are_those_of_the_client_and_no_others():
    heads = []

    async def serve(reader, writer):
        heads.append((await read_request(reader))[0])
        writer.write(whole(b""))

    async def act(client):
        client.headers.clear()
        client.headers.update({"authorization": "Bearer k", "x-name": "y"})
        await read_all(client)

    talk(serve, act)
    names = {line.partition(b":")[0].lower() for line in heads[0].split(b"\r\n")[1:] if line}
    assert names == {b"host", b"authorization", b"x-name", b"content-length"}


def test_connection_that_was_read_to_the_end_is_used_again():
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        while True:
            await read_request(reader)
            writer.write(STREAM + chunk(b"y") + chunk(b""))

    async def act(client):
        return [await read_all(client) for _ in range(3)]

    assert talk(serve, act) == [b"y"] * 3
    assert len(connections) == 1


def test_connection_on_which_the_server_has_hung_up_meanwhile_is_not_used_again():
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        await read_request(reader)
        writer.write(whole(b"y"))
        await writer.drain()

    async def act(client):
        found = []
        for _ in range(3):
            found.append(await read_all(client))
            await asyncio.sleep(0.05)
        return found

    assert talk(serve, act) == [b"y"] * 3
    assert len(connections) == 3


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


@pytest.mark.parametrize(
    ("environment", "proxied"),
    [
        ({"http_proxy": "me:secret@PROXY"}, True),
        ({"all_proxy": "http://me:secret@PROXY"}, True),
        ({"http_proxy": "PROXY", "no_proxy": "model.example"}, False),
        ({"https_proxy": "http://PROXY"}, False),
    ],
)
def test_proxy_of_the_environment_is_asked_unless_it_says_to_go_past_it(monkeypatch, environment, proxied):
    heads = []

    async def serve(reader, writer):
        heads.append((await read_request(reader))[0])
        writer.write(whole(b"by proxy"))

    async def no_address(host, port):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr("chatplay.providers.safety._resolve", no_address)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    async def act(client):
        for name, value in environment.items():
            monkeypatch.setenv(name, value.replace("PROXY", client.base_url.netloc.decode()))
        transport = Transport("http://model.example", AddressPolicy())
        async with httpx2.AsyncClient(transport=transport) as through:
            try:
                return (await through.get("http://model.example/v1/models")).text
            except httpx2.ConnectError:
                return None

    assert talk(serve, act) == ("by proxy" if proxied else None)
    assert all(b"\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n" in head for head in heads)
    assert [head.split(b"\r\n")[0] for head in heads] == [b"GET http://model.example/v1/models HTTP/1.1"] * proxied


def test_tls_with_a_server_that_has_hung_up_is_a_connect_error_at_once():
    async def serve(_reader, _writer):
        return

    async def act(client):
        with pytest.raises(httpx2.ConnectError):
            await read_all(client)

    talk(serve, act, scheme="https")


def certificate(folder):
    """A server's TLS context for `localhost`, and one that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 7, now - timedelta(days=1), now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (folder / "cert").write_bytes(pem)
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert", folder / "key")
    return server, ssl.create_default_context(cadata=pem.decode())


@pytest.mark.parametrize(("name", "fails"), [("localhost", False), ("127.0.0.1", True)])
def test_tls_checks_the_name_and_then_carries_everything(tmp_path, name, fails):
    theirs, ours = certificate(tmp_path)

    async def serve(reader, writer):
        _, body = await read_request(reader)
        writer.write(whole(body))
        await writer.drain()
        await reader.read(1)

    async def act(client):
        if not fails:
            return await read_all(client, b"y" * 200_000)
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await read_all(client)
        return None

    assert talk(serve, act, name=name, scheme="https", tls=ours, ssl=theirs) == (None if fails else b"y" * 200_000)
