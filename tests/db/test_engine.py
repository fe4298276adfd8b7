"""Connecting and migrating: any address form, any number of processes, never backwards."""

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from sqlalchemy import event, inspect, text

from db.embedded import EmbeddedPostgres
from db.engine import _check_version, current_revision, libpq_url, make_engine, migrate, newest_revision, psycopg_url
from db.errors import MigrationError, UnsuitableServer
from tests.databases import reachable_folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def empty_engine(empty_database_url):
    engine = make_engine(empty_database_url, pool_size=2)
    yield engine
    engine.dispose()


def revision_of(engine):
    with engine.connect() as conn:
        return current_revision(conn)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_url_any_scheme_becomes_psycopg(scheme):
    assert psycopg_url(f"{scheme}://u:p@h/d").drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["mysql://u@h/d", "nonsense"])
def test_url_of_something_else_is_refused(url):
    with pytest.raises(UnsuitableServer, match="postgresql://"):
        psycopg_url(url)


@pytest.mark.parametrize("where", ["u:geheim@h:80:99", "u:ge@heim@h", "u:x@heim@h:1", "h:geheim"])
def test_url_that_cannot_be_read_is_refused_without_its_password(where):
    with pytest.raises(UnsuitableServer) as caught:
        psycopg_url(f"postgresql://{where}/d")
    assert "heim" not in str(caught.value)
    assert caught.value.cure


def test_server_too_old_is_refused():
    with pytest.raises(UnsuitableServer, match="PostgreSQL 13; 14 or newer"):
        _check_version(SimpleNamespace(info=SimpleNamespace(server_version=130_012)), None)


def test_migrate_empty_database_reaches_the_newest_revision(empty_engine):
    assert revision_of(empty_engine) is None
    migrate(empty_engine)
    assert revision_of(empty_engine) == newest_revision()
    assert "chat_messages" in inspect(empty_engine).get_table_names()


def test_migrate_twice_changes_nothing(engine):
    migrate(engine)
    assert revision_of(engine) == newest_revision()


def test_migrate_from_three_processes_at_once_all_succeed(empty_database_url):
    code = (
        "import sys; from db.engine import *; e = make_engine(sys.argv[1], pool_size=1);"
        "sys.stdin.readline(); migrate(e); print(current_revision(e.connect())); e.dispose()"
    )
    command = [sys.executable, "-c", code, empty_database_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    racers = [subprocess.Popen(command, text=True, cwd=ROOT, **pipes) for _ in range(3)]
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.communicate(timeout=60) for racer in racers]
    assert [answer.strip() for answer, _ in answers] == [newest_revision()] * 3, answers


def test_migrate_newer_database_is_refused_with_the_cure(engine):
    with engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = 'from_the_future'"))
    with pytest.raises(MigrationError, match="newer version"):
        migrate(engine)


def test_migrate_leaves_no_lock_behind(engine):
    migrate(engine)
    with engine.connect() as conn:
        held = conn.scalar(
            text(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database IN "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
    assert held == 0


def test_tables_of_schema_and_migrations_agree(engine):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from db.schema import metadata
    from db.schema.base import is_ours

    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"include_name": is_ours})
        assert compare_metadata(context, metadata) == []


def test_foreign_keys_to_rows_that_go_by_the_thousand_have_an_index(engine):
    """Without one each row that goes has the whole other table looked through. People go one at a time."""
    with engine.connect() as conn:
        bare = conn.scalars(
            text(
                "SELECT conname FROM pg_constraint k WHERE contype = 'f' AND starts_with(conname, 'fk_') "
                "AND confrelid NOT IN ('users'::regclass, 'organisations'::regclass) AND NOT EXISTS "
                "(SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1])"
            )
        )
        assert bare.all() == []


def as_before_indexes(engine):
    with engine.begin() as conn:
        conn.execute(
            text(
                "DROP INDEX ix_usage_model, ix_experiment_trials_experiment_id, ix_experiment_votes_left_trial_id, "
                "ix_experiment_votes_right_trial_id, ix_experiment_arms_prompt_version_id, "
                "ix_comparison_votes_answer_id"
            )
        )
        conn.execute(text("ALTER TABLE usage DROP COLUMN reasoning_tokens"))
        conn.execute(text("UPDATE alembic_version SET version_num = '0010'"))


def test_migrate_says_from_where_to_where_and_nothing_where_nothing_is_to_do(engine):
    said = []
    as_before_indexes(engine)
    migrate(engine, progress=said.append)
    migrate(engine, progress=said.append)
    assert said == [f"Migrating the database (0010 -> {newest_revision()})"]


