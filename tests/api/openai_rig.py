"""The OpenAI-compatible routes on a real port, as programs meet them: real services, a scriptable model server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
import uvicorn
from starlette.applications import Starlette

from chatplay.api.app import api_routes
from chatplay.auth.person import Person, person_of
from chatplay.providers.registry import Upstream as Server
from chatplay.runtime import Runtime, build
from chatplay.settings import Settings
from db import accounts
from db.schema import usage
from tests.upstream import SCRIPTS, Upstream

MODEL = "mock-model"
NAMES = (MODEL, "org/slashed", *SCRIPTS)
ASKED: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


class Port:
    """An ASGI app on a port of its own, on a loop and thread of its own."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        until(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@dataclass
class Rig:
    runtime: Runtime
    upstream: Upstream
    url: str
    person: Person
    token: str

    def client(self, **more: Any) -> openai.OpenAI:
        settings = {"base_url": f"{self.url}/v1", "api_key": self.token, "max_retries": 0, "timeout": 20}
        return openai.OpenAI(**(settings | more))

    def ask(self, text: str = "Hi", **more: Any) -> Any:
        with self.client() as client:
            asked = ASKED | {"messages": [{"role": "user", "content": text}]} | more
            answer = client.chat.completions.create(**asked)
            return list(answer) if asked.get("stream") else answer

    def raw_stream(self, **more: Any) -> tuple[httpx2.Headers, list[str]]:
        """Lines of the event stream as they are."""
        with httpx2.stream(
            "POST",
            f"{self.url}/v1/chat/completions",
            headers={"authorization": f"Bearer {self.token}"},
            json=ASKED | {"stream": True} | more,
            timeout=20,
        ) as response:
            return response.headers, [line for line in response.iter_lines() if line]

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    def stream_request(self) -> bytes:
        """What to write to a bare connection to be answered in a stream."""
        body = json.dumps(ASKED | {"stream": True})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self.token}\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()

    def sent(self, number: int = 1) -> dict[str, Any]:
        """The body of the `number`th request the model server got."""
        return self.upstream.wait_for_request(number).body

    def usage_row(self) -> dict[str, Any]:
        """The newest one, once it has ended."""
        until(lambda: self._newest()["status"] != "streaming")
        return self._newest()

    def _newest(self) -> dict[str, Any]:
        with self.runtime.store.reading() as conn:
            return dict(conn.execute(usage.select().order_by(usage.c.created_at.desc()).limit(1)).mappings().one())


@contextlib.contextmanager
def rig(database_url: str, *, servers: tuple[Server, ...] = (), **settings: Any) -> Iterator[Rig]:
    listed = [{"id": name, "object": "model", "owned_by": "mock"} for name in NAMES]
    with Upstream(models=listed) as upstream:
        runtime = build(_settings(database_url, upstream, **settings), environ={})
        runtime.catalog.set_upstreams((*runtime.catalog.upstreams, *servers))
        runtime.generations.start()
        try:
            person = _add_person(runtime)
            token = runtime.access_tokens.create(actor=person, name="a script", scopes=("read", "chat"), days=None)
            routes = api_routes(lambda: runtime, max_body_bytes=lambda: 1_000_000, find_runtime=lambda: runtime)
            with Port(Starlette(routes=routes)) as url:
                yield Rig(runtime, upstream, url, person, token.secret)
        finally:
            runtime.close()


def _settings(database_url: str, upstream: Upstream, **more: Any) -> Settings:
    given = {
        "database_url": database_url,
        "use_openai": True,
        "openai_api_key": "sk-of-the-house-0123456789",
        "openai_base_url": upstream.base_url,
        "openai_chat_model": MODEL,
        "openai_allowed_models": NAMES,
        "cb_failure_threshold": 1000,
        "health_check_ttl_sec": 86_400,
    }
    return Settings(**(given | more))


def _add_person(runtime: Runtime) -> Person:
    with runtime.store.transaction() as conn:
        user_id = accounts.add_user(
            conn,
            organisation_id=accounts.get_or_add_organisation(conn, name="Default"),
            username="ana",
            display_name="Ana",
            password_hash="x",
            role="analyst",
            must_change_password=False,
        )
    assert user_id is not None
    with runtime.store.reading() as conn:
        return person_of(accounts.find_user(conn, user_id=user_id))


def text_of(chunks: Iterable[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def until(true: Any, *, tries: int = 2000) -> None:
    """Waits for a condition, ten seconds at most."""
    pause = threading.Event()
    for _ in range(tries):
        if true():
            return
        pause.wait(0.005)
    raise AssertionError("it never came true")
