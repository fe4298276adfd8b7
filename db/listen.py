"""PostgreSQL's NOTIFY, received: one connection that waits for news of other processes."""

from __future__ import annotations

import selectors
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import Engine


@dataclass(frozen=True)
class Notice:
    """One notification: the channel it came on and its text."""

    channel: str
    payload: str


# Of an owner of generations: its lock is held for as long as its connection stands, and PostgreSQL drops both with the
# process, however that ends. Shared, so that nobody ever waits for it.
LOCK_KEY = "hashtextextended({owner}::text, 0)"


def listen(
    engine: Engine, *, channels: Sequence[str], patience_sec: float, owner: UUID
) -> Generator[Notice | None, None, None]:
    """Notices as they come, and None after each `patience_sec` without one. Meanwhile `owner` counts as connected.

    Ends when the connection breaks; whoever iterates connects again. Raises psycopg.Error when it can't connect.
    """
    with engine.connect() as pooled:
        # Detached: this connection waits for the life of the process and is not the pool's to hand out.
        pooled.detach()
        conn = cast("psycopg.Connection[Any]", pooled.connection.dbapi_connection)
        conn.autocommit = True
        conn.execute(sql.SQL(f"SELECT pg_advisory_lock_shared({LOCK_KEY.format(owner='%s')})"), (str(owner),))
        for channel in channels:
            conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        yield None
        with suppress(psycopg.OperationalError), selectors.DefaultSelector() as news:
            news.register(conn.fileno(), selectors.EVENT_READ)
            while True:
                heard = False
                for notice in conn.notifies(timeout=0):  # first: some may have come with the answer to LISTEN
                    heard = True
                    yield Notice(notice.channel, notice.payload)
                if not heard and not news.select(patience_sec):  # psycopg's own wait wakes ten times a second
                    yield None
