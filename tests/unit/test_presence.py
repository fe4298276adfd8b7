"""An app's note is seen while it lives and swept away after it died."""

import json
import os
import subprocess
import sys

from chatplay.presence import Presence, RunningApp, list_running, list_workers
from chatplay.settings import ROOT, load_settings


def settings(folder):
    return load_settings(env_file=None, environ={"CHATPLAY_DATA_DIR": str(folder), "PORT": "9001"})


def test_presence_of_this_app_is_listed_until_it_leaves(tmp_path):
    presence = Presence(settings(tmp_path))
    presence.enter()
    assert [app.port for app in list_running(tmp_path)] == [9001]
    presence.leave()
    assert list_running(tmp_path) == []


def test_presence_of_a_worker_is_listed_among_workers_only(tmp_path):
    presence = Presence(settings(tmp_path), "workers")
    presence.enter()
    assert [worker.pid for worker in list_workers(tmp_path)] == [os.getpid()]
    assert list_running(tmp_path) == []
    presence.leave()
    assert list_workers(tmp_path) == []


def test_presence_of_a_killed_app_is_swept_away(tmp_path):
    code = (
        "import sys; from chatplay.presence import Presence; from chatplay.settings import load_settings;"
        "Presence(load_settings(env_file=None, environ={'CHATPLAY_DATA_DIR': sys.argv[1]})).enter();"
        "print('in', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, **pipes) as other:
        assert other.stdout.readline() == b"in\n"
        assert [app.pid for app in list_running(tmp_path)] == [other.pid]
        other.kill()
        other.wait()
        assert list_running(tmp_path) == []
    assert not list((tmp_path / "apps").iterdir())


def test_presence_note_without_a_holder_is_nobody(tmp_path):
    (tmp_path / "apps").mkdir()
    note = {"pid": 1, "host": "h", "port": 1, "started_at": 0}
    (tmp_path / "apps" / "1.json").write_text(json.dumps(note))
    assert list_running(tmp_path) == []


def test_running_app_on_all_addresses_is_reached_on_this_machine():
    assert RunningApp(1, "0.0.0.0", 9001, 0).url == "http://127.0.0.1:9001"
    assert RunningApp(1, "fd00::1", 9001, 0).url == "http://[fd00::1]:9001"
