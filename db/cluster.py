"""The folder of a PostgreSQL server and its process: made, started, looked at and stopped, by one process at a time.

What it takes to heal after a kill -9 is here; who may start and stop it is `db.embedded`'s.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from db.binaries import Binaries, run_as
from db.errors import EmbeddedError
from db.server_user import ServerUser, can_enter, short_hash

DATABASE = "chatplay"
Progress = Callable[[str], None]
_SUPERUSER = "postgres"
_LONGEST_SOCKET_DIR = 80  # bytes; the kernel's limit is 104 to 108 with the file's name
_START_LIMIT_SEC = 60.0
_LOOK_AFTER_SEC = 5.0
_NEWS_EVERY_SEC = 30.0
_CONF = "chatplay.conf"
_SOCKET = ".s.PGSQL.5432"
_TEMP = Path("/tmp")


class Cluster:
    """The server whose files are in `data_dir`/postgres. `user`: who it runs as; None is this process's own.

    A start that waits for the server to recover ends when `leaving` is set.
    """

    def __init__(self, data_dir: Path, *, progress: Progress, leaving: threading.Event) -> None:
        self.data_dir = data_dir
        self.path = data_dir / "postgres"
        self._progress = progress
        self._leaving = leaving

    # ---- changing ------------------------------------------------------------------------------

    def start(self, binaries: Binaries, user: ServerUser | None) -> str:
        """Makes it when it is not there yet, starts it, and returns its socket's folder. Raises EmbeddedError."""
        if not (self.path / "PG_VERSION").is_file():
            self._initialise(binaries, user)
        self._check(binaries, user)
        return self._launch(binaries, user)

    def halt(self, binaries: Binaries, user: ServerUser | None) -> None:
        """Stops it. Raises EmbeddedError when it does not stop."""
        info = self._pid_file()
        command = [binaries.program("pg_ctl"), "stop", "-D", str(self.path), "-m", "fast", "-w", "-t", "60"]
        if self._run(user, command, limit_sec=90) != 0 and self.live_postmaster() is not None:
            raise EmbeddedError("The database server does not stop.", cure=f"Its log is in {self.path / 'log'}.")
        if info and info.socket_dir:
            with contextlib.suppress(OSError):
                os.rmdir(info.socket_dir)  # nothing of ours stays behind in the temp folder

    def _initialise(self, binaries: Binaries, user: ServerUser | None) -> None:
        if self.path.is_dir():
            if any(self.path.iterdir()):
                raise EmbeddedError(f"{self.path} is not a database folder.", cure="Move it away and start again.")
            self.path.rmdir()
        self._progress(f"Initialising the database in {self.path} (once)")
        for leftover in self.data_dir.glob("postgres.new-*"):
            shutil.rmtree(leftover)
        fresh = self.data_dir / f"postgres.new-{os.getpid()}"
        _own_folder(fresh, user)
        options = ["-U", _SUPERUSER, "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--data-checksums"]
        locale = ["--locale=C.UTF-8"]
        if binaries.major >= 17:
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command = [binaries.program("initdb"), "-D", str(fresh), *options, *locale]
        if self._run(user, command, limit_sec=180) != 0:
            problem = self._last_lines()
            shutil.rmtree(fresh, ignore_errors=True)
            raise EmbeddedError(f"The database could not be set up: {problem}", cure=cure_for(problem))
        with (fresh / "postgresql.conf").open("a") as conf:
            conf.write(f"\ninclude_if_exists = '{_CONF}'\n")
        fresh.rename(self.path)

    def _check(self, binaries: Binaries, user: ServerUser | None) -> None:
        major = (self.path / "PG_VERSION").read_text().strip()
        if major != str(binaries.major):
            raise EmbeddedError(
                f"{self.path} was made by PostgreSQL {major}; the programs here are {binaries.version}.",
                cure=f"Set CHATPLAY_PG_BIN_DIR to programs of version {major}, run `make backup`, "
                "move the folder away, and run `make restore` without that setting.",
            )
        owner, expected = self.path.stat().st_uid, user.uid if user else os.geteuid()
        if owner != expected:
            raise EmbeddedError(
                f"{self.path} belongs to another user (id {owner}).",
                cure="Start as that user, or set CHATPLAY_DATA_DIR to a folder of your own.",
            )
        self.path.chmod(0o700)

    def _launch(self, binaries: Binaries, user: ServerUser | None) -> str:
        self._progress("Starting the database")
        self._clear_the_way(binaries, user)
        socket_dir = self._make_socket_dir(user)
        self._clear_socket(socket_dir)
        self._write_conf(socket_dir)
        command = [binaries.program("pg_ctl"), "start", "-D", str(self.path), "-w", "-t", f"{_LOOK_AFTER_SEC:.0f}"]
        deadline = time.monotonic() + _START_LIMIT_SEC
        while True:
            if self.live_postmaster() is None:
                self._run(user, command, limit_sec=70)
            answered = self.answering()
            if answered is not None:
                return answered
            if self.recovering():
                self._wait_while_recovering()
                deadline = time.monotonic() + _START_LIMIT_SEC
            else:
                self._give_up_or_wait(deadline)

    def _wait_while_recovering(self) -> None:
        """However long that takes: a server stopped before it is through begins again from the same place."""
        since = said = time.monotonic()
        self._progress("The database was not shut down in order and recovers what it had written; let it finish")
        while self.recovering():
            if self._leaving.wait(0.1):
                raise EmbeddedError("The database was still recovering.", cure="Start again and let it finish.")
            if time.monotonic() - said > _NEWS_EVERY_SEC:
                said = time.monotonic()
                self._progress(f"The database is still recovering, after {said - since:.0f} s")

    def _give_up_or_wait(self, deadline: float) -> None:
        # After a kill -9 the old backends need a moment to notice and let the shared memory go.
        problem = self._last_lines()
        passing = "shared memory block" in problem or self.live_postmaster() is not None
        if time.monotonic() > deadline or not passing:
            raise EmbeddedError(f"The database did not start: {problem}", cure=cure_for(problem))
        time.sleep(0.1)

    def _write_conf(self, socket_dir: Path) -> None:
        quoted = str(socket_dir).replace("'", "''")
        settings = {
            "listen_addresses": "''",
            "port": "5432",
            "unix_socket_directories": f"'\"{quoted}\"'",
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "shared_buffers": "'128MB'",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "fsync": "on",
            "timezone": "'UTC'",
            "logging_collector": "on",
            "log_directory": "'log'",
            "log_filename": "'postgres-%a.log'",
            "log_rotation_age": "'1d'",
            "log_rotation_size": "0",
            "log_truncate_on_rotation": "on",
            "log_timezone": "'UTC'",
            "log_line_prefix": "'%m [%p] %a '",
        }
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        head = "# Written at every start; put your own settings into postgresql.auto.conf (ALTER SYSTEM).\n"
        (self.path / _CONF).write_text(head + "".join(lines))
        (self.path / _CONF).chmod(0o644)

    def _make_socket_dir(self, user: ServerUser | None) -> Path:
        name = f"chatplay-{os.geteuid()}-{short_hash(str(self.data_dir))}"
        places = [self.data_dir / "s", Path(tempfile.gettempdir()) / name, _TEMP / name]
        wanted = next((place for place in places if _suits_a_socket(place, user)), None)
        if wanted is None:
            tried = ", ".join(str(place.parent) for place in places)
            raise EmbeddedError(
                f"No folder is fit for the database's socket: {tried} have long paths, blanks or quotes in them, "
                "or are closed to the user it runs as.",
                cure="Set TMPDIR to a folder with a short path that everybody may enter.",
            )
        _own_folder(wanted, user)
        return wanted

    # ---- looking -------------------------------------------------------------------------------

    def log_files(self) -> list[Path]:
        """The server's logs, oldest first."""
        return sorted((self.path / "log").glob("postgres-*.log"), key=lambda path: path.stat().st_mtime)

    def answering(self) -> str | None:
        """The socket folder of the server when it answers as the one of this folder."""
        info = self._pid_file()
        if info is None or not info.socket_dir:
            return None
        try:
            with _connect(info.socket_dir, _SUPERUSER) as conn:
                row = conn.execute("SHOW data_directory").fetchone()
                return info.socket_dir if row and Path(row[0]) == self.path else None
        except psycopg.Error:
            return None

    def recovering(self) -> bool:
        """Whether the server lives and lets nobody in yet (SQLSTATE 57P03): it starts, or recovers from a crash."""
        info = self._pid_file()
        if info is None or not info.socket_dir or self.live_postmaster() is None:
            return False
        asked = make_conninfo(host=info.socket_dir, port=5432, dbname=_SUPERUSER, connect_timeout=3)
        return pq.PGconn.ping(asked.encode()) == pq.Ping.REJECT

    def _pid_file(self) -> _PidFile | None:
        try:
            lines = (self.path / "postmaster.pid").read_text().splitlines()
            return _PidFile(abs(int(lines[0])), lines[4].strip() if len(lines) > 4 else "")
        except (OSError, ValueError, IndexError):
            return None

    def live_postmaster(self) -> int | None:
        """The process id of the running server."""
        info = self._pid_file()
        return info.pid if info and _is_postgres_in(info.pid, self.path) else None

    def _clear_the_way(self, binaries: Binaries, user: ServerUser | None) -> None:
        info = self._pid_file()
        if self.live_postmaster() is None:
            # A PID that is gone PostgreSQL sees through itself; one that was given to another program it does not.
            (self.path / "postmaster.pid").unlink(missing_ok=True)
        elif info and info.socket_dir and not (Path(info.socket_dir) / _SOCKET).exists():
            # Alive, but its socket was swept out of the temp folder: nobody can reach it any more.
            self.halt(binaries, user)

    def _clear_socket(self, socket_dir: Path) -> None:
        # The lock file beside the socket names the same PID, and PostgreSQL believes it just as readily.
        if self.live_postmaster() is None:
            for name in (_SOCKET, f"{_SOCKET}.lock"):
                (socket_dir / name).unlink(missing_ok=True)

    def _run(self, user: ServerUser | None, command: list[str], *, limit_sec: float) -> int:
        output = self.data_dir / "postgres-setup.log"
        output.write_bytes(b"")
        try:
            return run_as(user, command, cwd=self.data_dir, timeout_sec=limit_sec, output=output)
        except subprocess.TimeoutExpired:
            raise EmbeddedError(f"`{Path(command[0]).name}` hung.", cure=f"Its output is in {output}.") from None

    def _last_lines(self) -> str:
        said = (self.data_dir / "postgres-setup.log").read_text(errors="replace").splitlines()
        logs = self.log_files()
        said += logs[-1].read_text(errors="replace").splitlines()[-5:] if logs else []
        worst = [line for line in said if "FATAL" in line or "error:" in line or "PANIC" in line] or said
        return worst[-1].strip() if worst else "it said nothing."


