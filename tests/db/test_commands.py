"""The commands at a terminal: start, look, stop, back up; and how the app takes each signal."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from chatplay.auth.attempts import Attempts
from chatplay.auth.passwords import Passwords
from chatplay.auth.sign_in import SignIn
from chatplay.cli.stored import open_store
from chatplay.keybox import KeyBox
from chatplay.models.assembly import KEY_FILE
from chatplay.settings import ROOT, load_settings
from db import upstreams as rows
from db.embedded import EmbeddedPostgres
from tests.databases import reachable_folder
from tests.sign_in_rig import Rig


@pytest.fixture
def environment():
    """A data folder and a free port of its own."""
    with reachable_folder("my data") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        ours = {"CHATPLAY_DATA_DIR": str(folder), "PORT": str(port), "HOST": "127.0.0.1", "DATABASE_URL": ""}
        yield {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")} | ours
        EmbeddedPostgres(folder).stop()


def command(environment, *words):
    line = [sys.executable, "-m", "chatplay", *map(str, words)]
    return subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=90)


@contextmanager
def running(environment, *line):
    """The app, once it answers; `line` is how it is started. Gives the process."""
    line = line or (sys.executable, "-m", "chatplay", "run")
    with open(environment["CHATPLAY_DATA_DIR"] + ".log", "w") as log:
        process = subprocess.Popen(
            line, env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True, preexec_fn=hear_a_hang_up
        )
        try:
            wait_until_it_answers(process, environment)
            yield process
        finally:
            process.kill()
            process.wait(timeout=30)


@contextmanager
def working(environment):
    """A worker without an app, once it works. Gives the process."""
    line = [sys.executable, "-m", "chatplay", "worker"]
    process = subprocess.Popen(
        line, env=environment, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True, preexec_fn=hear_a_hang_up
    )
    try:
        wait_until_it_works(process.stdout.fileno())
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def wait_until_it_works(descriptor):
    text = b""
    while b"Working on experiments" not in text:
        more = os.read(descriptor, 10_000)
        assert more, f"the worker did not come up: {text}"
        text += more


def hear_a_hang_up():
    """As from a terminal, also when whatever runs the tests was told to outlive one."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def wait_until_it_answers(process, environment):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{environment['PORT']}/_stcore/health", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the app did not come up:\n" + said(environment))


def said(environment):
    with open(environment["CHATPLAY_DATA_DIR"] + ".log") as log:
        return log.read()


def stored(environment):
    """The database of the environment, while the app does not run."""
    return open_store(load_settings(env_file=None, environ=environment))


def server_runs(environment):
    return os.path.exists(environment["CHATPLAY_DATA_DIR"] + "/postgres/postmaster.pid")


def test_run_prints_the_links_and_nothing_of_streamlits_own(environment):
    with running(environment):
        text = said(environment)
    assert f"Chat Playground: http://127.0.0.1:{environment['PORT']}\n" in text
    assert re.search(rf"http://127.0.0.1:{environment['PORT']}/auth/setup\?token=\S{{20,}}", text)
    assert "ScriptRunContext" not in text
    assert "view your Streamlit app" not in text


def test_status_and_validate_see_the_running_app_and_down_stops_all(environment):
    with running(environment) as process:
        status, checks = command(environment, "status"), command(environment, "validate")
        assert (status.returncode, checks.returncode) == (0, 0), status.stdout + checks.stdout
        assert f"process {process.pid}" in status.stdout
        assert re.search(r"^ok +database +PostgreSQL", checks.stdout, re.MULTILINE)
        assert command(environment, "run").returncode == 1
        assert command(environment, "down").returncode == 0
        assert process.wait(timeout=30) is not None
    assert not server_runs(environment)
    assert "not running" in command(environment, "status").stdout


def test_workers_are_seen_by_status_and_logs_and_stopped_by_down(environment):
    with working(environment) as worker:
        assert f"Worker     process {worker.pid}" in command(environment, "status").stdout
        assert f"worker-{worker.pid}.log" in command(environment, "logs", "--no-follow").stdout
        down = command(environment, "down")
        assert (down.returncode, worker.wait(timeout=30)) == (0, 0)
    assert f"Stopping the worker (process {worker.pid})\nEverything is stopped" in down.stdout
    assert not server_runs(environment)


def test_hang_up_stops_a_worker_and_then_its_database(environment):
    with working(environment) as worker:
        worker.send_signal(signal.SIGHUP)
        assert worker.wait(timeout=30) == 0
    assert not server_runs(environment)


def test_down_says_so_when_another_command_keeps_the_database(environment):
    with stored(environment):
        down = command(environment, "down")
        assert down.returncode == 1
        assert "The database goes on" in down.stdout
    assert "Nothing was running" in command(environment, "down").stdout


def test_setup_link_leads_to_the_app_that_runs(environment):
    with running(environment):
        link = command(environment | {"PORT": "8501"}, "setup-link").stdout
    assert link.startswith(f"http://127.0.0.1:{environment['PORT']}/auth/setup?token=")


