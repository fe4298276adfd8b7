"""What an administrator at the terminal wants to know about the database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from db.engine import current_revision, explain


@dataclass(frozen=True)
class Overview:
    """`revision` is None before the first migration; then the counts are None too."""

    server_version: str
    revision: str | None
    people: int | None = None
    chats: int | None = None
    messages: int | None = None
    size_bytes: int | None = None


def get_overview(engine: Engine) -> Overview:
    """One look at the database. Raises DatabaseError saying why it cannot be reached."""
    try:
        with engine.connect() as conn:
            return _overview(conn)
    except OperationalError as error:
        raise explain(error) from None


def _overview(conn: Connection) -> Overview:
    version = str(conn.scalar(text("SHOW server_version"))).split(" ")[0]
    revision = current_revision(conn)
    if revision is None:
        return Overview(server_version=version, revision=None)
    row = conn.execute(
        text(
            "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM chat_sessions),"
            " (SELECT count(*) FROM chat_messages), pg_database_size(current_database())"
        )
    ).one()
    return Overview(version, revision, people=row[0], chats=row[1], messages=row[2], size_bytes=row[3])