@dataclass(frozen=True)
class _PidFile:
    pid: int
    socket_dir: str


def _is_postgres_in(pid: int, cluster: Path) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
            return False
        return Path(process.cwd()) == cluster
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def _suits_a_socket(path: Path, user: ServerUser | None) -> bool:
    short = len(os.fsencode(path)) <= _LONGEST_SOCKET_DIR
    return short and not set(' "') & set(str(path)) and path.parent.is_dir() and can_enter(path.parent, user)


def _own_folder(path: Path, user: ServerUser | None) -> None:
    """Make `path` a 0700 folder of the server's user; refuses one that somebody else put there."""
    allowed = {os.geteuid()} | ({user.uid} if user else set())
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    info = path.lstat()
    if path.is_symlink() or not path.is_dir() or info.st_uid not in allowed:
        raise EmbeddedError(f"{path} belongs to somebody else.", cure="Remove it, or set TMPDIR to a folder of yours.")
    if user is not None:
        os.chown(path, user.uid, user.gid)
    path.chmod(0o700)


def _connect(socket_dir: str, database: str) -> psycopg.Connection[tuple[str]]:
    return psycopg.connect(
        host=socket_dir, port=5432, user=_SUPERUSER, dbname=database, connect_timeout=3, autocommit=True
    )


def ensure_database(socket_dir: str) -> None:
    """Our database, made when the server has none yet."""
    with _connect(socket_dir, _SUPERUSER) as conn:
        if conn.execute("SELECT datname FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            conn.execute(f"CREATE DATABASE {DATABASE}")


def url_of(socket_dir: str) -> str:
    return f"postgresql+psycopg://{_SUPERUSER}@/{DATABASE}?host={quote(socket_dir, safe='')}&port=5432"


def cure_for(problem: str) -> str:
    if "No space left" in problem or "Disk quota" in problem:
        return "The disk is full: free about 200 MB, or set CHATPLAY_DATA_DIR to another disk."
    if "ermission denied" in problem:
        return "Give this user the folder (chown), or set CHATPLAY_DATA_DIR to another."
    return "The whole story is in `make logs`."