def test_migrate_stands_back_from_a_table_in_use_and_comes_again(engine, database_url, monkeypatch):
    as_before_indexes(engine)
    monkeypatch.setattr("db.engine._IN_THE_WAY_SEC", 0.01)
    with psycopg.connect(libpq_url(database_url)) as other:
        other.execute("LOCK TABLE experiment_trials IN ROW EXCLUSIVE MODE")
        monkeypatch.setattr("db.engine._PAUSE_SEC", 0)
        monkeypatch.setattr("db.engine.time.sleep", lambda seconds: other.rollback())
        migrate(engine)
    assert revision_of(engine) == newest_revision()


def test_migrate_of_a_table_that_stays_in_use_says_what_to_stop(engine, database_url, monkeypatch):
    as_before_indexes(engine)
    monkeypatch.setattr("db.engine._IN_THE_WAY_SEC", 0.01)
    monkeypatch.setattr("db.engine._LONGEST_WAIT_SEC", 0.1)
    with psycopg.connect(libpq_url(database_url)) as other:
        other.execute("LOCK TABLE experiment_trials IN ROW EXCLUSIVE MODE")
        with pytest.raises(MigrationError, match="make down"):
            migrate(engine)
    assert revision_of(engine) == "0010"


def test_engine_after_a_server_restart_heals():
    with reachable_folder() as folder:
        server = EmbeddedPostgres(folder)
        engine = make_engine(server.start(), pool_size=1)
        with engine.connect() as conn:
            conn.execute(text("SELECT 1"))
        server.stop()
        server.start()
        with engine.connect() as conn:
            assert conn.scalar(text("SELECT 1")) == 1
        engine.dispose()
        server.stop()


def test_engine_names_itself_to_the_server(engine):
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT current_setting('application_name')")) == "chatplay"


def test_engine_speaks_utf8_whatever_the_environment_says(empty_database_url, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    engine = make_engine(empty_database_url, pool_size=1)
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT CAST(:emoji AS text)"), {"emoji": "🙂"}) == "🙂"
    engine.dispose()


def _end_pooled(engine, url):
    """Has the server end the connection that lies in the pool; returns its process id."""
    with engine.connect() as conn:
        pid = conn.scalar(text("SELECT pg_backend_pid()"))
    with psycopg.connect(libpq_url(url), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone():
            time.sleep(0.01)
    return pid


def test_connection_the_server_has_ended_is_replaced_before_it_is_used(empty_database_url):
    engine = make_engine(empty_database_url, pool_size=1)
    before = _end_pooled(engine, empty_database_url)
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT pg_backend_pid()")) != before
    engine.dispose()


def test_connection_lost_without_a_word_is_found_by_asking_after_long_disuse(empty_database_url, monkeypatch):
    engine = make_engine(empty_database_url, pool_size=1)
    before = _end_pooled(engine, empty_database_url)
    monkeypatch.setattr("db.engine._has_news", lambda connection: False)
    monkeypatch.setattr("db.engine._ASK_AFTER_SEC", 0)
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT pg_backend_pid()")) != before
    engine.dispose()


def test_connection_in_use_is_not_asked_before_each_use(empty_engine, monkeypatch):
    asked = []
    monkeypatch.setattr("db.engine._answers", lambda connection: asked.append(connection) or True)
    for _ in range(5):
        with empty_engine.connect() as conn:
            conn.scalar(text("SELECT 1"))
    assert asked == []


def test_connection_that_was_used_last_is_taken_first(empty_engine):
    """Its server process has the plans, and is awake."""
    early, late = empty_engine.connect(), empty_engine.connect()
    last = late.connection.dbapi_connection
    early.close()
    late.close()
    for _ in range(3):
        with empty_engine.connect() as conn:
            assert conn.connection.dbapi_connection is last


def test_connection_that_comes_back_after_the_end_is_closed(empty_engine):
    used = empty_engine.connect()
    raw = used.connection.driver_connection
    empty_engine.dispose()
    used.execute(text("SELECT 1"))
    used.close()
    assert raw.closed


def test_connection_made_while_the_pool_is_disposed_of_is_closed_when_it_comes_back(empty_engine):
    event.listen(empty_engine, "do_connect", lambda *_: empty_engine.dispose(), once=True)
    with empty_engine.connect() as late:
        made = late.connection.dbapi_connection
    assert made.closed


def test_connection_that_comes_back_while_the_pool_is_disposed_of_is_closed(empty_engine):
    used = empty_engine.connect()
    raw = used.connection.driver_connection
    # It is on its way back, and not there yet.
    event.listen(empty_engine, "checkin", lambda *_: empty_engine.dispose(), once=True)
    used.close()
    assert raw.closed
