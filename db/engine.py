"""Connects to PostgreSQL and brings its tables to what this code expects, however many processes start at once."""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from db.errors import DatabaseError, MigrationError, UnsuitableServer

OLDEST_MAJOR = 14
_LONGEST_WAIT_SEC = 300
_IN_THE_WAY_SEC = 5
_PAUSE_SEC = 1.0
_LOCK_KEY = 0x63686174_706C6179  # "chatplay": one number for all processes that migrate one database


def make_engine(
    url: str, *, pool_size: int, connect_timeout_sec: float = 5, application_name: str = "chatplay"
) -> Engine:
    """An engine over psycopg holding at most `pool_size` connections; a restarted server heals by itself.

    Connects on first use. Raises UnsuitableServer there when the server is older than PostgreSQL 14.
    """
    engine = create_engine(
        psycopg_url(url),
        poolclass=_Pool,
        pool_size=pool_size,
        max_overflow=0,
        pool_use_lifo=True,  # the one used last: its server process has the plans, and is awake
        pool_timeout=10,
        connect_args={
            "connect_timeout": max(2, round(connect_timeout_sec)),
            "application_name": application_name,
            "client_encoding": "utf8",  # whatever PGCLIENTENCODING says
            "prepare_threshold": 1,  # what is asked twice is asked often: the server keeps its plan the sooner
        },
    )
    event.listen(engine, "connect", _check_version)
    event.listen(engine, "connect", _leave_out_jit)
    event.listen(engine, "checkin", _note_time)
    event.listen(engine, "checkout", _refuse_dead)
    return engine


class _Pool(QueuePool):
    """A connection still in use at `dispose` comes back to a pool that nobody looks at any more: it is closed then."""

    _is_over = False

    def dispose(self) -> None:
        self._is_over = True  # first: who comes back in between is seen by one of the two
        super().dispose()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        if self._is_over:
            super().dispose()


_ASK_AFTER_SEC = 30.0


