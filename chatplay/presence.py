"""Which apps run on a data folder: each holds a locked note there, and the kernel drops the lock when it dies."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

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


class Presence:
    """This process's note; `enter` when it starts to serve, `leave` when it ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = _folder(settings.data_dir) / f"{os.getpid()}.json"
        self._lock = FileLock(self._path)

    def enter(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock.try_acquire()
        app = RunningApp(os.getpid(), self._settings.host, self._settings.port, time.time())
        self._path.write_text(json.dumps(asdict(app)))

    def leave(self) -> None:
        self._path.unlink(missing_ok=True)
        self._lock.release()


def list_running(data_dir: Path) -> list[RunningApp]:
    """The apps on `data_dir`, longest running first; notes that dead ones left are swept away."""
    notes = sorted(_folder(data_dir).glob("*.json"))
    apps = [app for note in notes if (app := _living(note)) is not None]
    return sorted(apps, key=lambda app: app.started_at)


def _living(note: Path) -> RunningApp | None:
    if note.stem == str(os.getpid()):
        return _read(note)
    lock = FileLock(note)
    try:
        if not lock.try_acquire():
            return _read(note)
        note.unlink(missing_ok=True)
    except FileNotFoundError:
        return None
    finally:
        lock.release()
    return None


def _read(note: Path) -> RunningApp | None:
    try:
        return RunningApp(**json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _folder(data_dir: Path) -> Path:
    return data_dir / "apps"
