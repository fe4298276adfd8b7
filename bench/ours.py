"""How Chat Playground itself is started and entered for a measurement; `sign_in` is the only part it knows of us."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from bench.apps.history import messages
from chatplay.auth.sessions import Sessions
from chatplay.auth.tokens import SESSION_COOKIE
from chatplay.settings import load_settings
from chatplay.store import Connection, Store
from db import accounts, chats
from db import messages as message_rows
from db.embedded import EmbeddedPostgres
from db.engine import make_engine


@dataclass(frozen=True)
class Visitor:
    """One person coming in: `path` and `query` of the address, and the cookies they bring."""

    path: str = ""
    query: str = ""
    cookies: tuple[tuple[str, str], ...] = ()


def command(port: int) -> list[str]:
    return [sys.executable, "-m", "chatplay", "run"]


def env(data_dir: Path, port: int) -> dict[str, str]:
    return {"CHATPLAY_DATA_DIR": str(data_dir), "HOST": "127.0.0.1", "PORT": str(port)}


def visitors(data_dir: Path, base_url: str, count: int, history: int) -> list[Visitor]:
    """`count` signed-in people, each with a chat of `history` earlier messages."""
    return [
        Visitor(path="chat", query=f"chat={chat_id}" if chat_id else "", cookies=(cookie,))
        for cookie, chat_id in sign_in(data_dir, count=count, history=history)
    ]


def sign_in(data_dir: Path, *, count: int, history: int) -> list[tuple[tuple[str, str], str]]:
    """For each person the (name, value) of the session cookie and the id of their chat ("" for a new one)."""
    server = EmbeddedPostgres(data_dir)
    settings = load_settings(env_file=None, environ={"CHATPLAY_DATA_DIR": str(data_dir)})
    store = Store(make_engine(server.start(), pool_size=2))
    try:
        sessions = Sessions(store=store, settings=settings, clock=lambda: datetime.now(UTC))
        people = [add_person(store) for _ in range(count)]
        cookies = [sessions.open(user_id=person, address=None, user_agent="bench") for person in people]
        chats_ = [_add_chat(store, person, history) if history else "" for person in people]
    finally:
        store.engine.dispose()
        server.stop()
    return [((SESSION_COOKIE, cookie), chat_id) for cookie, chat_id in zip(cookies, chats_, strict=True)]


def add_person(store: Store) -> int:
    with store.transaction() as conn:
        person = accounts.add_user(
            conn,
            organisation_id=accounts.get_or_add_organisation(conn, name="Default"),
            username=f"bench-{uuid4().hex[:12]}",
            display_name="Bench",
            password_hash="-",
            role="analyst",
            must_change_password=False,
        )
    assert person is not None
    return person


def _add_chat(store: Store, person: int, history: int) -> str:
    leaf = None
    with store.transaction() as conn:
        chat_id = UUID(add_chat(conn, person))
        for message in messages(history):
            leaf = message_rows.insert_message(
                conn, chat_id=chat_id, parent_id=leaf, role=message["role"], content=message["content"]
            )
        chats.update_chat(conn, chat_id=chat_id, leaf_message_id=leaf, locked_at=chats.NOW, title="History")
    return str(chat_id)


def add_chat(conn: Connection, person: int) -> str:
    """The id of an empty chat with the model that bench.programs sets OPENAI_CHAT_MODEL to."""
    chat_id = uuid4()
    chats.insert_empty_chat(
        conn,
        chat_id=chat_id,
        user_id=person,
        model_name="bench",
        upstream="openai",
        engine_type="unknown",
        constraints={},
        params={},
    )
    return str(chat_id)
