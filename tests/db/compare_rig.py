"""A comparison on the real database: who asks, what each pane was sent, reading to the end."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from chatplay.compare.service import CompareService
from chatplay.compare.values import ComparisonView, PaneAnswer
from chatplay.fingerprint import fingerprint_of
from chatplay.providers.base import Chunk, End, Request
from chatplay.tokens.calibrations import Calibrations
from chatplay.tokens.counting import TokenCounter
from tests.db.chat_rig import Process, Rig, eventually, process, rig


class Recording:
    """Wraps the scripted provider: its ends say what it was sent. `lies` changes the request on its way out."""

    def __init__(self, scripted):
        self._scripted = scripted
        self._stream = scripted.stream
        self.lies = lambda request: request
        self.ignores = ()

    async def stream(self, request: Request):
        sent = self.lies(request)
        opening: End | None = End(fingerprint=fingerprint_of(sent))
        async for chunk in self._stream(sent):
            chunk, opening = replace(chunk, opening=opening), None
            if chunk.end is not None:
                end: End = replace(
                    chunk.end,
                    fingerprint=fingerprint_of(sent, without=self.ignores),
                    sent={"model": sent.model, "temperature": sent.params.temperature},
                    ignored_params=self.ignores,
                )
                chunk = Chunk(end=end)
            yield chunk


def service_of(one: Process) -> CompareService:
    return CompareService(
        store=one.store,
        hub=one.generations.hub,
        calls=one.calls,
        catalog=one.catalog,
        counter=TokenCounter(calibrations=Calibrations(one.store), server=None, ranks=None),
        max_prompt_chars=1000,
    )


@dataclass
class Bench:
    """One person's comparison. `me` are the arguments that say who and which."""

    house: Rig
    compare: CompareService
    wire: Recording
    me: dict
    role = "analyst"

    @property
    def store(self):
        return self.house.store

    @property
    def provider(self):
        return self.house.provider

    def view(self) -> ComparisonView:
        return self.compare.get(**self.me)

    @property
    def panes(self) -> list[UUID]:
        return [pane.id for pane in self.view().panes]

    def run(self, **more) -> ComparisonView:
        return self.compare.run(**self.me, role=self.role, **({"request_key": uuid4()} | more))

    def vote(self, choice="best", place=None):
        """On what is there now; `place` from left to right."""
        pane_id = None if place is None else self.panes[place]
        user_id, view = self.me["user_id"], self.view()
        self.compare.vote(user_id=user_id, view=view, choice=choice, pane_id=pane_id)

    def done(self) -> ComparisonView:
        """The view once nothing is coming any more."""
        eventually(lambda: not self.view().is_running)
        return self.view()

    def answer(self, place: int) -> PaneAnswer:
        view = self.view()
        return view.answers[view.panes[place].id]


@contextmanager
def bench(url: str, **more):
    with rig(url, **more) as house:
        wire = Recording(house.provider)
        house.provider.stream = wire.stream
        compare = service_of(house.process)
        view = compare.new(user_id=house.user_id, role="analyst")
        yield Bench(house, compare, wire, {"user_id": house.user_id, "comparison_id": view.comparison.id})


@contextmanager
def second_process(url: str):
    """Another app process on the same database, with its service."""
    with process(url) as other:
        yield service_of(other)
