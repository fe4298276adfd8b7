"""Connections to model servers: what arrives, what ends and what fails, in the words of the HTTP library."""

import asyncio
import socket
import ssl
import struct
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpcore2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chatplay.providers.network import PlainBackend


def talk(serve, act, **more):
    """What `act(stream)` gives for a stream to a server that does `serve(reader, writer)`."""

    answers = []

    async def answer(reader, writer):
        answers.append(asyncio.current_task())
        with suppress(asyncio.CancelledError, ConnectionError):
            await serve(reader, writer)
        writer.transport.abort()

    async def run():
        server = await asyncio.start_server(answer, "127.0.0.1", 0, **more)
        async with server:
            stream = await PlainBackend().connect_tcp("127.0.0.1", server.sockets[0].getsockname()[1], timeout=5)
            try:
                return await asyncio.wait_for(act(stream), 10)
            finally:
                await stream.aclose()
                for task in answers:
                    task.cancel()
                await asyncio.gather(*answers, return_exceptions=True)
                await asyncio.sleep(0)  # in which the connections of the server are closed

    return asyncio.run(run())


async def _until_end(stream):
    found = b""
    while piece := await stream.read(1000):
        assert len(piece) <= 1000
        found += piece
    return found


def test_all_that_was_sent_is_read_in_pieces_of_at_most_the_size_asked_for():
    sent = bytes(range(256)) * 4_000  # more than may lie unread

    async def serve(_reader, writer):
        writer.write(sent)
        writer.close()
        await writer.wait_closed()

    async def act(stream):
        await asyncio.sleep(0.1)  # the server runs ahead of a reader that is busy
        return await _until_end(stream)

    assert talk(serve, act) == sent


def test_what_is_written_arrives_whole():
    async def serve(reader, writer):
        writer.write(str(len(await reader.read(-1))).encode())
        writer.close()
        await writer.wait_closed()

    async def act(stream):
        await stream.write(b"x" * 3_000_000, timeout=5)
        stream._transport.write_eof()
        return await stream.read(100)

    assert talk(serve, act) == b"3000000"


def test_request_goes_out_as_one_once_its_answer_is_read():
    arrived = []

    async def serve(reader, writer):
        arrived.append(await reader.read(1000))
        writer.write(b"y")

    async def act(stream):
        await stream.write(b"head ", timeout=5)
        await stream.write(b"body", timeout=5)
        await stream.write(b"", timeout=5)
        await asyncio.sleep(0.05)
        assert (arrived, stream.written_sec) == ([], None)
        before = time.monotonic()
        assert await stream.read(1) == b"y"
        assert before <= stream.written_sec <= time.monotonic()

    talk(serve, act)
    assert arrived == [b"head body"]


def test_request_to_a_server_that_has_hung_up_ends_as_its_answer_does():
    async def serve(_reader, writer):
        writer.close()

    async def act(stream):
        await asyncio.sleep(0.05)
        await stream.write(b"x", timeout=5)
        return await stream.read(1)

    assert talk(serve, act) == b""


@pytest.mark.parametrize(("end", "readable"), [("close", True), ("stay", False)])
def test_idle_connection_tells_that_the_server_has_hung_up(end, readable):
    async def serve(reader, writer):
        if end == "close":
            return
        await reader.read(-1)

    async def act(stream):
        await asyncio.sleep(0.05)
        return stream.get_extra_info("is_readable")

    assert talk(serve, act) is readable


async def _nothing(reader, _writer):
    await reader.read(-1)


def test_time_limit_of_a_read_is_a_read_timeout():
    async def act(stream):
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(100, timeout=0.02)

    talk(_nothing, act)


def test_server_that_takes_nothing_is_a_write_timeout():
    async def serve(_reader, writer):
        writer.transport.pause_reading()
        await asyncio.sleep(5)

    async def act(stream):
        with pytest.raises(httpcore2.WriteTimeout):
            await stream.write(b"x" * 50_000_000, timeout=0.1)

    talk(serve, act)


def test_connection_that_is_reset_is_a_read_error():
    async def serve(reader, writer):
        await reader.read(1)
        lingers_not = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingers_not)

    async def act(stream):
        await stream.write(b"x")
        with pytest.raises(httpcore2.ReadError):
            await stream.read(100)

    talk(serve, act)


def test_port_without_a_server_is_a_connect_error():
    async def run():
        await PlainBackend().connect_tcp("127.0.0.1", 1, timeout=5)

    with pytest.raises(httpcore2.ConnectError):
        asyncio.run(run())


def test_tls_with_a_server_that_has_hung_up_is_a_connect_error_at_once():
    async def serve(_reader, _writer):
        return

    async def act(stream):
        await asyncio.sleep(0.05)
        with pytest.raises(httpcore2.ConnectError):
            await stream.start_tls(ssl.create_default_context(), "localhost", timeout=2)

    talk(serve, act)


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


@pytest.mark.parametrize(("name", "fails"), [("localhost", False), ("elsewhere.example", True)])
def test_tls_checks_the_name_and_then_carries_everything(tmp_path, name, fails):
    theirs, ours = certificate(tmp_path)

    async def serve(reader, writer):
        writer.write(await reader.readexactly(200_000))
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async def act(stream):
        try:
            secured = await stream.start_tls(ours, name, timeout=5)
        except httpcore2.ConnectError:
            return None
        assert secured.get_extra_info("ssl_object").version() == "TLSv1.3"
        await secured.write(b"y" * 200_000, timeout=5)
        return await _until_end(secured)

    assert talk(serve, act, ssl=theirs) == (None if fails else b"y" * 200_000)
