"""What one socket passes on when frames ask for other answers in the middle of one: each event once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest

from chatplay.api import sockets
from chatplay.api.events import Event
from chatplay.api.frames import Frame
from chatplay.chats.log import AnswerRef

LAST = 3  # the number of each answer's last event


class Wire:
    """Takes what is sent; holds back who sends event `held` until it is told to go on."""

    def __init__(self, held=None):
        self.sent, self.held, self.reached, self.go_on = [], held, asyncio.Event(), asyncio.Event()

    async def send_text(self, data):
        self.sent.append(tuple(json.loads(data)))
        if self.sent[-1] == self.held:
            self.reached.set()
            await self.go_on.wait()


def answer(number):
    return AnswerRef(uuid4(), uuid4(), number, datetime.now(UTC))


def conversation(monkeypatch, wire, *answers):
    async def read_on(_services, _rt, _caller, ref, *, after_seq, request_id):
        async def events():
            for seq in range(0 if after_seq is None else after_seq + 1, LAST + 1):
                yield Event("delta", seq, json.dumps([ref.message_id, seq]))
                await asyncio.sleep(0)

        return events()

    async def run(_function, *, message_id, **_more):
        ref = next(one for one in answers if one.message_id == message_id)
        return SimpleNamespace(generation_id=ref.generation_id, id=ref.message_id, created_at=ref.created_at)

    monkeypatch.setattr(sockets, "read_on", read_on)
    rt = SimpleNamespace(settings=SimpleNamespace(api_slow_reader_sec=5), chat_log=SimpleNamespace(find_message=None))
    services, caller = SimpleNamespace(run=run), SimpleNamespace(user_id=1)
    return sockets._Conversation(wire, services, rt, caller, uuid4(), "r", None)


class Queue:
    """What a room offers to one socket, in order."""

    def __init__(self, *answers):
        self._left = list(answers)
        self.is_empty = asyncio.Event()

    async def next_answer(self):
        if not self._left:
            self.is_empty.set()
            await asyncio.Event().wait()
        return self._left.pop(0), None


async def followed(monkeypatch, *, held):
    first, second = answer(1), answer(2)
    wire, queue = Wire(held), Queue(first, second)
    talk = conversation(monkeypatch, wire, first, second)
    writing = asyncio.create_task(talk._write(queue))
    await asyncio.wait_for(wire.reached.wait(), 5)
    await talk._follow(Frame(type="follow", message_id=2), SimpleNamespace(message_id=2, streaming=True))
    wire.go_on.set()
    await asyncio.wait_for(queue.is_empty.wait(), 5)
    writing.cancel()
    return wire.sent


@pytest.mark.parametrize("held", [(1, 0), (1, 2)])
def test_answer_that_a_frame_asks_for_before_its_turn_is_sent_once(monkeypatch, held):
    sent = asyncio.run(followed(monkeypatch, held=held))
    assert sorted(sent) == [(number, seq) for number in (1, 2) for seq in range(LAST + 1)]
    assert [seq for number, seq in sent if number == 1] == list(range(LAST + 1))
