"""Who runs the embedded server, and where that user can reach its files: PostgreSQL refuses to run as root."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from db.errors import EmbeddedError

FALLBACK_PARENT = Path("/var/lib/chatplay")


@dataclass(frozen=True)
class ServerUser:
    """The account root hands the server to."""

    name: str
    uid: int
    gid: int


def find_server_user(cluster: Path | None = None) -> ServerUser | None:
    """None when the server can run as ourselves; for root the owner of `cluster`, else postgres, else nobody.

    Raises EmbeddedError when root finds none of them.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    candidates: list[str | int] = ["postgres", "nobody"]
    if cluster is not None and cluster.is_dir() and cluster.stat().st_uid != 0:
        candidates.insert(0, cluster.stat().st_uid)
    for candidate in candidates:
        try:
            entry = pwd.getpwnam(candidate) if isinstance(candidate, str) else pwd.getpwuid(candidate)
        except KeyError:
            continue
        return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as.",
        cure="Start as an ordinary user, or set DATABASE_URL.",
    )


def can_enter(folder: Path, user: ServerUser | None) -> bool:
    """Whether `user` may pass through every existing folder on the way to and including `folder`."""
    if user is None:
        return True
    path = folder.resolve()
    return all(_passable(place.stat(), user) for place in (path, *path.parents) if place.exists())


def _passable(info: os.stat_result, user: ServerUser) -> bool:
    if info.st_uid == user.uid:
        return bool(info.st_mode & stat.S_IXUSR)
    if info.st_gid == user.gid:
        return bool(info.st_mode & stat.S_IXGRP)
    return bool(info.st_mode & stat.S_IXOTH)


def pick_data_dir(preferred: Path) -> Path:
    """`preferred`, or for root in a closed home a folder below /var/lib/chatplay, always the same one."""
    user = find_server_user()
    if can_enter(preferred.parent, user):
        return preferred
    path = str(preferred.resolve())
    return FALLBACK_PARENT / f"{preferred.parent.name}-{short_hash(path)}"


def short_hash(text: str) -> str:
    """Ten characters that stand for `text` in a name."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]
