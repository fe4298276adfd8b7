"""A lane opens the calls of many people's trials together; one that fails is its own affair."""

import asyncio
from types import SimpleNamespace

from chatplay.experiments.picking import Ticket
from chatplay.experiments.run import Opened, _Lane


class Opener:
    """Stands for the runner: opening a batch with the trial "bad" fails, as a fault of the code would."""

    def __init__(self):
        self.free = 4
        self.begun = []
        self.closing = asyncio.Event()

    async def in_thread(self, work):
        return work()

    def open(self, _upstream, batch, _loop):
        if any(ticket.trial == "bad" for ticket in batch):
            raise OverflowError("date value out of range")
        return Opened(jobs=[(ticket, ticket.trial) for ticket in batch])

    def begin(self, job):
        self.begun.append(job)


async def open_all(*trials):
    runner, loop = Opener(), asyncio.get_running_loop()
    lane = _Lane("lab", runner)
    tickets = [Ticket(SimpleNamespace(), trial, loop.create_future()) for trial in trials]
    for ticket in tickets:
        lane.take(ticket)
    async with asyncio.timeout(5):
        await tickets[trials.index("bad")].outcome
        while len(runner.begun) + runner.free < 4:
            await asyncio.sleep(0)
    begun, free = list(runner.begun), runner.free
    await lane.close()
    return begun, free


def test_trial_that_cannot_be_opened_keeps_no_other_from_it():
    assert asyncio.run(open_all("one", "bad", "two")) == (["one", "two"], 2)
