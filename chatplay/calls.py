"""Model calls, whoever makes them: opened with the caller's rows, run by the hub, followed and stopped by id.

A chat turn, a pane, a trial and a request through a route all go this way, so each has a usage row, a time
limit, an event log and one end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from chatplay import params as parameters
from chatplay.errors import NotFound
from chatplay.generation.hub import Hub
from chatplay.generation.live import LiveGeneration, Patience, usual_patience
from chatplay.generation.remote import Listener, StoredGeneration, follow_stored
from chatplay.generation.values import GenerationEnd, Job, Keeper, Tap, Update
from chatplay.models.catalog import ModelCatalog, ModelInfo
from chatplay.params import Params
from chatplay.prices import Price
from chatplay.providers.base import Message, Relay, Request
from chatplay.store import Connection, Store
from chatplay.usage.budgets import check_budget
from chatplay.usage.price_table import get_terms
from db import answers, generations


@dataclass(frozen=True)
class Call:
    """One model call to make for a person.

    `messages` is all that is sent, the system prompt first. With `message_id` the answer belongs to that message
    of a chat; else it is kept by itself (`keeps_answer`), or not at all: its usage row is kept in any case.
    `omitted_messages` of a thread, about `omitted_tokens`, were left out to fit the window.
    A program's own request is `relay`, asked for whole without `stream`, and its reader the `tap`.
    The `keeper` writes what belongs to the caller with the end.
    """

    user_id: int
    model: ModelInfo
    messages: tuple[Message, ...]
    params: Params
    source: str
    generation_id: UUID = field(default_factory=uuid4)
    session_id: UUID | None = None
    message_id: int | None = None
    experiment_id: UUID | None = None
    keeps_answer: bool = True
    retry_of: UUID | None = None
    attempt: int = 1
    omitted_messages: int = 0
    omitted_tokens: int = 0
    stream: bool = True
    relay: Relay | None = None
    tap: Tap | None = None
    keeper: Keeper | None = None


class Terms:
    """What calls cost and whether they may be made, as it stands in one transaction: each model is asked about once."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._known: dict[tuple[int, str, str], Price | None] = {}

    def price(self, *, user_id: int, model: ModelInfo) -> Price | None:
        """The price in force; None is unknown. Raises BudgetSpent when a budget of the person is used up."""
        key = (user_id, model.upstream, model.name)
        if key not in self._known:
            dated, has_budgets = get_terms(self._conn, upstream=model.upstream, model=model.name)
            self._known[key] = agreed_price(self._conn, dated, has_budgets, user_id=user_id, model=model)
        return self._known[key]


def agreed_price(
    conn: Connection, dated: Price | None, has_budgets: bool, *, user_id: int, model: ModelInfo
) -> Price | None:
    """The price in force, `dated` where there is such a one; None is unknown. Raises BudgetSpent when a budget of the
    person is used up.
    """
    price = dated or model.price
    if has_budgets:
        check_budget(conn, user_id=user_id, price=price)
    return price


