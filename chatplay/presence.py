"""Which apps and workers run on a data folder: each holds a locked note there, and the kernel drops the lock when it
dies.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar

from chatplay.settings import Settings
from db.locks import FileLock


@dataclass(frozen=True)
class RunningApp:
    """An app that is alive now. `started_at` is in seconds since 1970."""

    pid: int
    host: str
    port: int
    started_at: float

    @property
    def url(self) -> str:
        """Its address from this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "localhost") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


@dataclass(frozen=True)
class RunningWorker:
    """A worker of experiments that is alive now. `started_at` is in seconds since 1970."""

    pid: int
    started_at: float


Kind = Literal["apps", "workers"]
Note = TypeVar("Note", RunningApp, RunningWorker)


class Presence:
    """This process's note among its kind; `enter` when it starts to serve, `leave` when it ends."""

    def __init__(self, settings: Settings, kind: Kind = "apps") -> None:
        self._settings = settings
        self._kind = kind
        self._path = _folder(settings.data_dir, kind) / f"{os.getpid()}.json"
        self._lock = FileLock(self._path)

    def enter(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock.try_acquire()
        self._path.write_text(json.dumps(asdict(self._note())))

    def leave(self) -> None:
        self._path.unlink(missing_ok=True)
        self._lock.release()

    def _note(self) -> RunningApp | RunningWorker:
        if self._kind == "workers":
            return RunningWorker(os.getpid(), time.time())
        return RunningApp(os.getpid(), self._settings.host, self._settings.port, time.time())


def list_running(data_dir: Path) -> list[RunningApp]:
    """The apps on `data_dir`, longest running first; notes that dead ones left are swept away."""
    return _list(_folder(data_dir, "apps"), RunningApp)


def list_workers(data_dir: Path) -> list[RunningWorker]:
    """The same for the workers."""
    return _list(_folder(data_dir, "workers"), RunningWorker)


def _list(folder: Path, kind: type[Note]) -> list[Note]:
    found = [one for note in sorted(folder.glob("*.json")) if (one := _living(note, kind)) is not None]
    return sorted(found, key=lambda one: one.started_at)


def _living(note: Path, kind: type[Note]) -> Note | None:
    if note.stem == str(os.getpid()):
        return _read(note, kind)
    lock = FileLock(note)
    try:
        if not lock.try_acquire():
            return _read(note, kind)
        note.unlink(missing_ok=True)
    except FileNotFoundError:
        return None
    finally:
        lock.release()
    return None


def _read(note: Path, kind: type[Note]) -> Note | None:
    try:
        return kind(**json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _folder(data_dir: Path, kind: Kind) -> Path:
    return data_dir / kind
