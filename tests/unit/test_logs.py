"""The app's log in the data folder is for its own user alone; a worker has one of its own."""

import logging
import os

import pytest

from chatplay import logs
from chatplay.presence import Presence
from chatplay.settings import load_settings


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


@pytest.fixture
def settings(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    return load_settings(env_file=None, environ={"CHATPLAY_DATA_DIR": str(tmp_path)})


def write_logs(folder, *names):
    """The first is the oldest."""
    for age, name in enumerate(names):
        (folder / name).write_text("a line\n")
        os.utime(folder / name, (1_000 + age, 1_000 + age))


def test_logs_of_workers_that_ended_go_but_for_the_last_three(settings):
    folder = logs.log_dir(settings)
    presence = Presence(settings, "workers")
    presence.enter()
    living = f"worker-{os.getpid()}.log"
    write_logs(folder, living, "worker-7.log.1", "worker-7.log", "worker-6.log", "worker-5.log", "worker-77.log")
    logs._drop_old_worker_logs(settings)
    presence.leave()
    assert {path.name for path in folder.iterdir()} == {living, "worker-6.log", "worker-5.log", "worker-77.log"}


def test_logs_of_apps_and_workers_are_all_followed(settings):
    write_logs(logs.log_dir(settings), "worker-9.log", "worker-10.log", "app-8501.log", "app-8501.log.1")
    found = [path.name for path in logs.log_files(settings)]
    assert found == ["app-8501.log", "worker-9.log", "worker-10.log"]
