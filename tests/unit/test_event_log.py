"""While the database is away the event log keeps what came, and says so once, not with every try."""

import logging
from contextlib import contextmanager
from uuid import uuid4

import pytest

from chatplay.errors import StoreUnavailable
from chatplay.generation.log import EventLog


class Store:
    def __init__(self):
        self.away = False

    @contextmanager
    def reading(self):
        if self.away:
            raise StoreUnavailable("The database cannot be reached right now.")
        yield None


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setattr("chatplay.generation.log.generations.append_events", lambda conn, *, batches: None)
    return Store()


def test_outage_is_said_once_and_its_end_once(store, caplog):
    log = EventLog(store=store)
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        store.away = True
        log.add(generation_id=uuid4(), seq=1, text="x", at_ms=1)
        assert not any(log.flush() for _ in range(5))
        store.away = False
        assert all(log.flush() for _ in range(5))
    words = [record.getMessage() for record in caplog.records]
    assert ["takes the text of answers again" in text for text in words] == [False, True, False, True]
