"""Requests to model servers: what arrives, and by which way."""

import asyncio
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chatplay.providers.network import Transport
from chatplay.providers.safety import AddressPolicy
from tests.unit.raw_server import STREAM, ask, chunk, read_all, read_request, talk, whole


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
