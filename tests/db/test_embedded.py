"""The embedded server starts, joins, and stops with its last user."""

import os
import shutil
import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from db.embedded import EmbeddedPostgres
from db.engine import make_engine, migrate
from db.errors import EmbeddedError
from tests.databases import reachable_folder, system_binaries
from tests.db.processes import another_process, leave, query


@pytest.fixture
def folder():
    with reachable_folder() as path:
        yield path
        EmbeddedPostgres(path).stop()


@pytest.fixture
def server(folder):
    server = EmbeddedPostgres(folder)
    yield server
    server.stop()


def test_server_fresh_folder_answers_at_its_url(server):
    assert query(server.start(), "SELECT current_database()") == [("chatplay",)]
    assert server.running()


def test_server_stopped_and_started_keeps_its_rows(folder):
    first = EmbeddedPostgres(folder)
    query(first.start(), "CREATE TABLE kept AS SELECT 42 AS n")
    assert first.stop()
    assert not first.running()
    second = EmbeddedPostgres(folder)
    assert query(second.start(), "SELECT n FROM kept") == [(42,)]
    assert second.stop()


def test_server_listens_on_no_network_and_only_its_user_passes(server):
    url = server.start()
    assert query(url, "SHOW listen_addresses") == [("",)]
    socket_dir = Path(query(url, "SHOW unix_socket_directories")[0][0].strip('"'))
    assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["a folder with spaces", "d" * 120, "it's ü"])
def test_server_awkward_path_starts(name):
    with reachable_folder(name) as path:
        server = EmbeddedPostgres(path)
        try:
            assert query(server.start(), "SELECT 1") == [(1,)]
        finally:
            assert server.stop()


def test_two_processes_one_folder_last_one_stops_the_server(folder):
    with another_process(folder) as (first, url_1), another_process(folder) as (second, url_2):
        assert url_1 == url_2 != ""
        assert leave(first) == "left"
        assert query(url_2, "SELECT 1") == [(1,)]
        assert leave(second) == "stopped"
    assert not EmbeddedPostgres(folder).running()


def test_three_processes_racing_share_one_server(folder):
    with (
        another_process(folder) as (a, url_a),
        another_process(folder) as (b, url_b),
        another_process(folder) as (c, url),
    ):
        assert url_a == url_b == url != ""
        assert sorted([leave(a), leave(b), leave(c)]) == ["left", "left", "stopped"]


def test_server_as_ordinary_user_runs_as_that_user(folder):
    if os.geteuid() != 0:
        query(EmbeddedPostgres(folder).start(), "SELECT 1")
        assert (folder / "postgres").stat().st_uid == os.geteuid()
        return
    import pwd

    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(folder.parent, nobody, -1)
    with another_process(folder, str(nobody), cwd="/") as (process, url):
        assert url, process.stderr.read()
        assert (folder / "postgres").stat().st_uid == nobody
        assert leave(process) == "stopped"


def test_server_in_a_closed_folder_is_refused_with_the_cure(folder):
    folder.parent.chmod(0o700 if os.geteuid() == 0 else 0o500)
    with pytest.raises(EmbeddedError, match="CHATPLAY_DATA_DIR"):
        EmbeddedPostgres(folder).start()
    folder.parent.chmod(0o755)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_that_was_there_stays_as_open_as_it_was(folder, server):
    folder.mkdir()
    folder.chmod(0o755)
    server.start()
    assert mode_of(folder) == 0o755


def test_closed_folder_that_was_there_lets_the_servers_user_pass_and_nobody_else(folder, server):
    folder.mkdir()
    folder.chmod(0o700)
    assert query(server.start(), "SELECT 1") == [(1,)]
    assert mode_of(folder) == (0o711 if os.geteuid() == 0 else 0o700)  # as root the server runs as somebody else


@pytest.mark.parametrize("mode", [0o1777, 0o777])
def test_folder_that_others_may_write_to_is_refused_and_left_as_it_is(folder, mode):
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(EmbeddedError, match="a folder of its own"):
        EmbeddedPostgres(folder).start()
    assert mode_of(folder) == mode


@pytest.fixture
def far_away(folder):
    """The server of a data folder whose own path is too long for a socket."""
    server = EmbeddedPostgres(folder.parent / ("d" * 100))
    yield server
    server.stop()


def test_socket_goes_to_tmp_where_tmpdir_is_long(far_away, folder, monkeypatch):
    (folder.parent / ("t" * 100)).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder.parent / ("t" * 100)))
    assert query(far_away.start(), "SELECT 1") == [(1,)]


def test_socket_goes_to_tmp_where_tmpdir_is_closed_to_the_servers_user(far_away, folder, monkeypatch):
    (folder.parent / "t").mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(folder.parent / "t"))
    assert query(far_away.start(), "SELECT 1") == [(1,)]


def test_socket_that_fits_nowhere_is_said_with_the_cure(far_away, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/no such folder")
    monkeypatch.setattr("db.cluster._TEMP", far_away.data_dir)
    with pytest.raises(EmbeddedError, match="Set TMPDIR"):
        far_away.start()


def test_variables_that_tell_libpq_of_another_server_have_no_say(folder, monkeypatch):
    for name, value in {"PGSERVICE": "prod", "PGOPTIONS": "-c search_path=mine", "PGCLIENTENCODING": "LATIN1"}.items():
        monkeypatch.setenv(name, value)
    server = EmbeddedPostgres(folder)
    engine = make_engine(server.start(), pool_size=1)
    migrate(engine)
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT CAST(:emoji AS text)"), {"emoji": "🙂"}) == "🙂"
    engine.dispose()
    server.stop()


def test_folder_of_another_major_version_is_refused_by_name(server):
    server.start()
    server.stop()
    (server._cluster.path / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 12"):
        server.start()


def test_folder_that_holds_something_else_is_left_alone(folder):
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "thesis.txt").write_text("mine")
    with pytest.raises(EmbeddedError, match="not a database folder"):
        EmbeddedPostgres(folder).start()
    assert (folder / "postgres" / "thesis.txt").read_text() == "mine"


def test_disk_full_at_set_up_is_named_and_leaves_no_half_database(folder):
    fake = folder.parent / "bin"
    fake.mkdir()
    for name, script in {
        "postgres": "echo 'postgres (PostgreSQL) 18.4'",
        "initdb": "echo 'initdb: error: could not write file: No space left on device'; exit 1",
    }.items():
        (fake / name).write_text(f"#!/bin/sh\n{script}\n")
        (fake / name).chmod(0o755)
    with pytest.raises(EmbeddedError, match="disk is full"):
        EmbeddedPostgres(folder, bin_dir=fake).start()
    assert not list(folder.glob("postgres.new-*"))


def test_programs_of_another_installation_can_be_used(folder):
    server = EmbeddedPostgres(folder, bin_dir=system_binaries())
    try:
        major = query(server.start(), "SHOW server_version")[0][0].split(".")[0]
        assert major == system_binaries().parent.name or not system_binaries().parent.name.isdigit()
    finally:
        server.stop()


def test_socket_swept_away_next_start_mends_it(server):
    url = server.start()
    shutil.rmtree(query(url, "SHOW unix_socket_directories")[0][0].strip('"'))
    assert query(server.start(), "SELECT 1") == [(1,)]
