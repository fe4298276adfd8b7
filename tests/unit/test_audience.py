"""Who stays connected is looked at again whatever became of the look before."""

import asyncio
from types import SimpleNamespace

import pytest

from chatplay.api import audience
from chatplay.api.audience import Audience
from chatplay.errors import NotSignedIn, StoreUnavailable


async def run(function, *arguments):
    return function(*arguments)


def sit_until_asked_to_leave(monkeypatch, failures):
    """Each look fails with the last of `failures`, until there is none left and the seat's owner is signed out."""
    monkeypatch.setattr(audience, "_LOOK_SEC", 0.001)

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


def test_look_that_fails_unexpectedly_is_not_the_last_one(monkeypatch):
    sit_until_asked_to_leave(monkeypatch, [RuntimeError("broken")])


def test_database_that_is_away_is_said_once_each_time(monkeypatch, caplog):
    away = StoreUnavailable("The database does not answer.")
    sit_until_asked_to_leave(monkeypatch, [away, away, RuntimeError("broken"), away, away])
    assert sum("database is away" in record.message for record in caplog.records) == 1
