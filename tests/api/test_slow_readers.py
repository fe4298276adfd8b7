"""A reader that takes nothing, or leaves, holds nothing open: events, downloads and calls of models end with it."""

import asyncio
import socket
from contextlib import nullcontext
from types import SimpleNamespace

from chatplay.api.audience import Seat
from chatplay.api.downloads import Download
from chatplay.api.events import Event, EventStream
from chatplay.api.services import Services
from tests.api.openai_rig import rig
from tests.databases import fresh_database
from tests.upstream import Body, Hang, Head, delta, event, steps


def sit():
    """A seat nobody takes away."""
    return nullcontext(Seat(b"", lambda: None, asyncio.get_running_loop().create_future()))


def test_reader_that_takes_nothing_is_cut_off_and_its_events_are_closed():
    closed, sent = [], []

    async def events():
        try:
            while True:
                yield Event("delta", 1, "{}")
        finally:
            closed.append(True)

    async def send(message):
        sent.append(message)
        if len(sent) == 4:
            await asyncio.sleep(60)

    async def receive():
        await asyncio.sleep(60)

    asyncio.run(asyncio.wait_for(EventStream(events(), slow_reader_sec=0.05, sit=sit)({}, receive, send), 5))
    assert (len(sent), sent[-1]["more_body"], closed) == (4, True, [True])


def test_reader_that_leaves_has_its_events_closed():
    closed = asyncio.Event()

    async def events():
        try:
            yield None
            await asyncio.sleep(60)
        finally:
            closed.set()

    async def send(_message):
        pass

    async def receive():
        return {"type": "http.disconnect"}

    asyncio.run(asyncio.wait_for(EventStream(events(), slow_reader_sec=5, sit=sit)({}, receive, send), 5))
    assert closed.is_set()


def test_download_whose_reader_takes_nothing_is_cut_off():
    sent, cut = [], []
    transport = SimpleNamespace(abort=lambda: cut.append(True))

    async def send(message):
        sent.append(message)
        if len(sent) == 3:
            await asyncio.sleep(60)

    async def receive():
        await asyncio.sleep(60)

    async def run():
        pieces = iter([b"x"] * 10)
        named = {"name": "calls", "format": "csv"}
        download = Download(pieces, services=Services(lambda: None), slow_reader_sec=0.05, sit=sit, **named)
        await asyncio.wait_for(download({"type": "http", "state": {"transport": transport}}, receive, send), 5)

    asyncio.run(run())
    assert (len(sent), cut) == (3, [True])


def test_reader_that_takes_nothing_is_cut_off_and_its_call_ended(embedded_url):
    big = [Body(event(delta("a", padding="x" * 60_000))) for _ in range(150)]  # more than any system buffers
    with fresh_database(embedded_url) as url, rig(url, api_slow_reader_sec=0.3) as house:
        house.upstream.script(steps(Head(), *big, Hang()))
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect(house.address)
            lazy.sendall(house.stream_request())
            record = house.upstream.wait_for_request()
            house.upstream.wait_until(lambda: record.disconnected_at is not None, timeout_sec=20)
        assert house.usage_row()["status"] == "stopped"
