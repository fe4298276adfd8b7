"""The app's log in the data folder is for its own user alone."""

import logging
import os

import pytest

from chatplay import logs


@pytest.fixture
def open_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_files_that_the_rotation_opens_are_as_closed_as_the_first(tmp_path):
    handler = logs._OwnFile(tmp_path / "app.log", maxBytes=100, backupCount=2, encoding="utf-8")
    for _ in range(4):
        handler.emit(
            logging.LogRecord("chatplay", logging.INFO, "", 0, "a line of some sixty characters, " * 2, (), None)
        )
    handler.close()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"app.log": 0o600, "app.log.1": 0o600, "app.log.2": 0o600}
