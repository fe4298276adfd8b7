"""What `make status` says of the database."""

import pytest

from chatplay.cli.watch import _revision, _stored
from db.engine import newest_revision
from db.overview import Overview


def at(revision):
    return Overview(server_version="18.4", revision=revision)


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        (newest_revision(), "(newest)"),
        ("0001", "the next start brings it to"),
        (None, "none yet; the next start brings it to"),
        ("9042", "of a newer version of this app, which cannot be used here"),
    ],
)
def test_status_says_what_becomes_of_a_database_at_another_revision(revision, words):
    assert words in _revision(at(revision))


def test_status_counts_one_as_one():
    one = Overview("18.4", "0001", people=1, chats=1, messages=1, size_bytes=9_000_000)
    assert _stored(one) == "1 chat, 1 message, 1 person, 9 MB"
    many = Overview("18.4", "0001", people=2, chats=0, messages=1_234, size_bytes=9_000_000)
    assert _stored(many) == "0 chats, 1,234 messages, 2 people, 9 MB"
