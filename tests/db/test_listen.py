"""News of other processes: heard in the order they were sent, none lost, and quiet is told too."""

from contextlib import closing
from uuid import uuid4

import psycopg
import pytest

from db.engine import libpq_url
from db.listen import Notice, listen

_LISTENERS = "query LIKE 'LISTEN%' AND datname = current_database()"


@pytest.fixture
def said(engine):
    with closing(listen(engine, channels=["first", "Second one"], patience_sec=0.05, owner=uuid4())) as notices:
        assert next(notices) is None  # from here on it listens
        yield notices


def test_notices_come_in_the_order_they_were_sent(said, database_url):
    with psycopg.connect(libpq_url(database_url), autocommit=True) as conn:
        for number in range(300):
            conn.execute("SELECT pg_notify(%s, %s)", (("first", "Second one")[number % 2], str(number)))
    heard = [notice for notice in (next(said) for _ in range(320)) if notice is not None]
    assert heard == [Notice(("first", "Second one")[number % 2], str(number)) for number in range(300)]


def test_other_channels_are_not_heard_and_quiet_is_told(said, database_url):
    with psycopg.connect(libpq_url(database_url), autocommit=True) as conn:
        conn.execute("SELECT pg_notify('third', 'x')")
        assert next(said) is None
        conn.execute("SELECT pg_notify('first', 'y')")
    assert Notice("first", "y") in [next(said), next(said)]


def test_it_ends_when_its_connection_is_cut(said, database_url):
    with psycopg.connect(libpq_url(database_url), autocommit=True) as conn:
        conn.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_LISTENERS}")
    assert [notice for notice in said if notice is not None] == []
