"""API keys at rest: encrypted with a key that lies beside the database, in a file only this user can read.

A ciphertext names the address its key is for and opens for no other, so that whoever changes a stored address
gets no key along with it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from chatplay.errors import ConfigError


class KeyBox:
    """Locks and opens keys. The file is made with the first key; processes that start together agree on one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fernet: Fernet | None = None

    def lock(self, api_key: str, *, base_url: str) -> bytes:
        """The ciphertext to store. Raises ConfigError when the file can't be made or read."""
        return self._opened(make=True).encrypt(json.dumps({"for": base_url, "key": api_key}).encode())

    def find_key(self, ciphertext: bytes, *, base_url: str) -> str | None:
        """The key; None when it was locked for another address or with another file, or the file is gone."""
        with suppress(InvalidToken, ConfigError, ValueError, KeyError):
            held = json.loads(self._opened(make=False).decrypt(ciphertext))
            return str(held["key"]) if held["for"] == base_url else None
        return None

    def _opened(self, *, make: bool) -> Fernet:
        if self._fernet is None:
            try:
                self._fernet = Fernet(self._read_or_make() if make else self._path.read_bytes())
            except (OSError, ValueError):
                raise ConfigError(
                    f"The file {self._path.name} that unlocks stored API keys cannot be used.",
                    cure=f"Mend the permissions of {self._path.name} in the data folder, or put it back from a backup.",
                ) from None
        return self._fernet

    def _read_or_make(self) -> bytes:
        with suppress(FileNotFoundError):
            return self._path.read_bytes()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        _write(fresh, os.O_TRUNC)
        try:
            self._name(fresh)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        _keep_names_of(self._path.parent)
        return self._path.read_bytes()

    def _name(self, fresh: Path) -> None:
        try:
            os.link(fresh, self._path)  # whole or not at all, and never over another's
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            _write(self._path, os.O_EXCL)


def _write(path: Path, flag: int) -> None:
    """A new key in a file for its owner alone, on the disk when this returns."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600), "wb") as file:
        file.write(Fernet.generate_key())
        file.flush()
        os.fsync(file.fileno())


def _keep_names_of(folder: Path) -> None:
    # A file survives a power cut only with its name, and that is in the folder.
    with suppress(OSError):  # systems where a folder can't be opened keep names by themselves
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
