"""Who stays connected is looked at again whatever became of the look before."""

import asyncio
from types import SimpleNamespace

import pytest

from chatplay.api import audience
from chatplay.api.audience import Audience
from chatplay.errors import NotSignedIn


async def run(function, *arguments):
    return function(*arguments)


def test_look_that_fails_unexpectedly_is_not_the_last_one(monkeypatch):
    monkeypatch.setattr(audience, "_LOOK_SEC", 0.001)
    failures = [RuntimeError("broken")]

    def list_good(_hashes):
        if failures:
            raise failures.pop()
        return frozenset()

    def ask():
        raise NotSignedIn("Nobody is signed in.")

    runtime = SimpleNamespace(
        settings=SimpleNamespace(api_connections_per_person=1), standing=SimpleNamespace(list_good=list_good)
    )

    async def sit():
        with Audience(run).seat(runtime, 1, b"hash", ask) as seat:
            await asyncio.wait_for(seat.until_lost(), 5)

    with pytest.raises(NotSignedIn):
        asyncio.run(sit())