def _note_time(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used_sec"] = time.monotonic()


def _refuse_dead(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Has the pool make a new connection when the server has closed this one, which its socket tells.

    In the place of SQLAlchemy's ping, a round trip before each use: we ask only after long disuse, when whatever
    lies between may have dropped the connection without a word.
    """
    idle_sec = time.monotonic() - record.info.get("used_sec", time.monotonic())
    if (idle_sec > _ASK_AFTER_SEC or _has_news(connection)) and not _answers(connection):
        raise DisconnectionError


def _has_news(connection: Any) -> bool:
    """Whether something lies there to be read: the server's last words, or a harmless notice."""
    if connection.closed:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([connection.fileno()], [], [], 0)[0])
    look = select.poll()
    look.register(connection.fileno(), select.POLLIN)
    return bool(look.poll(0))


def _answers(connection: Any) -> bool:
    try:
        return bool(connection.pgconn.exec_(b"").status == psycopg.pq.ExecStatus.EMPTY_QUERY)
    except psycopg.Error:
        return False


@dataclass(frozen=True)
class PoolFigures:
    """Connections of one process: handed out, open but free, and the most there may be."""

    in_use: int
    idle: int
    most: int


def pool_figures(engine: Engine) -> PoolFigures:
    """Of this moment; nothing is asked of the server."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return PoolFigures(pool.checkedout(), pool.checkedin(), pool.size())


def psycopg_url(url: str) -> URL:
    """`url` (postgres://, postgresql:// or with a driver) as SQLAlchemy's URL for psycopg 3."""
    try:
        parsed = make_url(re.sub(r"^postgres://", "postgresql://", url))
    except (ArgumentError, ValueError):  # a port that is no number
        raise UnsuitableServer("DATABASE_URL is not an address.", cure=_URL_CURE) from None
    if "@" in (parsed.host or ""):  # the end of a password: whoever says that this host is not known would show it
        raise UnsuitableServer("DATABASE_URL holds an @ too many.", cure="Write an @ in the password as %40.")
    if parsed.get_backend_name() != "postgresql":
        raise UnsuitableServer(f"DATABASE_URL names {parsed.get_backend_name()}, not PostgreSQL.", cure=_URL_CURE)
    return parsed.set(drivername="postgresql+psycopg")


_URL_CURE = "Write it as postgresql://user:password@host:5432/database."


def libpq_url(url: str) -> str:
    """`url` as psycopg.connect and pg_dump take it; the password, if any, is in it."""
    return psycopg_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def explain(error: OperationalError) -> DatabaseError:
    """Why a connection failed, in the server's own last words; they never hold the password."""
    lines = [line.strip(" \t-.") for line in str(error.orig).splitlines()]
    said = [line for line in lines if line and not line.startswith("Is the server")] or ["no reason was given"]
    return DatabaseError(
        f"The database cannot be reached: {said[-1]}.",
        cure="Check that it runs and that DATABASE_URL is right.",
    )


def _check_version(connection: Any, _record: Any) -> None:
    version = connection.info.server_version
    if version < OLDEST_MAJOR * 10_000:
        raise UnsuitableServer(
            f"The database server is PostgreSQL {version // 10_000}; {OLDEST_MAJOR} or newer is needed.",
            cure="Upgrade it, or empty DATABASE_URL to use the embedded server.",
        )


def _leave_out_jit(connection: Any, _record: Any) -> None:
    """No query of ours runs long enough to earn back the time that compiling it takes."""
    connection.execute("SET jit = off")
    connection.commit()


def migrate(engine: Engine, *, progress: Callable[[str], None] = lambda line: None) -> None:
    """Bring the tables to the newest revision. Safe to call from many processes at once. `progress` gets a line when
    tables that are in use are changed, which may take a while.

    Raises DatabaseError when the server cannot be reached, MigrationError when the database was already migrated by
    newer code, when a migration fails, or when another process has been migrating, or using the tables, for minutes.
    """
    try:
        with engine.connect() as conn:
            _lock(conn)
            try:
                _upgrade(conn, progress)
            finally:
                _unlock(conn)
    except OperationalError as error:
        raise explain(error) from None


def _lock(conn: Connection) -> None:
    try:
        conn.execute(text(f"SET LOCAL lock_timeout = '{_LONGEST_WAIT_SEC}s'"))
        conn.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
        conn.commit()
    except OperationalError as error:
        if not _waited_in_vain(error):
            raise
        raise MigrationError(
            f"Another process has been migrating the database for {_LONGEST_WAIT_SEC} seconds.",
            cure="Look with `make status`; stop what hangs there and start again.",
        ) from None


def _waited_in_vain(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "55P03"  # lock_not_available


def _upgrade(conn: Connection, progress: Callable[[str], None]) -> None:
    config = alembic_config()
    _refuse_newer(conn)
    _announce(conn, progress)
    config.attributes["connection"] = conn
    deadline = time.monotonic() + _LONGEST_WAIT_SEC
    while not _upgraded(conn, config):
        if time.monotonic() > deadline:
            raise MigrationError(
                f"The database cannot be migrated: its tables have been in use for {_LONGEST_WAIT_SEC} seconds.",
                cure="Stop the other processes that use it (`make down`), then start again.",
            )
        time.sleep(_PAUSE_SEC)


def _announce(conn: Connection, progress: Callable[[str], None]) -> None:
    current, newest = current_revision(conn), newest_revision()
    if current not in (None, newest):
        progress(f"Migrating the database ({current} -> {newest})")


def _upgraded(conn: Connection, config: Config) -> bool:
    """False when a table was in use for too long: nothing has changed then."""
    try:
        # Whoever comes after a change that waits for its table waits with it: rather stand back and come again.
        conn.execute(text(f"SET LOCAL lock_timeout = '{_IN_THE_WAY_SEC}s'"))
        command.upgrade(config, "head")
        conn.commit()
    except CommandError as error:
        raise MigrationError(f"The database could not be migrated: {error}.", cure=_RESTORE) from error
    except DBAPIError as error:
        conn.rollback()
        if _waited_in_vain(error):
            return False
        raise MigrationError(f"A migration failed and was rolled back: {error.orig}.", cure=_RESTORE) from error
    return True


_RESTORE = "Nothing was changed. Report it with the line above; `make backup` keeps a copy meanwhile."


def _refuse_newer(conn: Connection) -> None:
    current = current_revision(conn)
    if not is_known_revision(current):
        raise MigrationError(
            f"The database is at revision {current}, which this version of Chat Playground does not know.",
            cure="It was used by a newer version: update this one, or point it to another database.",
        )


def _unlock(conn: Connection) -> None:
    conn.rollback()
    if not conn.invalidated:
        conn.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK_KEY})
        conn.commit()


def current_revision(conn: Connection) -> str | None:
    """The revision the database is at; None when it was never migrated."""
    revision = MigrationContext.configure(conn).get_current_revision()
    conn.rollback()
    return revision


def newest_revision() -> str | None:
    """The revision this code expects."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def is_known_revision(revision: str | None) -> bool:
    """Whether this code can work with a database at that revision, or bring it to its own; None is an empty one."""
    known = {one.revision for one in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    return revision is None or revision in known


def alembic_config() -> Config:
    """Alembic's configuration without a file, so that it works from any folder."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
