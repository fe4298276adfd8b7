"""Migrated databases of one server, for tests to take in turn: to empty one costs a tenth of copying one.

A database that cannot surely be made as new is dropped: one whose tables, functions or settings a test changed,
one that somebody still uses, one that grew large.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass

import psycopg
from sqlalchemy import make_url

from db.engine import libpq_url, make_engine, migrate

_TEMPLATE = "chatplay_template"
_LARGE_BYTES = 512 * 1024
_LEAVE_SEC = 0.5
_names = (f"t{os.getpid()}_{number}" for number in itertools.count(1))

# Each change of a table, column, function, trigger or setting is a new row version of the catalog.
_SHAPE = """
SELECT concat_ws(' ',
  (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM pg_class WHERE relnamespace >= 2200),
  (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM pg_proc WHERE pronamespace >= 2200),
  (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM pg_attribute WHERE attrelid >= 16384),
  (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM pg_trigger),
  (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM pg_constraint),
  (SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON oid = setdatabase WHERE datname = current_database()))
"""
_TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY 1
"""
_COUNTERS = "SELECT format('%I.%I', schemaname, sequencename), start_value, last_value FROM pg_sequences"
_OTHERS = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True)
class _AsNew:
    """What a database is like that nobody has used: its shape, its tables, the rows its migrations wrote.

    `counters` has, by sequence, its next value.
    """

    shape: str
    tables: tuple[str, ...]
    rows: dict[str, bytes]
    counters: dict[str, int]

    @classmethod
    def read(cls, conn: psycopg.Connection) -> _AsNew:
        tables = tuple(table for (table,) in conn.execute(_TABLES).fetchall())
        rows = {table: _copied(conn, table) for table in _filled(conn, tables)}
        return cls(_shape(conn), tables, rows, _counters(conn))

    def restore(self, conn: psycopg.Connection) -> bool:
        """Make the database so again; False when it cannot be."""
        if _shape(conn) != self.shape:
            return False
        filled = _filled(conn, self.tables)
        if filled and max(_sizes(conn, filled)) > _LARGE_BYTES:
            return False
        with conn.transaction():
            conn.execute("SET LOCAL session_replication_role = replica")  # no trigger, no foreign key
            for table in filled:
                conn.execute(f"DELETE FROM {table}")
            for table, data in self.rows.items():
                with conn.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                    copy.write(data)
            for sequence, value in _counters(conn).items():
                if value != self.counters[sequence]:
                    conn.execute("SELECT setval(%s::regclass, %s, false)", (sequence, self.counters[sequence]))
        return True


def _shape(conn: psycopg.Connection) -> str:
    return conn.execute(_SHAPE).fetchone()[0]


def _filled(conn: psycopg.Connection, tables: tuple[str, ...]) -> list[str]:
    questions = (f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in tables)
    return [table for (table,) in conn.execute(" UNION ALL ".join(questions)).fetchall()]


def _sizes(conn: psycopg.Connection, tables: list[str]) -> list[int]:
    return [conn.execute("SELECT pg_relation_size(%s::regclass)", (table,)).fetchone()[0] for table in tables]


def _counters(conn: psycopg.Connection) -> dict[str, int]:
    found = conn.execute(_COUNTERS).fetchall()
    return {sequence: start if last is None else last + 1 for sequence, start, last in found}


def _copied(conn: psycopg.Connection, table: str) -> bytes:
    with conn.cursor().copy(f"COPY {table} TO STDOUT") as copy:
        return b"".join(copy)


class DatabasePool:
    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._idle: list[str] = []
        self._watchers: dict[str, psycopg.Connection] = {}
        self._as_new: _AsNew | None = None

    def take(self, *, migrated: bool = True) -> str:
        """The URL of a database as new."""
        if not migrated:
            return self._url(self._create(""))
        if self._as_new is None:
            self._as_new = self._make_template()
        if not self._idle:
            name = self._create(f"TEMPLATE {_TEMPLATE}")
            self._watchers[name] = _connect(self._url(name))
            self._idle.append(name)
        return self._url(self._idle.pop())

    def give_back(self, url: str) -> None:
        """Keep it for the next who asks, or drop it."""
        name = make_url(url).database
        watcher = self._watchers.get(name)
        if watcher is not None and self._is_as_new(watcher):
            self._idle.append(name)
            return
        if watcher is not None:
            self._watchers.pop(name).close()
        with _connect(self._server_url) as conn:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        for watcher in self._watchers.values():
            watcher.close()

    def _is_as_new(self, watcher: psycopg.Connection) -> bool:
        try:
            return _is_left_alone(watcher) and self._as_new.restore(watcher)
        except psycopg.Error:
            return False

    def _create(self, how: str) -> str:
        name = next(_names)
        with _connect(self._server_url) as conn:
            conn.execute(f"CREATE DATABASE {name} {how}")
        return name

    def _make_template(self) -> _AsNew:
        with _connect(self._server_url) as conn:
            conn.execute(f"CREATE DATABASE {_TEMPLATE}")
        engine = make_engine(self._url(_TEMPLATE), pool_size=1)
        migrate(engine)
        engine.dispose()
        with _connect(self._url(_TEMPLATE)) as conn:
            return _AsNew.read(conn)

    def _url(self, database: str) -> str:
        return make_url(self._server_url).set(database=database).render_as_string(hide_password=False)


def _is_left_alone(watcher: psycopg.Connection) -> bool:
    """Whether every other connection is gone, now or in a moment."""
    deadline = time.monotonic() + _LEAVE_SEC
    while watcher.execute(_OTHERS).fetchone():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(libpq_url(url), autocommit=True, connect_timeout=10)