class Calls:
    """See the module. One per process; safe from any thread."""

    def __init__(self, *, store: Store, hub: Hub, listener: Listener, catalog: ModelCatalog) -> None:
        self._store = store
        self._hub = hub
        self._listener = listener
        self._catalog = catalog

    @property
    def owner(self) -> UUID:
        """This process, as generations name the one that makes them."""
        return self._hub.owner

    def open(self, conn: Connection, call: Call) -> Job:
        """The call's rows, in the caller's transaction. After its commit, and only then: `run`.

        Raises BudgetSpent when a budget of the person or their organisation is used up.
        """
        return self.open_many(conn, [call], Terms(conn))[0]

    def open_many(self, conn: Connection, calls: Sequence[Call], terms: Terms) -> list[Job]:
        """`open` for several, in as few statements as for one."""
        prices = [terms.price(user_id=call.user_id, model=call.model) for call in calls]
        opened = [generations.NewGeneration(new_usage(call), call.message_id) for call in calls]
        generations.insert_generations(conn, owner=self._hub.owner, calls=opened)
        kept = [call.generation_id for call in calls if call.message_id is None and call.keeps_answer]
        answers.insert_answers(conn, generation_ids=kept)
        return [self.job(call, price) for call, price in zip(calls, prices, strict=True)]

    def job(self, call: Call, price: Price | None) -> Job:
        """What `run` takes, of a call whose rows the caller has written."""
        return Job(
            generation_id=call.generation_id,
            user_id=call.user_id,
            message_id=call.message_id,
            provider=self._catalog.provider_for(call.model),
            request=Request(call.model.name, call.messages, call.params, call.stream, call.relay),
            supports_streaming=call.model.supports_streaming,
            price=price,
            omitted_messages=call.omitted_messages,
            omitted_tokens=call.omitted_tokens,
            source=call.source,
            tap=call.tap,
            keeper=call.keeper,
        )

    def run(self, job: Job) -> None:
        """Begins the call; it goes on whatever happens to the caller."""
        self._hub.run(job)

    def start(self, call: Call) -> UUID:
        """Opens and runs a call that belongs to no other rows. Returns its generation id."""
        with self._store.transaction() as conn:
            job = self.open(conn, call)
        self.run(job)
        return call.generation_id

    def follow(
        self,
        *,
        user_id: int,
        generation_id: UUID,
        after_seq: int = 0,
        interval_sec: float = 0.04,
        patience: Patience = usual_patience,
    ) -> Iterator[Update]:
        """Coalesced updates from delta `after_seq` on, the last with the end; an empty one after `patience` seconds of
        silence.

        Raises NotFound for what is not the person's own.
        """
        source = self.find_source(user_id=user_id, generation_id=generation_id)
        if isinstance(source, LiveGeneration):
            return source.follow(after_seq=after_seq, interval_sec=interval_sec, patience=patience)
        return follow_stored(source, after_seq=after_seq, interval_sec=interval_sec, patience=patience)

    def find_live(self, *, user_id: int, generation_id: UUID) -> LiveGeneration | None:
        """The person's answer if this process holds it; never waits."""
        return self._hub.find_live(generation_id, user_id=user_id)

    def find_source(self, *, user_id: int, generation_id: UUID) -> LiveGeneration | StoredGeneration:
        """Where the answer can be looked at: in memory when this process holds it, else in the event log.

        Raises NotFound for what is not the person's own.
        """
        live = self.find_live(user_id=user_id, generation_id=generation_id)
        if live is not None:
            return live
        self._check_owner(user_id, generation_id)
        return StoredGeneration(store=self._store, listener=self._listener, generation_id=generation_id)

    def wait(self, *, user_id: int, generation_id: UUID) -> GenerationEnd:
        """Blocks until the end, which the hub's time limits bound. Raises NotFound."""
        for update in self.follow(user_id=user_id, generation_id=generation_id):
            if update.end is not None:
                return update.end
        raise no_such_answer()

    def stop(self, *, user_id: int, generation_id: UUID) -> None:
        """Stops it in whatever process it runs; what had arrived stays. Raises NotFound."""
        self._check_owner(user_id, generation_id)
        self.stop_unchecked(generation_id)

    def stop_unchecked(self, generation_id: UUID) -> None:
        """For services that know whose it is."""
        if self._hub.find_live(generation_id) is not None:
            self._hub.stop(generation_id)
            return
        with self._store.transaction() as conn:
            generations.request_stop(conn, generation_id=generation_id)

    def _check_owner(self, user_id: int, generation_id: UUID) -> None:
        with self._store.reading() as conn:
            row = generations.find_generation(conn, generation_id=generation_id)
        if row is None or row.user_id != user_id:
            raise no_such_answer()


def new_usage(call: Call) -> generations.NewUsage:
    """What is noted of a call before it is made."""
    model = call.model
    return generations.NewUsage(
        generation_id=call.generation_id,
        user_id=call.user_id,
        session_id=call.session_id,
        source=call.source,
        provider=model.provider,
        upstream=model.upstream,
        model=model.name,
        engine_type=model.engine_type,
        params=parameters.to_json(replace(call.params, system_prompt="")),  # a usage row holds no prompt text
        experiment_id=call.experiment_id,
        retry_of=call.retry_of,
        attempt=call.attempt,
    )


def no_such_answer() -> NotFound:
    """For an answer that is missing and one of somebody else, alike."""
    return NotFound("There is no such answer.", cure="It may have been deleted.")
