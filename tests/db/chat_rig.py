"""The whole way of a prompt on a real database, with a provider that a test drives chunk by chunk."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from sqlalchemy import text

from chatplay.calls import Calls
from chatplay.chats.service import ChatService
from chatplay.chats.values import ChatView, Turn
from chatplay.generation.assembly import Generations, assemble
from chatplay.generation.running import Limits
from chatplay.generation.values import GenerationEnd
from chatplay.models.catalog import ModelCatalog
from chatplay.params import Params
from chatplay.providers.base import Chunk, End, Provider, Request
from chatplay.providers.registry import Upstream
from chatplay.store import Store
from chatplay.tokens.calibrations import Calibrations
from chatplay.tokens.counting import TokenCounter
from db import accounts
from db.engine import make_engine

STOP = Chunk(end=End(finish_reason="stop"))


class ScriptedProvider:
    """Answers what the test puts into `script`: texts, chunks, exceptions to raise, `Gate`s to wait at."""

    name = "scripted"

    def __init__(self) -> None:
        self.script: list[object] = ["Hello", " there", STOP]
        self.requests: list[Request] = []
        self.closed = threading.Event()

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        self.requests.append(request)
        steps = self.script if request.stream else self.whole
        try:
            for step in steps:
                match step:
                    case Gate():
                        await step.wait()
                    case Exception():
                        raise step
                    case str():
                        yield Chunk(step)
                    case Chunk():
                        yield step
        finally:
            self.closed.set()

    @property
    def whole(self) -> list[object]:
        return ["the whole answer", STOP]

    async def aclose(self) -> None:
        pass


class Gate:
    """Holds a scripted answer until the test opens it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    async def wait(self) -> None:
        self.reached.set()
        while not self._open.is_set():
            await asyncio.sleep(0.005)


@dataclass
class Process:
    """What one app process has: its own engine, hub and service."""

    store: Store
    generations: Generations
    calls: Calls
    chats: ChatService
    provider: ScriptedProvider
    catalog: ModelCatalog


@dataclass
class Rig:
    process: Process
    user_id: int
    url: str
    others: list[Process] = field(default_factory=list)

    @property
    def chats(self) -> ChatService:
        return self.process.chats

    @property
    def provider(self) -> ScriptedProvider:
        return self.process.provider

    @property
    def store(self) -> Store:
        return self.process.store

    def new_chat(self) -> UUID:
        return self.chats.new_chat(user_id=self.user_id, role="analyst").chat.id

    def send(self, text: str = "Hi", *, chat_id: UUID | None = None, params: Params | None = None, **more) -> Turn:
        return self.chats.send(
            user_id=self.user_id,
            role="analyst",
            chat_id=chat_id or self.new_chat(),
            text=text,
            params=params or Params(),
            request_key=more.get("request_key") or uuid4(),
        )

    def finish(self, turn: Turn) -> GenerationEnd:
        """Follows to the end, and on until the end is in the database."""
        end = read_to_end(self.chats, self.user_id, turn.generation_id)[1]
        live = self.process.generations.hub.find_live(turn.generation_id)
        assert live is None or live.saved.wait(10)
        return end

    def ask(self, text: str = "Hi", **more) -> Turn:
        turn = self.send(text, **more)
        self.finish(turn)
        return turn

    def count(self, table: str) -> int:
        with self.store.reading() as conn:
            return conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()

    def view(self, chat_id: UUID, **more):
        return self.chats.open_chat(user_id=self.user_id, role="analyst", chat_id=chat_id, **more)


def contents(view: ChatView) -> list[tuple[str, str]]:
    """Who said what in the thread on show."""
    return [(message.role, message.content) for message in view.messages]


def read_to_end(chats: ChatService, user_id: int, generation_id: UUID) -> tuple[str, GenerationEnd]:
    """All text the updates carry, and the end."""
    text = ""
    for update in chats.follow(user_id=user_id, generation_id=generation_id, interval_sec=0.005):
        text += update.text
        if update.end is not None:
            return text, update.end
    raise AssertionError("the updates ended without an end")


def add_person(store: Store, username: str) -> int:
    with store.transaction() as conn:
        user_id = accounts.add_user(
            conn,
            organisation_id=accounts.get_or_add_organisation(conn, name="Default"),
            username=username,
            display_name=username.title(),
            password_hash="x",
            role="analyst",
            must_change_password=False,
        )
    assert user_id is not None
    return user_id


@contextmanager
def process(
    url: str,
    *,
    limits: Limits | None = None,
    reap_after_sec: float = 10.0,
    heartbeat_sec: float = 0.2,
    max_prompt_chars: int = 1000,
    provider: Provider | None = None,
    clock: Callable[[], float] = time.monotonic,
    **settings,
):
    provider = provider or ScriptedProvider()
    upstream = Upstream("scripted", "demo", allowed_models=("tiny", "other"), context_tokens=1000, **settings)
    catalog = ModelCatalog((upstream,), {"scripted": provider})
    store = Store(make_engine(url, pool_size=8))
    calibrations = Calibrations(store)
    generations = assemble(
        store=store,
        limits=limits or Limits(),
        heartbeat_sec=heartbeat_sec,
        reap_after_sec=reap_after_sec,
        on_counted=calibrations.learn,
        clock=clock,
    )
    generations.start()
    calls = Calls(store=store, hub=generations.hub, listener=generations.listener, catalog=catalog)
    chats = ChatService(
        store=store,
        hub=generations.hub,
        calls=calls,
        catalog=catalog,
        counter=TokenCounter(calibrations=calibrations, server=None, ranks=None),
        max_prompt_chars=max_prompt_chars,
    )
    try:
        yield Process(store, generations, calls, chats, provider, catalog)
    finally:
        generations.close()
        store.engine.dispose()


@contextmanager
def rig(url: str, **more):
    with process(url, **more) as one:
        yield Rig(one, add_person(one.store, "ana"), url)


def eventually(true: Callable[[], bool], *, tries: int = 2000) -> None:
    """Waits for a condition, ten seconds at most."""
    pause = threading.Event()
    for _ in range(tries):
        if true():
            return
        pause.wait(0.005)
    raise AssertionError("it never came true")