def test_backup_while_running_and_restore_when_stopped(environment, tmp_path):
    with running(environment):
        assert command(environment, "backup", tmp_path / "my b.dump").returncode == 0
        assert "make down" in command(environment, "restore", tmp_path / "my b.dump", "--replace").stderr
        command(environment, "down")
    assert "--replace" in command(environment, "restore", tmp_path / "my b.dump").stderr
    done = command(environment, "restore", tmp_path / "my b.dump", "--replace")
    assert done.returncode == 0, done.stderr
    assert not server_runs(environment)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signal_stops_the_app_and_then_the_database(environment, name):
    with running(environment) as process:
        os.killpg(process.pid, getattr(signal, name))
        process.wait(timeout=30)
    assert not server_runs(environment)


# Takes the terminal, as the first program in it does, and as make does keeps a hang-up to itself.
LIKE_MAKE = """import fcntl, signal, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, lambda *_: None)
subprocess.call(sys.argv[1:])"""


@contextmanager
def under_a_make(environment, command):
    """`chatplay COMMAND` as a make without a shell runs it, at a terminal that closes when the block ends."""
    ours, theirs = os.openpty()
    line = (sys.executable, "-c", LIKE_MAKE, sys.executable, "-m", "chatplay", command)
    make = subprocess.Popen(line, env=environment, cwd=ROOT, stdin=theirs, stdout=theirs, start_new_session=True)
    os.close(theirs)
    try:
        yield make, ours
        os.close(ours)
        make.wait(timeout=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(make.pid, signal.SIGKILL)


def test_closing_the_terminal_stops_the_app_under_a_make_without_a_shell(environment):
    with under_a_make(environment, "run") as (make, _terminal):
        wait_until_it_answers(make, environment)
    assert not server_runs(environment)


def test_closing_the_terminal_stops_a_worker_under_a_make_without_a_shell(environment):
    with under_a_make(environment, "worker") as (_make, terminal):
        wait_until_it_works(terminal)
    assert not server_runs(environment)


def test_plain_streamlit_run_after_a_kill_listens_at_port_and_heals(environment):
    plain = (sys.executable, "-m", "streamlit", "run", "app.py")
    with running(environment, *plain) as process:
        process.kill()
        process.wait(timeout=30)
    assert server_runs(environment)
    with running(environment, *plain) as process:
        process.terminate()
        process.wait(timeout=30)
    assert not server_runs(environment)


def test_bad_setting_is_told_with_the_cure_and_no_traceback(environment):
    refused = command(environment | {"PORT": "eighty"}, "run")
    assert refused.returncode == 1
    assert "Correct PORT" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_setup_link_before_the_first_start_works(environment):
    assert "/auth/setup?token=" in command(environment, "setup-link").stdout


def test_reset_password_prints_a_temporary_one_that_signs_in(environment):
    with stored(environment) as store:
        rig = Rig(store.engine)
        rig.administrator()
    done = command(environment, "reset-password", "ada")
    assert (done.returncode, done.stderr) == (0, "")
    temporary = re.search(r"^    ((?:\w{4}-){3}\w{4})$", done.stdout, re.MULTILINE)[1]
    with stored(environment) as store:
        services = SignIn(
            store=store,
            passwords=Passwords(),
            attempts=Attempts(store=store, settings=rig.settings, clock=rig.clock),
        )
        assert services.check(username="ada", password=temporary, address=None)


def test_backup_and_restore_tell_of_the_key_that_opens_stored_api_keys(environment, tmp_path):
    folder, file = Path(environment["CHATPLAY_DATA_DIR"]), tmp_path / "it's mine.dump"
    with stored(environment) as store, store.transaction() as conn:
        locked = KeyBox(folder / KEY_FILE).lock("sk-x", base_url="http://127.0.0.1:9/v1")
        plain = {"allowed_models": [], "enabled": True, "settings": {}, "per_model": {}}
        url = "http://127.0.0.1:9/v1"
        rows.add_upstream(conn, name="lab", base_url=url, api_key_encrypted=locked, **plain)
    said = command(environment, "backup", file).stdout
    assert f"{folder / KEY_FILE}  opens the stored API keys of lab" in said
    assert f"make restore FILE={shlex.quote(str(file))}" in said
    assert "lab" not in command(environment, "restore", file, "--replace").stdout
    (folder / KEY_FILE).unlink()
    said = command(environment, "restore", file, "--replace").stdout
    assert "The stored API keys of lab cannot be opened here." in said


def test_logs_end_quietly_when_their_reader_has_enough(environment):
    folder = Path(environment["CHATPLAY_DATA_DIR"]) / "logs"
    folder.mkdir(parents=True)
    (folder / "app-1.log").write_text("a line of the log\n" * 20_000)
    ours = f"{shlex.quote(sys.executable)} -m chatplay logs --lines 20000"
    for count in (1, 20_001):  # it leaves while we write, and while we wait for more
        line = ["sh", "-c", f"{ours} | head -n {count}"]
        done = subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_make_hands_over_names_as_they_were_typed():
    awkward = """it's a "b" $x.dump"""

    def made(*words):
        line = ["make", "-s", "-o", ".venv/.app", "CLI=printf '[%s]'", *words]
        return subprocess.run(
            line, env=os.environ | {"USERNAME": "desktop"}, cwd=ROOT, capture_output=True, text=True, timeout=60
        )

    assert made("backup", f"FILE={awkward}").stdout == f"[backup][--][{awkward}]"
    assert made("reset-password", "USERNAME=ada").stdout == "[reset-password][--][ada]"
    assert "USERNAME=" in made("reset-password").stderr
    assert "There is no file gone.dump" in made("restore", "FILE=gone.dump").stderr
