"""Experiments on a real database: the service, a worker that a test starts, and a provider it can steer."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from chatplay.errors import ProviderError
from chatplay.experiments.desk import Desk
from chatplay.experiments.estimate import Limits
from chatplay.experiments.service import ExperimentService
from chatplay.experiments.values import AxisText, CaseTable, ModelRef, Plan, Trial
from chatplay.experiments.worker import ExperimentWorker, WorkerPace
from chatplay.prices import Price
from chatplay.providers.base import Chunk, End, Request, Usage, last_user_text
from chatplay.tokens.calibrations import Calibrations
from chatplay.tokens.counting import TokenCounter
from tests.db.chat_rig import Process, add_person, eventually, process

MODEL = ModelRef("tiny", "scripted")
QUICK = WorkerPace(calls_at_once=4, upstream_calls=8, sweep_sec=0.3, beat_sec=0.3, stalled_sec=2.0, poll_sec=0.3)


class Answerer:
    """Answers every prompt with its own text; fails or waits where a test says so."""

    name = "scripted"

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.failures: list[ProviderError] = []  # raised by the next calls, one each
        self.answer = lambda request: f"{last_user_text(request)} at {request.params.temperature:g}"
        self.usage = lambda request: Usage(10, 5)
        self.hold: threading.Event | None = None  # calls wait until it is set
        self.running = 0
        self.most_running = 0

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        import asyncio

        self.requests.append(request)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            if self.failures:
                raise self.failures.pop()
            while self.hold is not None and not self.hold.is_set():
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.002)
            yield Chunk(self.answer(request))
            yield Chunk(end=End(finish_reason="stop", usage=self.usage(request), sent={"model": request.model}))
        finally:
            self.running -= 1

    async def aclose(self) -> None:
        pass


@dataclass
class House:
    """One app process with the experiment service, and whoever works for it."""

    process: Process
    experiments: ExperimentService
    answerer: Answerer
    user_id: int
    url: str
    workers: list[ExperimentWorker] = field(default_factory=list)

    def work(self, pace: WorkerPace = QUICK) -> ExperimentWorker:
        worker = make_worker(self.process, self.url, pace)
        worker.start()
        self.workers.append(worker)
        return worker

    def draft(self, *, axes: str = "0, 0.5", cases: int = 3, repeats: int = 2, prompt: str = "Say {{word}}", **plan):
        version = self.experiments.save_prompt(user_id=self.user_id, name="greeting", prompt=prompt)
        wanted = Plan(
            prompts=(version,), models=(MODEL,), axes=(AxisText("temperature", axes),), repeats=repeats, **plan
        )
        return self.experiments.create(user_id=self.user_id, name="Greetings", plan=wanted, cases=words(cases))

    def start(self, **plan) -> UUID:
        draft = self.draft(**plan)
        self.experiments.start(user_id=self.user_id, role="analyst", experiment_id=draft.id)
        return draft.id

    def progress(self, experiment_id: UUID):
        return self.experiments.get_progress(user_id=self.user_id, experiment_id=experiment_id)

    def finish(self, experiment_id: UUID, state: str = "done") -> None:
        eventually(lambda: self.progress(experiment_id).state == state, tries=6000)

    def start_held(self, **plan) -> UUID:
        """Started with a worker whose four calls wait until `answerer.hold` is set."""
        self.answerer.hold = threading.Event()
        experiment_id = self.start(**plan)
        self.work()
        eventually(lambda: self.progress(experiment_id).running == 4)
        return experiment_id

    def run(self, **plan) -> UUID:
        experiment_id = self.start(**plan)
        self.work()
        self.finish(experiment_id)
        return experiment_id

    def call(self, method: str, experiment_id: UUID, **arguments):
        return getattr(self.experiments, method)(user_id=self.user_id, experiment_id=experiment_id, **arguments)

    def trial(self, experiment_id: UUID, trial_id: int) -> Trial:
        trials = self.call("list_trials", experiment_id, limit=1000).trials
        return next(one for one in trials if one.id == trial_id)


def words(count: int) -> CaseTable:
    return CaseTable(("word", "expected"), tuple((f"w{number}", f"w{number} at 0") for number in range(count)))


def make_worker(one: Process, url: str, pace: WorkerPace) -> ExperimentWorker:
    return ExperimentWorker(store=one.store, calls=one.calls, catalog=one.catalog, url=url, pace=pace)


@contextmanager
def house(url: str, *, price: Price | None = None, **more):
    with process(url, price=price, **more) as one:
        answerer = Answerer()
        one.catalog._view.providers["scripted"] = answerer
        desk = Desk(
            store=one.store,
            catalog=one.catalog,
            calls=one.calls,
            counter=TokenCounter(calibrations=Calibrations(one.store), server=None, ranks=None),
            limits=Limits(16, 32),
        )
        found = House(one, ExperimentService(desk), answerer, add_person(one.store, "ana"), url)
        try:
            yield found
        finally:
            for worker in found.workers:
                worker.close()
