"""A server that neither answers nor hangs up: whoever waits for it is told, and all is well when it comes back."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from functools import partial

import pytest
from sqlalchemy import URL, text

from chatplay.errors import StoreUnavailable
from chatplay.store import Store
from db.engine import make_engine, psycopg_url
from db.frozen import FrozenWatch
from tests.databases import reachable_folder


class Between:
    """A socket that hands on to a real server, and can be frozen: connections stay open and nothing passes."""

    def __init__(self, folder, server) -> None:
        self._server, self._path = server, str(folder / ".s.PGSQL.5432")
        self._flows = threading.Event()
        self._flows.set()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self._path)
        self._listening.listen(50)
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def close(self) -> None:
        self.thaw()
        for one in [self._listening, *self._ends]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = self._server()
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._hand_on, args=(one, other), daemon=True).start()

    def _hand_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                self._flows.wait()
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


def connect_to(url: URL) -> socket.socket:
    """A connection to the server at `url`, wherever it listens."""
    if url.host is not None:
        return socket.create_connection((url.host, url.port))
    found = socket.socket(socket.AF_UNIX)
    found.connect(f"{url.query['host']}/.s.PGSQL.{url.port or 5432}")
    return found


@pytest.fixture
def between(database_url):
    direct = psycopg_url(database_url)
    with reachable_folder() as folder:
        folder.mkdir()
        found = Between(folder, partial(connect_to, direct))
        query = {"host": str(folder)}
        found.url = URL.create(
            direct.drivername, direct.username, direct.password, database=direct.database, query=query
        )
        yield found
        found.close()


@pytest.fixture
def store(between):
    engine = make_engine(between.url.render_as_string(hide_password=False), pool_size=2)
    watch = FrozenWatch(engine, patience_sec=0.2, probe_sec=2, look_sec=0.05)
    watch.start()
    yield Store(engine)
    watch.close()
    engine.dispose()


def ask(store, statement="SELECT 1"):
    with store.reading() as conn:
        return conn.scalar(text(statement))


def test_who_waits_for_a_frozen_server_is_told_that_it_is_away(store, between):
    ask(store)
    between.freeze()
    with pytest.raises(StoreUnavailable):
        ask(store)


def test_transaction_that_a_frozen_server_holds_up_ends_too(store, between):
    def write():
        with store.transaction() as conn:
            conn.execute(text("SELECT 1"))
            between.freeze()
            conn.execute(text("SELECT 2"))

    with pytest.raises(StoreUnavailable):
        write()


def test_server_that_comes_back_is_asked_again(store, between):
    ask(store)
    between.freeze()
    with pytest.raises(StoreUnavailable):
        ask(store)
    between.thaw()
    assert ask(store) == 1


def test_slow_statement_of_a_server_that_is_well_is_left_alone(store):
    assert ask(store, "SELECT 7 FROM pg_sleep(0.8)") == 7


def test_watch_that_never_began_can_be_ended(between):
    engine = make_engine(between.url.render_as_string(hide_password=False), pool_size=1)
    FrozenWatch(engine).close()
    engine.dispose()
