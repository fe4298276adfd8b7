"""Which trials of a batch may run now: within the caps of their experiments and the limits of their upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid4

from chatplay.experiments.blueprint import Blueprint, Question
from chatplay.experiments.endings import Again
from chatplay.store import Connection
from db import trial_claims
from db.trial_claims import Gate, Lane, WaitingTrial

_RAISE_IT = "Raise it with Change limits, then resume."
_BURST = timedelta(seconds=1)  # how much of a rate may be taken at once after a silence


@dataclass
class Ticket:
    """A trial on its way through a lane. `outcome` is Again, or None when nothing more is to be done here; `left` when
    that is because only other workers can.
    """

    blueprint: Blueprint
    trial: WaitingTrial
    outcome: asyncio.Future[Again | None]
    left: bool = False


@dataclass(frozen=True)
class Chosen:
    """A ticket that runs now, with what is held back of the cap on cost for it."""

    ticket: Ticket
    question: Question
    generation_id: UUID
    reserved_usd: float | None


class Picking:
    """Which tickets of a batch may run now, within the limits read under the locks."""

    def __init__(self, conn: Connection, *, gates: dict[UUID, Gate], lane: Lane, upstream_calls: int) -> None:
        self._conn = conn
        self._gates = gates
        self._lane = lane
        self._upstream_calls = upstream_calls
        # The generic cell rate algorithm: each call moves on the time from which the next may go.
        self._next_at = self._first_at = max(lane.next_at, lane.now - _BURST)
        self._calls: dict[UUID, int] = {}
        self._reserved: dict[UUID, float] = {}
        self.chosen: list[Chosen] = []
        self.unwanted: list[Ticket] = []
        self.no_place: list[Ticket] = []

    def consider(self, ticket: Ticket, ask: Callable[[str], Question | None]) -> None:
        gate = self._gates.get(ticket.trial.experiment_id)
        if gate is None or gate.state != "running" or self._is_capped(gate):
            self.unwanted.append(ticket)
        elif not self._has_place(gate):
            self.no_place.append(ticket)
        elif (question := ask(gate.role)) is None:
            self.unwanted.append(ticket)
        else:
            self._choose(ticket, gate, question)

    def _choose(self, ticket: Ticket, gate: Gate, question: Question) -> None:
        reserved = None
        if gate.max_cost_usd is not None:
            if (reserved := question.reserve_usd) is None:
                return self._unpriced(ticket, gate, question)
            held = gate.reserved_usd + self._reserved.get(gate.id, 0.0)
            if gate.cost_usd + held + reserved > gate.max_cost_usd:
                return self._over_cost(ticket, gate, held)
            self._reserved[gate.id] = self._reserved.get(gate.id, 0.0) + reserved
        if gate.calls_per_minute is not None:
            self._next_at += timedelta(minutes=1 / gate.calls_per_minute)
        self._calls[gate.id] = self._calls.get(gate.id, 0) + 1
        self.chosen.append(Chosen(ticket, question, uuid4(), reserved))
        return None

    def _over_cost(self, ticket: Ticket, gate: Gate, held: float) -> None:
        if held > 1e-9:  # calls that run may turn out cheaper than what is held back for them
            self.no_place.append(ticket)
            return
        self._pause(gate, f"The cap of ${gate.max_cost_usd:g} leaves no room for another call. {_RAISE_IT}")
        self.unwanted.append(ticket)

    def _unpriced(self, ticket: Ticket, gate: Gate, question: Question) -> None:
        because = (
            f"The price of `{question.model.name}` is not known, so the cap on cost can't hold. "
            "Take off the cap, or let an administrator enter the price; then resume."
        )
        self._pause(gate, because)
        self.unwanted.append(ticket)

    def _is_capped(self, gate: Gate) -> bool:
        if gate.max_calls is None or gate.calls + self._calls.get(gate.id, 0) < gate.max_calls:
            return False
        self._pause(gate, f"The cap of {gate.max_calls:,} calls is reached. {_RAISE_IT}")
        return True

    def _pause(self, gate: Gate, because: str) -> None:
        trial_claims.pause(self._conn, experiment_id=gate.id, because=because)
        self._gates[gate.id] = replace(gate, state="paused")

    def _has_place(self, gate: Gate) -> bool:
        most = min(gate.calls_at_once or self._upstream_calls, self._upstream_calls)
        if self._lane.running + len(self.chosen) >= most:
            return False
        return gate.calls_per_minute is None or self._next_at <= self._lane.now

    def count(self, mine: list[Chosen]) -> None:
        """Counts the calls that were really claimed against the caps."""
        for experiment_id in {one.ticket.trial.experiment_id for one in mine}:
            own = [one for one in mine if one.ticket.trial.experiment_id == experiment_id]
            trial_claims.count_calls(
                self._conn,
                experiment_id=experiment_id,
                calls=len(own),
                retries=sum(one.ticket.trial.attempt > 1 for one in own),
                reserved_usd=sum(one.reserved_usd or 0.0 for one in own),
            )

    def space(self, upstream: str) -> None:
        """Keeps from when on the next call may go, where a rate has moved it."""
        if self._next_at > self._first_at:
            trial_claims.set_next_at(self._conn, upstream=upstream, next_at=self._next_at)
