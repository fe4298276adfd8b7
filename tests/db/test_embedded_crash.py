"""kill -9 of the server or of the app loses no acknowledged row, and the next start heals."""

import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from db.embedded import EmbeddedPostgres
from db.engine import libpq_url
from db.errors import EmbeddedError
from db.server_user import find_server_user
from tests.databases import reachable_folder
from tests.db.processes import another_process, leave, query


@pytest.fixture
def folder():
    with reachable_folder() as path:
        yield path
        EmbeddedPostgres(path).stop()


def postmaster(folder):
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])


def write_until(stop, url, acknowledged):
    """Insert one row after another; a number is in `acknowledged` only after its commit returned."""
    number = 0
    while not stop.is_set():
        try:
            with psycopg.connect(libpq_url(url), autocommit=True) as conn:
                while not stop.is_set():
                    number += 1
                    conn.execute("INSERT INTO load VALUES (%s)", (number,))
                    acknowledged.append(number)
        except psycopg.Error:
            time.sleep(0.02)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def test_server_killed_under_load_heals_and_keeps_every_acknowledged_row(folder):
    server, stop, acknowledged = EmbeddedPostgres(folder), threading.Event(), []
    url = server.start()
    server.keep_alive(every_sec=0.1)
    query(url, "CREATE TABLE load (n int)")
    writer = threading.Thread(target=write_until, args=(stop, url, acknowledged))
    writer.start()
    wait_for(lambda: len(acknowledged) > 200)
    os.kill(postmaster(folder), signal.SIGKILL)
    before = len(acknowledged)
    wait_for(lambda: len(acknowledged) > before + 200)
    stop.set()
    writer.join()
    stored = {n for (n,) in query(url, "SELECT n FROM load")}
    assert set(acknowledged) <= stored
    assert server.stop()


def test_app_killed_next_start_joins_the_running_server(folder):
    with another_process(folder) as (process, url):
        pid = postmaster(folder)
        process.kill()
        process.wait()
        with another_process(folder) as (heir, url_of_heir):
            assert (url_of_heir, postmaster(folder)) == (url, pid)
            assert leave(heir) == "stopped"


def test_app_killed_stop_without_start_ends_the_server(folder):
    with another_process(folder) as (process, _):
        process.kill()
        process.wait()
    assert EmbeddedPostgres(folder).stop()


_OF_A_LIVING_STRANGER = f"{os.getpid()}\n/elsewhere\n1\n5432\n/tmp\n\n\n"


@pytest.mark.parametrize("content", [_OF_A_LIVING_STRANGER, "", "garbage\n"], ids=["stranger", "empty", "garbage"])
def test_stale_pid_file_does_not_stop_a_start(folder, content):
    server = EmbeddedPostgres(folder)
    server.start()
    server.stop()
    (folder / "postgres" / "postmaster.pid").write_text(content)
    assert query(server.start(), "SELECT 1") == [(1,)]
    assert server.stop()


@contextmanager
def stranger():
    """A living process of the server's user that is no database: PostgreSQL believes a PID of its own user only."""
    user = find_server_user()
    process = subprocess.Popen(["sleep", "600"], **({} if user is None else {"user": user.uid}))
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_files_of_a_killed_server_whose_pid_a_stranger_has_now_do_not_stop_a_start(folder):
    server = EmbeddedPostgres(folder)
    url = server.start()
    socket_dir = Path(query(url, "SHOW unix_socket_directories")[0][0].strip('"'))
    os.kill(postmaster(folder), signal.SIGKILL)
    wait_for(lambda: not server.running())
    with stranger() as pid:
        for file in (folder / "postgres" / "postmaster.pid", socket_dir / ".s.PGSQL.5432.lock"):
            file.write_text("\n".join([str(pid), *file.read_text().splitlines()[1:], ""]))
        assert query(server.start(), "SELECT 1") == [(1,)]
    assert server.stop()


def test_pid_file_of_a_living_server_is_never_removed(folder):
    server = EmbeddedPostgres(folder)
    server.start()
    server._cluster._clear_the_way(server.binaries(), None)
    assert server.running()


def recover_until_told(folder):
    """Makes a stopped server's next start recover until `stop_recovering`: it waits for more to come, as a spare
    server does.
    """
    server = EmbeddedPostgres(folder)
    url = server.start()
    query(url, "ALTER SYSTEM SET wal_level = 'replica'")
    query(url, "ALTER SYSTEM SET hot_standby = off")
    server.stop()
    server.start()
    server.stop()
    (folder / "postgres" / "standby.signal").touch()


def stop_recovering(folder):
    (folder / "postgres" / "promote").touch()
    os.kill(postmaster(folder), signal.SIGUSR1)


def test_server_that_recovers_for_longer_than_a_start_may_take_is_waited_for_and_never_stopped(folder, monkeypatch):
    recover_until_told(folder)
    monkeypatch.setattr("db.cluster._START_LIMIT_SEC", 0.0)
    monkeypatch.setattr("db.cluster._NEWS_EVERY_SEC", 0.0)
    seen = []

    def note(line):
        if "still recovering" in line and not seen:
            seen.append(postmaster(folder))
            stop_recovering(folder)

    server = EmbeddedPostgres(folder, progress=note)
    assert query(server.start(), "SELECT 1") == [(1,)]
    assert seen == [postmaster(folder)]
    assert server.stop()


def test_stop_ends_the_wait_for_a_server_that_recovers(folder):
    recover_until_told(folder)

    def note(line):
        if "let it finish" in line:
            stopping.start()

    server = EmbeddedPostgres(folder, progress=note)
    stopping = threading.Thread(target=server.stop)
    with pytest.raises(EmbeddedError, match="Start again and let it finish"):
        server.start()
    stopping.join()
    assert not (folder / "postgres" / "postmaster.pid").exists()


def test_half_made_database_of_a_killed_set_up_is_cleared(folder):
    (folder / "postgres.new-1" / "base").mkdir(parents=True)
    server = EmbeddedPostgres(folder)
    server.start()
    assert not list(folder.glob("postgres.new-*"))
