"""Runs lots of trials: each upstream has a lane (`lanes.py`), where calls are opened in batches.

A trial is claimed in the transaction that opens its call, and ended in the one that ends it, so that whatever dies in
between leaves either a trial that waits or one whose call is found interrupted. Limits of an upstream are counted
under its lock in the database, caps under the experiment's: both hold for all workers together.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar
from uuid import UUID

from chatplay.calls import Call, Calls, Terms
from chatplay.errors import ChatplayError
from chatplay.experiments.blueprint import (
    Blueprint,
    Question,
    check_open_to,
    load_blueprint,
    question_of,
    values_of,
)
from chatplay.experiments.elsewhere import Elsewhere
from chatplay.experiments.endings import Again, TrialKeeper, judgement_end, trial_end
from chatplay.experiments.lanes import Lane, Opened, settle
from chatplay.experiments.picking import Chosen, Picking, Ticket
from chatplay.generation.values import GenerationEnd, Job
from chatplay.models.catalog import ModelCatalog
from chatplay.store import Connection, Store
from db import jobs, judgements, trial_claims, trials
from db.trial_claims import Claim, WaitingTrial
from db.trial_ends import TrialEnd

T = TypeVar("T")
_draw = random.SystemRandom().random


class Runner:
    """One per worker. All its coroutines run on one loop; the database is asked in threads of its own."""

    def __init__(
        self,
        *,
        store: Store,
        calls: Calls,
        catalog: ModelCatalog,
        calls_at_once: int,
        upstream_calls: int,
        patience_sec: float = 60.0,
        rest_sec: float = 5.0,
        draw: Callable[[], float] = _draw,
    ) -> None:
        self._store = store
        self._calls = calls
        self._catalog = catalog
        self._upstream_calls = upstream_calls
        self._elsewhere = Elsewhere(catalog, patience_sec=patience_sec)
        self._rest_sec = rest_sec
        self._draw = draw
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="experiments")
        self._lanes: dict[str, Lane] = {}
        self._blueprints: dict[UUID, Blueprint] = {}
        self.free = calls_at_once
        self.closing = asyncio.Event()

    async def run_lot(self, experiment_id: UUID, lot: int) -> None:
        """Sees the waiting trials of a lot through to their ends, and the experiment when it is over."""
        blueprint, waiting = await self.in_thread(lambda: self._load(experiment_id, lot))
        left: list[bool] = []
        if blueprint is not None and waiting:
            left = await asyncio.gather(*(self._see_through(blueprint, trial) for trial in waiting))
        if self.closing.is_set():
            return
        if any(left):
            await self._leave_to_others(experiment_id, lot)
        else:
            await self.in_thread(lambda: self._finish_if_over(experiment_id))

    async def _leave_to_others(self, experiment_id: UUID, lot: int) -> None:
        """Queues the lot again, and takes no other for a moment: those who can make its calls must come before us."""
        await self.in_thread(lambda: self._queue_again(experiment_id, lot))
        await self._pause(self._rest_sec)

    async def close(self) -> None:
        """Opens nothing more and lets go of what waits; calls that run are the hub's to end."""
        self.closing.set()
        for lane in self._lanes.values():
            await lane.close()
        self._threads.shutdown(wait=False)

    async def in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def wake_all(self) -> None:
        """A call ended: its place here and at its upstream is for any lane."""
        for lane in self._lanes.values():
            lane.wake.set()

    def give_back(self, places: int) -> None:
        """Places that were taken and not used: a lane that found none may have them.

        One that pauses is left alone: two crowded lanes would keep each other from it, always at the database.
        """
        self.free += places
        for lane in self._lanes.values():
            if places and not lane.pauses:
                lane.wake.set()

    async def _see_through(self, blueprint: Blueprint, trial: WaitingTrial) -> bool:
        """True when it is left to other workers."""
        loop = asyncio.get_running_loop()
        while not self.closing.is_set():
            ticket = Ticket(blueprint, trial, loop.create_future())
            self._lane(trial.upstream).take(ticket)
            again = await ticket.outcome
            if again is None:
                return ticket.left
            await self._pause(again.pause_sec)
            trial = ticket.trial
        return False

    async def _pause(self, pause_sec: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.closing.wait(), pause_sec)

    def _lane(self, upstream: str) -> Lane:
        if upstream not in self._lanes:
            self._lanes[upstream] = Lane(upstream, self)
        return self._lanes[upstream]

    # ---- in threads ----------------------------------------------------------------------------

    def _load(self, experiment_id: UUID, lot: int) -> tuple[Blueprint | None, list[WaitingTrial]]:
        with self._store.reading() as conn:
            waiting = trial_claims.list_lot(conn, experiment_id=experiment_id, lot=lot)
            revision = trial_claims.find_revision(conn, experiment_id=experiment_id)
            known = self._blueprints.get(experiment_id)
            if known is None or known.revision != revision:
                known = load_blueprint(conn, experiment_id) if revision is not None else None
        if known is None:
            self._blueprints.pop(experiment_id, None)
        else:
            self._blueprints[experiment_id] = known
        return known, waiting

    def _finish_if_over(self, experiment_id: UUID) -> None:
        with self._store.transaction() as conn:
            if trials.finish_if_over(conn, experiment_id=experiment_id):
                self._blueprints.pop(experiment_id, None)

    def _queue_again(self, experiment_id: UUID, lot: int) -> None:
        with self._store.transaction() as conn:
            jobs.defer_lots(conn, lots=[(experiment_id, lot)])

    def open(self, upstream: str, batch: list[Ticket], loop: asyncio.AbstractEventLoop) -> Opened:
        """Claims the trials that may run now and opens their calls, in one transaction."""
        before = [ticket.trial for ticket in batch]
        try:
            return self._open_in_transaction(upstream, batch, loop)
        except Exception:
            for ticket, trial in zip(batch, before, strict=True):
                ticket.trial = trial  # the call it was given was never made
            raise

    def _open_in_transaction(self, upstream: str, batch: list[Ticket], loop: asyncio.AbstractEventLoop) -> Opened:
        with self._store.transaction() as conn:
            gates = trial_claims.lock_gates(conn, ids={ticket.trial.experiment_id for ticket in batch})
            lane = trial_claims.lock_lane(conn, upstream=upstream)
            picked = Picking(conn, gates=gates, lane=lane, upstream_calls=self._upstream_calls)
            texts = judgements.list_judged_texts(conn, trial_ids=_subjects(batch))
            terms = Terms(conn)
            for ticket in batch:
                picked.consider(ticket, partial(self._question, conn, ticket, texts, terms))
            return self._claim(conn, upstream, picked, terms, loop)

    def _question(
        self, conn: Connection, ticket: Ticket, texts: dict[int, str], terms: Terms, role: str
    ) -> Question | None:
        if self._elsewhere.has(conn, ticket.trial.upstream):
            ticket.left = True
            return None
        try:
            question = question_of(ticket.blueprint, ticket.trial, catalog=self._catalog, answers=texts)
            check_open_to(role, question.model)
            return replace(question, price=terms.price(user_id=ticket.blueprint.user_id, model=question.model))
        except KeyError:  # the judged answer is gone: run again, or deleted
            trial_claims.drop(conn, trial_id=ticket.trial.id)
        except ChatplayError as error:  # the model is gone or closed, a budget is used up; nobody can run this now
            trial_claims.pause(conn, experiment_id=ticket.trial.experiment_id, because=str(error))
        return None

    def _claim(
        self, conn: Connection, upstream: str, picked: Picking, terms: Terms, loop: asyncio.AbstractEventLoop
    ) -> Opened:
        claims = [Claim(one.ticket.trial.id, one.generation_id, one.reserved_usd) for one in picked.chosen]
        claimed = trial_claims.claim(conn, claims=claims) if claims else set()
        opened = Opened(unwanted=picked.unwanted, no_place=picked.no_place)
        mine = [one for one in picked.chosen if one.ticket.trial.id in claimed]
        opened.unwanted.extend(one.ticket for one in picked.chosen if one.ticket.trial.id not in claimed)
        begun = self._calls.open_many(conn, [self._call(one, loop) for one in mine], terms)
        opened.jobs.extend((one.ticket, job) for one, job in zip(mine, begun, strict=True))
        picked.count(mine)
        picked.space(upstream)
        return opened

    def _call(self, one: Chosen, loop: asyncio.AbstractEventLoop) -> Call:
        ticket, trial = one.ticket, one.ticket.trial
        ticket.trial = replace(trial, attempt=trial.attempt + 1, generation_id=one.generation_id)

        def on_kept(again: Again | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended with its worker
                loop.call_soon_threadsafe(self._ended, ticket, again)

        keeper = TrialKeeper(
            trial_id=trial.id,
            experiment_id=trial.experiment_id,
            generation_id=one.generation_id,
            attempt=trial.attempt + 1,
            reserved_usd=one.reserved_usd,
            results=lambda end: _results(ticket, end),
            on_kept=on_kept,
            draw=self._draw,
        )
        return Call(
            user_id=ticket.blueprint.user_id,
            model=one.question.model,
            messages=one.question.messages,
            params=one.question.params,
            source="experiment",
            generation_id=one.generation_id,
            experiment_id=trial.experiment_id,
            retry_of=trial.generation_id,
            attempt=trial.attempt + 1,
            keeper=keeper,
        )

    # ---- on the loop ---------------------------------------------------------------------------

    def begin(self, job: Job) -> None:
        self._calls.run(job)

    def _ended(self, ticket: Ticket, again: Again | None) -> None:
        self.free += 1
        settle(ticket, again)
        self.wake_all()


def _subjects(batch: list[Ticket]) -> list[int]:
    judged = [ticket.trial for ticket in batch if ticket.trial.judge is not None]
    return [one for trial in judged for one in (trial.subject_id, trial.against_id) if one is not None]


def _results(ticket: Ticket, end: GenerationEnd) -> TrialEnd:
    blueprint, trial = ticket.blueprint, ticket.trial
    if trial.judge is None:
        return trial_end(end, rules=blueprint.plan.rules, columns=values_of(blueprint, trial))
    return judgement_end(end, pairs=blueprint.judges[trial.judge].pairs, swapped=bool(trial.swapped))
