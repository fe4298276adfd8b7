"""A PostgreSQL server of our own in a data folder: started by the first process to come, stopped by the last to leave.

`start` and `stop` are safe to race from any number of processes, and heal what a kill -9 left behind.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.binaries import Binaries, find_binaries, reachable_copy
from db.cluster import Cluster, Progress, cure_for, ensure_database, url_of
from db.errors import EmbeddedError
from db.locks import FileLock
from db.server_user import ServerUser, can_enter, find_server_user


def _silent(_line: str) -> None:
    pass


class EmbeddedPostgres:
    """The server of one data folder, as one process sees it. `progress` gets a line when something takes a while.

    A process that has one forgets the variables (PGSERVICE, PGOPTIONS, ...) that tell libpq of another server.

    All methods may be called from any thread. They raise EmbeddedError with a cure.
    """

    def __init__(self, data_dir: Path, *, bin_dir: Path | None = None, progress: Progress = _silent) -> None:
        _forget_other_servers()
        self.data_dir = data_dir.resolve()
        self._bin_dir = bin_dir
        self._setup = FileLock(self.data_dir / "postgres.setup.lock")
        self._use = FileLock(self.data_dir / "postgres.use.lock")
        self._own = threading.RLock()
        self._leaving = threading.Event()
        self._cluster = Cluster(self.data_dir, progress=progress, leaving=self._leaving)
        self._keeper: threading.Thread | None = None

    def start(self) -> str:
        """Start the server, or join the one running, and return its URL. Calling it again heals a killed server.

        Waits for a server that recovers from a crash, however long that takes; `stop` from another thread ends that.
        """
        self._leaving.clear()
        return self._start()

    def _start(self) -> str:
        with self._own, _explained(self.data_dir):
            user = self._prepare_folder()
            with self._setup.exclusive(timeout_sec=120, unless=self._cluster.recovering):
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
        return self._cluster.answering() is not None

    def url(self) -> str | None:
        """The URL of the running server; None when it does not answer."""
        socket_dir = self._cluster.answering()
        return None if socket_dir is None else url_of(socket_dir)

    def keep_alive(self, *, every_sec: float = 1.0) -> None:
        """Watch from a thread until `stop`, and start the server again when it dies under us."""

        def watch() -> None:
            while not self._leaving.wait(every_sec):
                if self._cluster.live_postmaster() is None:
                    with contextlib.suppress(EmbeddedError):
                        self._start()

        self._keeper = threading.Thread(target=watch, name="embedded-postgres-keeper", daemon=True)
        self._keeper.start()

    def log_files(self) -> list[Path]:
        """The server's logs, oldest first."""
        return self._cluster.log_files()

    def binaries(self) -> Binaries:
        """The programs this server is run with."""
        return find_binaries(self._bin_dir)

    # -- under the set-up lock ------------------------------------------------------------------------------------

    def _start_locked(self, user: ServerUser | None) -> str:
        socket_dir = self._cluster.answering()
        if socket_dir is None:
            socket_dir = self._cluster.start(self._reachable(user), user)
        ensure_database(socket_dir)
        return url_of(socket_dir)

    def _leave_locked(self) -> bool:
        alone = self._use.try_acquire()
        try:
            if not alone or self._cluster.live_postmaster() is None:
                return False
            user = find_server_user(self._cluster.path)
            self._cluster.halt(self._reachable(user), user)
            return True
        finally:
            self._use.release()

    def _reachable(self, user: ServerUser | None) -> Binaries:
        return reachable_copy(self.binaries(), user, self.data_dir)

    def _prepare_folder(self) -> ServerUser | None:
        if sys.platform == "win32":
            raise EmbeddedError(
                "The embedded database does not run on Windows.", cure="Set DATABASE_URL to a PostgreSQL."
            )
        user = find_server_user(self._cluster.path)
        if not can_enter(self.data_dir.parent, user) and user is not None:
            raise EmbeddedError(
                f"As root the database runs as user {user.name}, who may not enter {self.data_dir.parent}.",
                cure="Set CHATPLAY_DATA_DIR to a folder it can reach, such as /var/lib/chatplay, "
                "or start as an ordinary user.",
            )
        self._make_folder(user)
        return user

    def _make_folder(self, user: ServerUser | None) -> None:
        """Makes the data folder; one that was there before stays as open as it was."""
        was_there = self.data_dir.is_dir()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(self.data_dir.stat().st_mode)
        if not was_there:
            self.data_dir.chmod(0o711 if user else 0o700)
        elif mode & (stat.S_ISVTX | stat.S_IWOTH) and not self._cluster.path.exists():
            raise EmbeddedError(
                f"Others may write to {self.data_dir} as well, so the database is not put there.",
                cure="Set CHATPLAY_DATA_DIR to a folder of its own, such as one inside it.",
            )
        elif not can_enter(self.data_dir, user) and self.data_dir.stat().st_uid == os.geteuid():
            self.data_dir.chmod(mode | 0o011)


def _forget_other_servers() -> None:
    # Taken out, not outvoted: nothing that is said at connecting overrules PGSERVICE.
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


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
        raise EmbeddedError(f"The data folder cannot be used ({text}).", cure=cure_for(text)) from None
