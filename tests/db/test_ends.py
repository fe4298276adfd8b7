"""Ends of answers: what ends in the same moment is written together, and nobody waits for what cannot be written."""

from __future__ import annotations

import threading
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from chatplay.calls import Call
from chatplay.params import Params
from chatplay.providers.base import Message
from tests.db.chat_rig import STOP, Gate, Process, Rig, add_person, eventually, process, read_to_end, rig


@pytest.fixture
def house(database_url):
    with rig(database_url, heartbeat_sec=0.02) as house:
        yield house


class Watch:
    """The sizes of the batches written; the first one is held until the test lets it go."""

    def __init__(self, house: Rig) -> None:
        self.batches: list[list[UUID]] = []
        self.let_go = threading.Event()
        self._ends = house.process.generations.hub._ends
        self._write_really = self._ends._write
        self._ends._write = self._write

    def _write(self, batch):
        self.batches.append([one.ending.generation_id for one in batch])
        if len(self.batches) == 1:
            assert self.let_go.wait(10)
        self._write_really(batch)

    def waiting(self) -> int:
        return sum(len(lane._waiting) for lane in self._ends._lanes)


class Keeping:
    """A keeper that notes when it was asked, and fails as often as it is told."""

    def __init__(self, place: str, asked: list[str], *, fails: int = 0) -> None:
        self.place = place
        self.is_kept = threading.Event()
        self._asked = asked
        self._fails = fails

    @classmethod
    def write(cls, conn, kept):
        for keeper, _ in kept:
            keeper._asked.append(keeper.place)
            if keeper._fails:
                keeper._fails -= 1
                raise RuntimeError("no")

    def kept(self):
        self.is_kept.set()


def call_with(house: Rig, keeper: Keeping) -> UUID:
    model = house.process.catalog.get("tiny", role="analyst")
    messages = (Message("user", "Hi"),)
    return house.process.calls.start(Call(house.user_id, model, messages, Params(), source="experiment", keeper=keeper))


def statuses(house: Rig) -> dict[UUID, str]:
    with house.store.reading() as conn:
        return dict(conn.execute(text("SELECT generation_id, status FROM usage")).all())


def deadlocks(house: Rig) -> int:
    """That the server has ended in this database so far."""
    with house.store.reading() as conn:
        counted = conn.execute(text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
        return counted.scalar_one()


def ask_as(house: Rig, user_id: int):
    chat_id = house.chats.new_chat(user_id=user_id, role="analyst").chat.id
    common = {"user_id": user_id, "role": "analyst", "params": Params(), "request_key": uuid4()}
    return house.chats.send(**common, chat_id=chat_id, text="Hi")


def begin_all(one: Process, people: list[int]):
    """An answer for each of these people, all held at one gate before their last words."""
    gate = Gate()
    one.provider.script = ["Hello", " there", gate, " you", STOP]
    turns = []
    for person in people:
        chat_id = one.chats.new_chat(user_id=person, role="analyst").chat.id
        common = {"user_id": person, "role": "analyst", "params": Params(), "request_key": uuid4()}
        turns.append(one.chats.send(**common, chat_id=chat_id, text="Hi"))
    return gate, turns


def test_answers_that_end_while_another_is_written_go_together(house):
    watch, people = Watch(house), [add_person(house.store, f"p{number}") for number in range(6)]
    first = ask_as(house, people[0])
    eventually(lambda: watch.batches)
    rest = [ask_as(house, person) for person in people[1:]]
    eventually(lambda: watch.waiting() == 5)
    watch.let_go.set()
    for person, turn in zip(people, [first, *rest], strict=True):
        read_to_end(house.chats, person, turn.generation_id)
    eventually(lambda: set(statuses(house).values()) == {"complete"})
    assert [len(batch) for batch in watch.batches] == [1, 5]
    shown = house.chats.open_chat(user_id=people[5], role="analyst", chat_id=rest[4].user_message.session_id)
    assert (shown.messages[-1].content, shown.messages[-1].status) == ("Hello there", "complete")


def test_two_chats_of_one_person_are_written_one_after_the_other(house):
    watch = Watch(house)
    ask_as(house, add_person(house.store, "bob"))
    eventually(lambda: watch.batches)
    mine = [house.send().generation_id, house.send().generation_id]
    eventually(lambda: watch.waiting() == 2)
    watch.let_go.set()
    eventually(lambda: set(statuses(house).values()) == {"complete"})
    assert watch.batches[1:] == [[mine[0]], [mine[1]]]


def test_end_that_cannot_be_written_holds_up_no_other_of_its_batch(house):
    watch, asked = Watch(house), []
    call_with(house, Keeping("a", asked))
    eventually(lambda: watch.batches)
    bad, good = Keeping("b", asked, fails=3), Keeping("c", asked)
    ids = call_with(house, bad), call_with(house, good)
    eventually(lambda: watch.waiting() == 2)
    watch.let_go.set()
    assert good.is_kept.wait(10)
    assert bad.is_kept.wait(10)  # tried again by itself until it went through
    assert [statuses(house)[one] for one in ids] == ["complete", "complete"]


def test_end_that_a_closing_hub_could_not_write_is_not_said_to_be_kept(database_url):
    with rig(database_url) as house:
        gate, keeper = Gate(), Keeping("a", [], fails=1_000_000)
        house.provider.script = ["Hello", gate, STOP]
        generation_id = call_with(house, keeper)
        assert gate.reached.wait(10)
        hub, live = house.process.generations.hub, house.process.generations.hub.find_live(generation_id)
        hub.close()
        assert live.end.status == "interrupted"
        assert not live.saved.is_set()
        assert not keeper.is_kept.is_set()
        assert statuses(house)[generation_id] == "streaming"  # left to the reaper of another process


def test_end_of_a_chat_does_not_wait_for_what_keepers_lock(house):
    watch = Watch(house)
    call_with(house, Keeping("a", []))
    eventually(lambda: watch.batches)
    turn = house.send()
    house.finish(turn)
    assert statuses(house)[turn.generation_id] == "complete"
    watch.let_go.set()


def test_keepers_of_a_batch_are_asked_in_the_order_of_what_they_lock(house):
    watch, asked = Watch(house), []
    call_with(house, Keeping("first", []))
    eventually(lambda: watch.batches)
    keepers = [Keeping(place, asked) for place in ("c", "a", "b")]
    for keeper in keepers:
        call_with(house, keeper)
    eventually(lambda: watch.waiting() == 3)
    watch.let_go.set()
    assert all(keeper.is_kept.wait(10) for keeper in keepers)
    assert asked == ["a", "b", "c"]


def test_many_ends_heartbeats_and_events_of_two_processes_never_wait_in_a_circle(house, database_url):
    before = deadlocks(house)  # databases serve one test after the other
    people = [add_person(house.store, f"p{number}") for number in range(20)]
    with process(database_url, heartbeat_sec=0.02) as other:
        begun = [(one, *begin_all(one, people)) for one in (house.process, other)]
        for _, gate, _ in begun:
            gate.open()
        for one, _, turns in begun:
            for person, turn in zip(people, turns, strict=True):
                read_to_end(one.chats, person, turn.generation_id)
        eventually(lambda: set(statuses(house).values()) == {"complete"})
    assert deadlocks(house) == before
