"""A lane opens the calls of many people's trials together; one that fails, or finds no place, is its own affair."""

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest

from chatplay.experiments import lanes
from chatplay.experiments.lanes import Opened
from chatplay.experiments.picking import Ticket
from chatplay.experiments.run import Runner


class Opener(Runner):
    """Opens without a database. A batch with the trial "bad" fails, as a fault of the code would; at the upstreams
    named `crowded` others hold all places.
    """

    def __init__(self, *crowded):
        super().__init__(store=None, calls=None, catalog=None, calls_at_once=4, upstream_calls=8)
        self.crowded = crowded
        self.begun = []
        self.looks = Counter()

    async def in_thread(self, work):
        await asyncio.sleep(0)  # other lanes run meanwhile
        return work()

    def open(self, upstream, batch, _loop):
        self.looks[upstream] += 1
        if upstream in self.crowded:
            return Opened(no_place=batch)
        if any(ticket.trial == "bad" for ticket in batch):
            raise OverflowError("date value out of range")
        return Opened(jobs=[(ticket, ticket.trial) for ticket in batch])

    def begin(self, job):
        self.begun.append(job)

    def take(self, upstream, *trials):
        loop = asyncio.get_running_loop()
        tickets = [Ticket(SimpleNamespace(), trial, loop.create_future()) for trial in trials]
        for ticket in tickets:
            self._lane(upstream).take(ticket)
        return tickets


@pytest.fixture
def long_pauses(monkeypatch):
    monkeypatch.setattr(lanes, "_LOOK_AGAIN_SEC", 3_600.0)


async def turn(times=200):
    """Lets all lanes do what they can do now."""
    for _ in range(times):
        await asyncio.sleep(0)


async def open_all(*trials):
    runner = Opener()
    tickets = runner.take("lab", *trials)
    async with asyncio.timeout(5):
        await tickets[trials.index("bad")].outcome
        while len(runner.begun) + runner.free < 4:
            await asyncio.sleep(0)
    await runner.close()
    return runner.begun, runner.free


def test_trial_that_cannot_be_opened_keeps_no_other_from_it():
    assert asyncio.run(open_all("one", "bad", "two")) == (["one", "two"], 2)


async def open_beside_a_crowded_lane():
    runner = Opener("full")
    runner.take("full", *"abcd")
    runner.take("lab", "mine")
    await turn()
    await runner.close()
    return runner.begun, runner.free


@pytest.mark.usefixtures("long_pauses")
def test_lane_that_found_no_place_has_those_that_a_crowded_one_gives_back():
    assert asyncio.run(open_beside_a_crowded_lane()) == (["mine"], 3)


async def look_with_crowded_lanes_alone():
    runner = Opener("full", "busy")
    runner.take("full", *"abcd")
    runner.take("busy", *"efgh")
    await turn()
    await runner.close()
    return runner.looks, runner.free


@pytest.mark.usefixtures("long_pauses")
def test_crowded_lanes_do_not_keep_each_other_at_the_database():
    assert asyncio.run(look_with_crowded_lanes_alone()) == ({"full": 1, "busy": 1}, 4)
