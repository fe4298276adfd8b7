"""A backup comes back whole, on either server and from one to the other, or not at all."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from db.backup import BackupError, _environment, _without_password, backup, restore
from db.engine import current_revision, libpq_url, make_engine, newest_revision
from db.errors import DatabaseError
from tests.databases import fresh_database

AWKWARD = "SET transaction_timeout = 0;\n\\restrict\n\\.\n'); DROP TABLE organisations; -- ünï 🙂"


def query(url, sql, *values):
    with psycopg.connect(libpq_url(url), autocommit=True) as conn:
        done = conn.execute(sql, values or None)
        return done.fetchall() if done.description else None


def names(url):
    return [name for (name,) in query(url, "SELECT name FROM organisations ORDER BY id")]


@pytest.fixture
def filled_url(database_url):
    query(database_url, "DELETE FROM organisations")
    for name in ("first", AWKWARD):
        query(database_url, "INSERT INTO organisations (name) VALUES (%s)", name)
    return database_url


@pytest.fixture(params=["embedded", "outside"])
def other_server_url(request):
    return request.getfixturevalue(f"{request.param}_url")


def test_backup_restored_into_an_empty_database_of_any_server_is_whole(filled_url, other_server_url, tmp_path):
    done = backup(filled_url, tmp_path / "b.dump")
    assert done.size_bytes > 1000
    with fresh_database(other_server_url, migrated=False) as target:
        restore(target, tmp_path / "b.dump")
        assert names(target) == ["first", AWKWARD]
        query(target, "INSERT INTO organisations (name) VALUES ('numbered on')")
        engine = make_engine(target, pool_size=1)
        with engine.connect() as conn:
            assert current_revision(conn) == newest_revision()
        engine.dispose()


def test_restore_over_data_needs_the_flag_and_then_replaces(filled_url, tmp_path):
    backup(filled_url, tmp_path / "b.dump")
    query(filled_url, "INSERT INTO organisations (name) VALUES ('later')")
    with pytest.raises(BackupError, match="--replace"):
        restore(filled_url, tmp_path / "b.dump")
    restore(filled_url, tmp_path / "b.dump", replace=True)
    assert names(filled_url) == ["first", AWKWARD]


def test_restore_replaces_types_and_functions_of_every_kind(filled_url, tmp_path):
    for command in (
        "CREATE TYPE pair AS (first text, second int)",
        "CREATE TYPE mood AS ENUM ('well', 'down')",
        "CREATE DOMAIN share AS float CHECK (value BETWEEN 0 AND 1)",
        "CREATE TYPE span AS RANGE (subtype = float8)",
        "CREATE FUNCTION swap(pair) RETURNS pair LANGUAGE sql AS 'SELECT $1'",
    ):
        query(filled_url, command)
    backup(filled_url, tmp_path / "b.dump")
    restore(filled_url, tmp_path / "b.dump", replace=True)
    assert query(filled_url, "SELECT (swap(ROW('a', 1))).first") == [("a",)]


def test_restore_while_the_app_runs_is_refused(filled_url, tmp_path):
    backup(filled_url, tmp_path / "b.dump")
    engine = make_engine(filled_url, pool_size=1)
    with engine.connect() as conn:
        conn.execute(text("SELECT 1"))
        with pytest.raises(BackupError, match="make down"):
            restore(filled_url, tmp_path / "b.dump", replace=True)
    engine.dispose()


def test_restore_from_a_cut_file_changes_nothing(filled_url, tmp_path):
    whole = backup(filled_url, tmp_path / "b.dump").file.read_bytes()
    (tmp_path / "cut.dump").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(BackupError):
        restore(filled_url, tmp_path / "cut.dump", replace=True)
    assert names(filled_url) == ["first", AWKWARD]


def test_restore_from_something_else_says_so(filled_url, tmp_path):
    (tmp_path / "note.txt").write_text("not a backup")
    with pytest.raises(BackupError, match="archive"):
        restore(filled_url, tmp_path / "note.txt", replace=True)


def test_restore_from_newer_code_changes_nothing(filled_url, tmp_path):
    query(filled_url, "UPDATE alembic_version SET version_num = 'from_the_future'")
    backup(filled_url, tmp_path / "b.dump")
    query(filled_url, "UPDATE alembic_version SET version_num = %s", newest_revision())
    query(filled_url, "DELETE FROM organisations WHERE name = 'first'")
    with pytest.raises(BackupError, match="newer version"):
        restore(filled_url, tmp_path / "b.dump", replace=True)
    assert names(filled_url) == [AWKWARD]


def test_backup_is_readable_by_its_owner_only(database_url, tmp_path):
    done = backup(database_url, tmp_path / "deep" / "b.dump")
    assert done.file.stat().st_mode & 0o077 == 0
    assert [path.name for path in done.file.parent.iterdir()] == ["b.dump"]


def test_backup_of_an_unreachable_server_says_why_without_the_password(tmp_path):
    with pytest.raises(DatabaseError) as caught:
        backup("postgresql://u:geheim@127.0.0.1:9/none", tmp_path / "b.dump")
    assert "refused" in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("password", ["topsecret", "p%40ss%20w%2Frd%25"])
def test_password_is_on_no_command_line(password):
    assert password not in _without_password(f"postgresql://chat:{password}@127.0.0.1:5432/chat")


@pytest.mark.parametrize("name", ["password", "sslpassword"])
def test_password_in_the_query_is_on_no_command_line(name):
    bare = _without_password(f"postgresql://db/chat?user=chat&{name}=topsecret")
    assert bare == "postgresql://db/chat?user=chat"


def test_passwords_in_the_query_reach_the_programs(outside_url, tmp_path):
    address = make_url(outside_url)
    moved = address._replace(password=None).update_query_dict({"password": address.password, "sslpassword": "of a key"})
    url = moved.render_as_string(hide_password=False)
    backup(url, tmp_path / "b.dump")
    with _environment(url) as env:
        said = Path(env["PGSERVICEFILE"]).read_text()
    assert said == "[chatplay]\nsslpassword=of a key\n"


def test_backup_that_fails_says_that_nothing_was_lost(database_url, tmp_path, monkeypatch):
    (tmp_path / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump: error: No space left on device.' >&2\nexit 1\n")
    (tmp_path / "pg_dump").chmod(0o755)
    monkeypatch.setattr("db.backup._client", lambda *_, **__: str(tmp_path / "pg_dump"))
    with pytest.raises(BackupError) as caught:
        backup(database_url, tmp_path / "b.dump")
    assert str(caught.value).startswith("No backup was written: No space left on device. Free some disk space.")
    assert not list(tmp_path.glob("b.dump*"))
