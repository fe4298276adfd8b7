"""How Chat Playground itself is started and entered for a measurement; `sign_in` is the only part it knows of us."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


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
    raise NotImplementedError("Insert people, session rows and messages into the database of this data folder.")
