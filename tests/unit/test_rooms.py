"""New answers are looked for again whatever became of the look before."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest

from chatplay.api import rooms
from chatplay.api.rooms import Rooms
from chatplay.chats.log import AnswerRef
from chatplay.errors import StoreUnavailable

CHAT = UUID(int=1)
ANSWER = AnswerRef(UUID(int=2), CHAT, 7, datetime(2026, 11, 1, tzinfo=UTC))


async def run(function, *arguments):
    return function(*arguments)


@pytest.mark.parametrize("failure", [RuntimeError("broken"), StoreUnavailable("The database does not answer.")])
def test_look_that_fails_is_not_the_last_one(monkeypatch, failure):
    monkeypatch.setattr(rooms, "_LOOK_SEC", 0.001)
    failures = [failure]

    def list_new_answers(_after):
        if failures:
            raise failures.pop()
        return [ANSWER]

    hub = SimpleNamespace(watch_starts=lambda _wake: lambda: None)
    log = SimpleNamespace(list_new_answers=list_new_answers)
    runtime = SimpleNamespace(generations=SimpleNamespace(hub=hub), chat_log=log)

    async def sit():
        with Rooms(run).join(runtime, CHAT, 0) as member:
            return await asyncio.wait_for(member.next_answer(), 5)

    assert asyncio.run(sit()) == (ANSWER, None)
