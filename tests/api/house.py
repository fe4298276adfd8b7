"""Our routes on a real port, with three people of every kind of credential, and model servers that tests script."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
from starlette.applications import Starlette
from websockets.sync.client import ClientConnection, connect

from chatplay.api.app import api_routes
from chatplay.auth.person import Person, person_of
from chatplay.auth.tokens import SESSION_COOKIE
from chatplay.experiments.values import AxisText, CaseTable, ModelRef, Plan
from chatplay.runtime import Runtime, build
from chatplay.settings import Settings
from db import accounts
from tests.api.openai_rig import Port
from tests.upstream import DONE, Body, Gate, Head, Script, Upstream, delta, event, steps

PLANTED_KEY = "sk-planted-0a1b2c3d4e5f6071"
PLENTY = {"api_requests_per_minute": 1_000_000, "api_address_requests_per_minute": 1_000_000}


class Clock:
    """The wall clock, and what a test turns it by."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Guest:
    """A person with a token of all scopes they may have, and a sign-in."""

    house: House
    person: Person
    token: str
    cookie: str

    def client(self, **headers: str) -> httpx2.Client:
        return self.house.client(authorization=f"Bearer {self.token}", **headers)

    def browser(self, **headers: str) -> httpx2.Client:
        """As a page of ours asks: with the cookie, and the Origin browsers send."""
        return self.house.client(**{"origin": self.house.url, "cookie": f"{SESSION_COOKIE}={self.cookie}", **headers})

    def new_session(self, model: str = "echo") -> str:
        """The id of a session of one's own that has a message, so that the next call makes another."""
        with self.client() as client:
            session_id = client.post("/v1/chat/sessions", json={"model_name": model}).json()["id"]
            added = client.post(f"/v1/chat/sessions/{session_id}/messages", json={"content": "Begin."})
        assert added.status_code == 201, added.text
        return session_id

    def new_experiment(self) -> str:
        """The id of an experiment of one's own: started, and no worker runs here."""
        experiments = self.house.runtime.experiments
        version = experiments.save_prompt(user_id=self.person.id, name="greeting", prompt="Say {{word}}")
        plan = Plan(
            prompts=(version,), models=(ModelRef("echo", "echo"),), axes=(AxisText("temperature", "0, 0.5"),), repeats=2
        )
        cases = CaseTable(("word",), (("=1+1",), ("two",)))
        draft = experiments.create(user_id=self.person.id, name="Greetings", plan=plan, cases=cases)
        experiments.start(user_id=self.person.id, role=self.person.role, experiment_id=draft.id)
        return str(draft.id)

    def ask(self, session_id: str, text: str = "Hi", **body: Any) -> dict[str, Any]:
        with self.client() as client:
            answer = client.post(f"/v1/chat/sessions/{session_id}/generate", json={"content": text, **body})
        assert answer.is_success, answer.text
        return answer.json()

    def socket(self, session_id: str, **headers: str) -> ClientConnection:
        return self.house.socket(session_id, {"authorization": f"Bearer {self.token}", **headers})


@dataclass
class House:
    runtime: Runtime
    upstream: Upstream
    url: str
    clock: Clock
    guests: dict[str, Guest] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Guest:
        try:
            return self.__dict__["guests"][name]
        except KeyError:
            raise AttributeError(name) from None

    def client(self, **headers: str) -> httpx2.Client:
        # No TLS here: reading the certificates of the world would take longer than a request.
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30, verify=False)

    def socket(self, session_id: str, headers: dict[str, str]) -> ClientConnection:
        url = self.url.replace("http", "ws", 1) + f"/ws/chat/{session_id}/"
        return connect(url, additional_headers=headers, compression=None, open_timeout=10)

    def add_guest(self, username: str, role: str = "analyst") -> Guest:
        with self.runtime.store.transaction() as conn:
            user_id = accounts.add_user(
                conn,
                organisation_id=accounts.get_or_add_organisation(conn, name="Default"),
                username=username,
                display_name=username.title(),
                password_hash="x",
                role=role,
                must_change_password=False,
            )
            person = person_of(accounts.find_user(conn, user_id=user_id))
        scopes = ("read", "chat", "admin") if role == "administrator" else ("read", "chat")
        made = self.runtime.access_tokens.create(actor=person, name="a script", scopes=scopes, days=30)
        cookie = self.runtime.sessions.open(user_id=person.id, address=None, user_agent="Firefox")
        guest = self.guests[username] = Guest(self, person, made.secret, cookie)
        return guest

    @contextmanager
    def other_process(self, **settings: Any) -> Iterator[str]:
        """The address of another app on the same database, with services of its own."""
        given = _settings(self.runtime.settings.database_url, self.upstream, **settings)
        with _serving(given, self.clock) as (_runtime, url):
            yield url


@contextmanager
def open_house(database_url: str, **settings: Any) -> Iterator[House]:
    with Upstream() as upstream, ExitStack() as stack:
        clock = Clock()
        runtime, url = stack.enter_context(_serving(_settings(database_url, upstream, **settings), clock))
        house = House(runtime, upstream, url, clock)
        for username, role in (("ana", "analyst"), ("bob", "analyst"), ("ada", "administrator")):
            house.add_guest(username, role)
        yield house


@contextmanager
def _serving(settings: Settings, clock: Clock) -> Iterator[tuple[Runtime, str]]:
    runtime = build(settings, environ={}, clock=clock)
    runtime.generations.start()
    poller = runtime.generations.hub.submit(runtime.health.run_forever())
    try:
        routes = api_routes(
            lambda: runtime,
            max_body_bytes=lambda: settings.api_max_body_kb * 1024,
            find_runtime=lambda: runtime,
        )
        with Port(Starlette(routes=routes)) as url:
            yield runtime, url
    finally:
        poller.cancel()
        runtime.close()


def _settings(database_url: str | None, upstream: Upstream, **more: Any) -> Settings:
    given = {
        "database_url": database_url,
        "database_pool_size": 10,
        "use_openai": True,
        "openai_api_key": PLANTED_KEY,
        "openai_base_url": upstream.base_url,
        "openai_chat_model": "mock-model",
        "cb_failure_threshold": 1000,
        **PLENTY,
    }
    return Settings(**(given | more))


@dataclass(frozen=True)
class SseEvent:
    kind: str
    seq: int
    data: dict[str, Any]


def sse_events(lines: Iterator[str]) -> Iterator[SseEvent]:
    """The events in the lines of a text/event-stream; comments are passed over."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield SseEvent(fields["event"], int(fields["id"]), json.loads(fields["data"]))
            fields = {}


def frames(socket: ClientConnection, upto: str = "message_end") -> list[dict[str, Any]]:
    """What comes until a frame of the type `upto`, which is the last."""
    found = []
    while not found or found[-1]["type"] != upto:
        found.append(json.loads(socket.recv(timeout=20)))
    return found


def until(condition: Callable[[], object], timeout_sec: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_sec
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def held(gate: Gate) -> Script:
    """An answer that waits in its middle until the test lets it go on."""
    return steps(Head(), Body(event(delta("Hello"))), gate, Body(event(delta(finish="stop"))), Body(DONE))


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}
