"""File locks the kernel drops by itself when a process dies, however it dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from db.errors import EmbeddedError

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int, *, shared: bool) -> None:
        # Windows has no shared kind here, and shuts readers out of what is locked: take a byte far behind the text.
        os.lseek(fd, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError from None
else:
    import fcntl

    def _lock(fd: int, *, shared: bool) -> None:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


class FileLock:
    """One holder's side of the lock on `path`: shared by many or exclusive to one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        return self._fd is not None

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Take the lock, or change it from shared to exclusive, when that is possible at once."""
        fd = self._fd if self._fd is not None else os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(fd, shared=shared)
        except BlockingIOError:
            # A failed change from shared to exclusive may have lost the shared lock: hold nothing.
            os.close(fd)
            self._fd = None
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        """Give the lock back; harmless when not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @contextmanager
    def exclusive(self, *, timeout_sec: float, unless: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Hold the lock alone. Raises EmbeddedError when others keep it longer than `timeout_sec`, unless they have
        a reason to.
        """
        deadline = time.monotonic() + timeout_sec
        while not self.try_acquire():
            if time.monotonic() > deadline and not unless():
                raise EmbeddedError(
                    f"Another process has been setting up the database for {timeout_sec:g} seconds.",
                    cure="Look with `make status`; stop what hangs there and start again.",
                )
            time.sleep(0.02)
        try:
            yield
        finally:
            self.release()
