"""PostgreSQL for tests: our embedded server and one from outside, and a fresh migrated database on either."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from db.embedded import EmbeddedPostgres
from db.engine import libpq_url, make_engine
from db.server_user import find_server_user
from tests.database_pool import DatabasePool

_pools: dict[str, DatabasePool] = {}


@contextmanager
def reachable_folder(name: str = "data") -> Iterator[Path]:
    """A new folder that other users may pass through, as the server's user must when the tests run as root."""
    parent = Path(tempfile.mkdtemp(prefix="cp-"))
    parent.chmod(0o755)
    try:
        yield parent / name
    finally:
        shutil.rmtree(parent, ignore_errors=True)


@contextmanager
def embedded_server() -> Iterator[str]:
    with reachable_folder() as folder:
        server = EmbeddedPostgres(folder)
        try:
            url = server.start()
            _spare_the_disk(url)
            yield url
        finally:
            server.stop()


def _spare_the_disk(url: str) -> None:
    """As pg_ctl's -F for the other server: these tests kill no machine, and a slow disk would set their pace."""
    with psycopg.connect(libpq_url(url), autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET fsync = off")
        conn.execute("SELECT pg_reload_conf()")


def system_binaries() -> Path:
    """The folder of the machine's own PostgreSQL programs; as root, Debian's package is installed for it."""
    if not (found := _look_for_binaries()) and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "postgresql"]):
            subprocess.run(["apt-get", *command], check=True, timeout=600, env=environment)
        found = _look_for_binaries()
    if not found:
        pytest.fail("These tests need a PostgreSQL besides the embedded one: install the package `postgresql`.")
    return found


def _look_for_binaries() -> Path | None:
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin")]
    on_path = shutil.which("initdb")
    places += [Path(on_path).resolve().parent] if on_path else []
    return next((place for place in sorted(places, reverse=True) if (place / "initdb").exists()), None)


@contextmanager
def outside_server() -> Iterator[str]:
    """The machine's own PostgreSQL on a TCP port with a password, run without any code of ours."""
    binaries, user = system_binaries(), find_server_user()
    who = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    with reachable_folder() as folder, socket.socket() as probe:
        if user is not None:
            os.chown(folder.parent, user.uid, user.gid)
        probe.bind(("127.0.0.1", 0))
        port, password = probe.getsockname()[1], secrets.token_hex(8)
        (folder.parent / "password").write_text(password)
        (folder.parent / "password").chmod(0o644)
        probe.close()

        def run(program: str, *arguments: str) -> None:
            command = [str(binaries / program), "-D", str(folder), *arguments]
            log = (folder.parent / "log").open("ab")
            with log:
                subprocess.run(command, check=True, timeout=90, cwd=folder.parent, stdout=log, stderr=log, **who)

        passwords = f"--pwfile={folder.parent / 'password'}"
        run("initdb", "-U", "chatplay", "-A", "scram-sha-256", passwords, "--encoding=UTF8", "--locale=C.UTF-8", "-N")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder.parent} -F"
        run("pg_ctl", "start", "-w", "-t", "60", "-o", options)
        try:
            yield f"postgresql://chatplay:{password}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "fast")


@contextmanager
def fresh_database(server_url: str, *, migrated: bool = True) -> Iterator[str]:
    """The URL of a database as new on a server of this run."""
    pool = _pools[server_url]
    url = pool.take(migrated=migrated)
    try:
        yield url
    finally:
        pool.give_back(url)


@contextmanager
def pooled(server_url: str) -> Iterator[None]:
    """While it lasts, `fresh_database` gives databases of the server."""
    pool = _pools[server_url] = DatabasePool(server_url)
    try:
        yield
    finally:
        pool.close()
        del _pools[server_url]


@pytest.fixture(scope="session")
def embedded_url() -> Iterator[str]:
    """One embedded server for the whole run."""
    with embedded_server() as url, pooled(url):
        yield url


@pytest.fixture(scope="session")
def outside_url() -> Iterator[str]:
    """One server of the machine's own PostgreSQL for the whole run."""
    with outside_server() as url, pooled(url):
        yield url


@pytest.fixture(params=["embedded", "outside"])
def server_url(request):
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def empty_database_url(server_url):
    """A database without tables, once on each server."""
    with fresh_database(server_url, migrated=False) as url:
        yield url


@pytest.fixture
def database_url(server_url):
    """A fresh, migrated database, once on each server."""
    with fresh_database(server_url) as url:
        yield url


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url, pool_size=5)
    yield engine
    engine.dispose()
