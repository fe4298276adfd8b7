"""The real app in a process, with a port and a data folder of its own; it may be killed and started again."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path

import psutil
from sqlalchemy import Connection

from chatplay.auth.passwords import Passwords
from chatplay.auth.setup import DEFAULT_ORGANISATION
from chatplay.auth.tokens import new_token, token_hash
from chatplay.settings import Settings, variable_name
from db import accounts, sign_ins
from db.embedded import EmbeddedPostgres
from db.engine import make_engine

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "four unrelated words"
PLANTED_KEY = "sk-planted-0a1b2c3d4e5f6071"
_START_SEC, _STOP_SEC = 90, 30
_people = count(1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Callable[[], object], what: str, timeout_sec: float = 30.0) -> None:
    """Return once `condition()` holds; AssertionError naming `what` after `timeout_sec`."""
    deadline = time.monotonic() + timeout_sec
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_sec:g} s in vain: {what}"
        time.sleep(0.03)


class App:
    """`start()`, then `url`. `environment` is laid over an environment in which every setting is at its default."""

    def __init__(self, **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cp-"))
        self.folder.chmod(0o755)  # the database's own user has to pass when the tests run as root
        self.data = self.folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    # ---- the process ---------------------------------------------------------------------------

    def start(self) -> App:
        """Start, again if need be, and wait until the app and its database answer."""
        self._starts += 1
        with self.terminal.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "chatplay", "run"],
                cwd=ROOT,
                env=self._whole_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._answers, "the app to start", _START_SEC)
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=_STOP_SEC)

    def kill(self) -> None:
        """SIGKILL for the app's process only: its database server lives on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=_STOP_SEC)

    def kill_database(self) -> None:
        """SIGKILL for the embedded server's postmaster; gone when this returns."""
        postmaster = psutil.Process(self.postmaster_pid())
        postmaster.kill()
        psutil.wait_procs([postmaster], timeout=_STOP_SEC)

    def postmaster_pid(self) -> int:
        return int((self.data / "postgres" / "postmaster.pid").read_text().splitlines()[0])

    def close(self) -> None:
        """End app and server, whatever state they are in, and remove the data."""
        try:
            if self._process is not None and self._process.poll() is None:
                try:
                    self.terminate()
                except subprocess.TimeoutExpired:
                    self.kill()
        finally:
            if self.data.exists():
                EmbeddedPostgres(self.data).stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> App:
        try:
            return self.start()
        except BaseException:
            print(self.output()[-4000:])
            self.close()
            raise

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _whole_environment(self) -> dict[str, str]:
        # An empty value counts as not set and wins over a developer's .env.
        defaults = {variable_name(field): "" for field in Settings.model_fields}
        own = {"HOST": "127.0.0.1", "PORT": str(self.port), "CHATPLAY_DATA_DIR": str(self.data)}
        return {**os.environ, **defaults, **own, "PYTHONUNBUFFERED": "1", **self._environment}

    def _answers(self) -> bool:
        """The route that says who is signed in answers once the services stand."""
        assert self._process is not None
        assert self._process.poll() is None, f"the app ended at its start:\n{self.output()[-4000:]}"
        try:
            urllib.request.urlopen(f"{self.url}/auth/whoami", timeout=5)
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False
        return True

    # ---- what it wrote -------------------------------------------------------------------------

    @property
    def terminal(self) -> Path:
        return self.folder / "terminal.log"

    def output(self) -> str:
        """All that the process printed, over all its starts."""
        return self.terminal.read_text(errors="replace") if self.terminal.exists() else ""

    def logs(self) -> str:
        """What was printed and what stands in the log files of app and database."""
        files = [self.terminal, *self.data.glob("logs/*"), *self.data.glob("postgres/log/*")]
        return "\n".join(file.read_text(errors="replace") for file in files if file.is_file())

    def log_tail(self, lines: int = 60) -> str:
        """The last lines that are worth a look after a failure."""
        kept = [line for line in self.logs().splitlines() if " DEBUG " not in line and " httpx2: " not in line]
        return "\n".join(kept[-lines:])

    def set_up_link(self) -> str:
        found = re.findall(r"http://\S+/auth/setup\?token=\S+", self.output())
        assert found, f"no set-up link was printed:\n{self.output()[-2000:]}"
        return found[-1]

    # ---- people, past the forms ----------------------------------------------------------------

    @contextmanager
    def database(self) -> Iterator[Connection]:
        """A transaction in the app's own database."""
        url = EmbeddedPostgres(self.data).url()
        assert url is not None, "the embedded server does not answer"
        engine = make_engine(url, pool_size=1)
        try:
            with engine.begin() as conn:
                yield conn
        finally:
            engine.dispose()

    def add_person(self, role: str = "analyst") -> str:
        """The username of somebody new, whose password is PASSWORD."""
        username = f"person{next(_people)}"
        with self.database() as conn:
            accounts.add_user(
                conn,
                organisation_id=accounts.get_or_add_organisation(conn, name=DEFAULT_ORGANISATION),
                username=username,
                display_name=username.capitalize(),
                password_hash=_password_hash(),
                role=role,
                must_change_password=False,
            )
        return username

    def sign_in(self, username: str) -> str:
        """The token of a new sign-in, for the cookie."""
        token, now = new_token(), datetime.now(UTC)
        with self.database() as conn:
            found = accounts.find_credentials(conn, username=username)
            assert found is not None
            sign_ins.add_sign_in(
                conn,
                token_hash=token_hash(token),
                user_id=found.user_id,
                now=now,
                expires_at=now + timedelta(days=1),
                address="127.0.0.1",
                user_agent="test",
            )
        return token


def is_alive(process: psutil.Process) -> bool:
    """False for a zombie too: where nobody collects orphans, they stay listed."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@cache
def _password_hash() -> str:
    return Passwords().hash(PASSWORD)


@contextmanager
def ignored() -> Iterator[None]:
    """For clean-up that must not hide the failure before it."""
    with contextlib.suppress(Exception):
        yield
