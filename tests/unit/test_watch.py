"""What `make status` says of the database."""

import pytest

from chatplay.cli.watch import _revision
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
