"""A PostgreSQL server of our own in a data folder: started by the first process to come, stopped by the last to leave.

`start` and `stop` are safe to race from any number of processes, and heal what a kill -9 left behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from db.binaries import Binaries, find_binaries, reachable_copy, run_as
from db.errors import EmbeddedError
from db.locks import FileLock
from db.server_user import ServerUser, can_enter, find_server_user, short_hash

DATABASE = "chatplay"
_SUPERUSER = "postgres"
_LONGEST_SOCKET_DIR = 80  # bytes; the kernel's limit is 104 to 108 with the file's name
_START_LIMIT_SEC = 60.0
_CONF = "chatplay.conf"

Progress = Callable[[str], None]


def _silent(_line: str) -> None:
    pass


class EmbeddedPostgres:
    """The server of one data folder, as one process sees it. `progress` gets a line when something takes a while.

    All methods may be called from any thread. They raise EmbeddedError with a cure.
    """

    def __init__(self, data_dir: Path, *, bin_dir: Path | None = None, progress: Progress = _silent) -> None:
        self.data_dir = data_dir.resolve()
        self.cluster = self.data_dir / "postgres"
        self._bin_dir = bin_dir
        self._progress = progress
        self._setup = FileLock(self.data_dir / "postgres.setup.lock")
        self._use = FileLock(self.data_dir / "postgres.use.lock")
        self._own = threading.RLock()
        self._leaving = threading.Event()
        self._keeper: threading.Thread | None = None

    def start(self) -> str:
        """Start the server, or join the one running, and return its URL. Calling it again heals a killed server."""
        with self._own, _explained(self.data_dir):
            user = self._prepare_folder()
            with self._setup.exclusive(timeout_sec=120):
                if not self._use.held:
                    # Nobody holds it alone without the set-up lock, so this cannot fail.
                    self._use.try_acquire(shared=True)
                try:
                    return self._start_locked(user)
                except BaseException:
                    self._leave_locked()
                    raise

    def stop(self) -> bool:
        """Leave the server; True when we were the last to use it, so that it was stopped."""
        self._leaving.set()
        if self._keeper is not None and self._keeper is not threading.current_thread():
            self._keeper.join(timeout=30)
        with self._own, _explained(self.data_dir):
            if not self.data_dir.is_dir():
                return False
            with self._setup.exclusive(timeout_sec=120):
                return self._leave_locked()

    def running(self) -> bool:
        """Whether the server of this folder answers right now."""
        return self._answering() is not None

    def url(self) -> str | None:
        """The URL of the running server; None when it does not answer."""
        socket_dir = self._answering()
        return None if socket_dir is None else _url(socket_dir)

    def keep_alive(self, *, every_sec: float = 1.0) -> None:
        """Watch from a thread until `stop`, and start the server again when it dies under us."""

        def watch() -> None:
            while not self._leaving.wait(every_sec):
                if self._live_postmaster() is None:
                    with contextlib.suppress(EmbeddedError):
                        self.start()

        self._leaving.clear()
        self._keeper = threading.Thread(target=watch, name="embedded-postgres-keeper", daemon=True)
        self._keeper.start()

    def log_files(self) -> list[Path]:
        """The server's logs, oldest first."""
        return sorted((self.cluster / "log").glob("postgres-*.log"), key=lambda path: path.stat().st_mtime)

    def binaries(self) -> Binaries:
        """The programs this server is run with."""
        return find_binaries(self._bin_dir)

    # -- under the set-up lock ------------------------------------------------------------------------------------

    def _start_locked(self, user: ServerUser | None) -> str:
        socket_dir = self._answering()
        if socket_dir is None:
            binaries = reachable_copy(self.binaries(), user, self.data_dir)
            if not (self.cluster / "PG_VERSION").is_file():
                self._initialise(binaries, user)
            self._check_cluster(binaries, user)
            socket_dir = self._launch(binaries, user)
        _ensure_database(socket_dir)
        return _url(socket_dir)

    def _leave_locked(self) -> bool:
        alone = self._use.try_acquire()
        try:
            if not alone or self._live_postmaster() is None:
                return False
            self._halt()
            return True
        finally:
            self._use.release()

    def _halt(self) -> None:
        user, info = find_server_user(self.cluster), self._pid_file()
        pg_ctl = reachable_copy(self.binaries(), user, self.data_dir).program("pg_ctl")
        command = [pg_ctl, "stop", "-D", str(self.cluster), "-m", "fast", "-w", "-t", "60"]
        if self._run(user, command, limit_sec=90) != 0 and self._live_postmaster() is not None:
            raise EmbeddedError("The database server does not stop.", cure=f"Its log is in {self.cluster / 'log'}.")
        if info and info.socket_dir:
            with contextlib.suppress(OSError):
                os.rmdir(info.socket_dir)  # nothing of ours stays behind in the temp folder

    def _prepare_folder(self) -> ServerUser | None:
        if sys.platform == "win32":
            raise EmbeddedError(
                "The embedded database does not run on Windows.", cure="Set DATABASE_URL to a PostgreSQL."
            )
        user = find_server_user(self.cluster)
        if not can_enter(self.data_dir.parent, user) and user is not None:
            raise EmbeddedError(
                f"As root the database runs as user {user.name}, who may not enter {self.data_dir.parent}.",
                cure="Set CHATPLAY_DATA_DIR to a folder it can reach, such as /var/lib/chatplay, "
                "or start as an ordinary user.",
            )
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self.data_dir.stat().st_uid == os.geteuid():
            self.data_dir.chmod(0o711 if user else 0o700)
        return user

    def _initialise(self, binaries: Binaries, user: ServerUser | None) -> None:
        if self.cluster.is_dir():
            if any(self.cluster.iterdir()):
                raise EmbeddedError(f"{self.cluster} is not a database folder.", cure="Move it away and start again.")
            self.cluster.rmdir()
        self._progress(f"Initialising the database in {self.cluster} (once)")
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
            raise EmbeddedError(f"The database could not be set up: {problem}", cure=_cure_for(problem))
        with (fresh / "postgresql.conf").open("a") as conf:
            conf.write(f"\ninclude_if_exists = '{_CONF}'\n")
        fresh.rename(self.cluster)

    def _check_cluster(self, binaries: Binaries, user: ServerUser | None) -> None:
        major = (self.cluster / "PG_VERSION").read_text().strip()
        if major != str(binaries.major):
            raise EmbeddedError(
                f"{self.cluster} was made by PostgreSQL {major}; the programs here are {binaries.version}.",
                cure=f"Set CHATPLAY_PG_BIN_DIR to programs of version {major}, run `make backup`, "
                "move the folder away, and run `make restore` without that setting.",
            )
        owner, expected = self.cluster.stat().st_uid, user.uid if user else os.geteuid()
        if owner != expected:
            raise EmbeddedError(
                f"{self.cluster} belongs to another user (id {owner}).",
                cure="Start as that user, or set CHATPLAY_DATA_DIR to a folder of your own.",
            )
        self.cluster.chmod(0o700)

    def _launch(self, binaries: Binaries, user: ServerUser | None) -> str:
        self._progress("Starting the database")
        self._clear_the_way()
        socket_dir = self._make_socket_dir(user)
        self._write_conf(socket_dir)
        command = [binaries.program("pg_ctl"), "start", "-D", str(self.cluster), "-w", "-t", f"{_START_LIMIT_SEC:.0f}"]
        deadline = time.monotonic() + _START_LIMIT_SEC
        while True:
            if self._live_postmaster() is None:
                self._run(user, command, limit_sec=_START_LIMIT_SEC + 10)
            answered = self._answering()
            if answered is not None:
                return answered
            self._give_up_or_wait(deadline)

    def _give_up_or_wait(self, deadline: float) -> None:
        # After a kill -9 the old backends need a moment to notice and let the shared memory go.
        problem = self._last_lines()
        passing = "shared memory block" in problem or self._live_postmaster() is not None
        if time.monotonic() > deadline or not passing:
            raise EmbeddedError(f"The database did not start: {problem}", cure=_cure_for(problem))
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
        (self.cluster / _CONF).write_text(head + "".join(lines))
        (self.cluster / _CONF).chmod(0o644)

    def _make_socket_dir(self, user: ServerUser | None) -> Path:
        wanted = self.data_dir / "s"
        if len(os.fsencode(wanted)) > _LONGEST_SOCKET_DIR or " " in str(wanted) or '"' in str(wanted):
            name = f"chatplay-{os.geteuid()}-{short_hash(str(self.data_dir))}"
            wanted = Path(tempfile.gettempdir()) / name
        _own_folder(wanted, user)
        return wanted

    # -- looking -----------------------------------------------------------------------------------------------------

    def _answering(self) -> str | None:
        """The socket folder of the server when it answers as the one of this folder."""
        info = self._pid_file()
        if info is None or not info.socket_dir:
            return None
        try:
            with _connect(info.socket_dir, _SUPERUSER) as conn:
                row = conn.execute("SHOW data_directory").fetchone()
                return info.socket_dir if row and Path(row[0]) == self.cluster else None
        except psycopg.Error:
            return None

    def _pid_file(self) -> _PidFile | None:
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            return _PidFile(abs(int(lines[0])), lines[4].strip() if len(lines) > 4 else "")
        except (OSError, ValueError, IndexError):
            return None

    def _live_postmaster(self) -> int | None:
        info = self._pid_file()
        return info.pid if info and _is_postgres_in(info.pid, self.cluster) else None

    def _clear_the_way(self) -> None:
        info = self._pid_file()
        if self._live_postmaster() is None:
            # A PID that is gone PostgreSQL sees through itself; one that was given to another program it does not.
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        elif info and info.socket_dir and not (Path(info.socket_dir) / ".s.PGSQL.5432").exists():
            # Alive, but its socket was swept out of the temp folder: nobody can reach it any more.
            self._halt()

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


def _ensure_database(socket_dir: str) -> None:
    with _connect(socket_dir, _SUPERUSER) as conn:
        if conn.execute("SELECT datname FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            conn.execute(f"CREATE DATABASE {DATABASE}")


def _url(socket_dir: str) -> str:
    return f"postgresql+psycopg://{_SUPERUSER}@/{DATABASE}?host={quote(socket_dir, safe='')}&port=5432"


@contextmanager
def _explained(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise EmbeddedError(
            f"No permission for {error.filename or data_dir}.",
            cure="Give this user the folder (chown), or set CHATPLAY_DATA_DIR to another.",
        ) from None
    except OSError as error:
        text = f"{error.strerror}: {error.filename or data_dir}"
        raise EmbeddedError(f"The data folder cannot be used ({text}).", cure=_cure_for(text)) from None


def _cure_for(problem: str) -> str:
    if "No space left" in problem or "Disk quota" in problem:
        return "The disk is full: free about 200 MB, or set CHATPLAY_DATA_DIR to another disk."
    if "ermission denied" in problem:
        return "Give this user the folder (chown), or set CHATPLAY_DATA_DIR to another."
    return "The whole story is in `make logs`."
