"""Commands that need the database itself: back up, restore, set-up link."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from chatplay.auth.passwords import Passwords
from chatplay.auth.setup import SetUp, make_link
from chatplay.settings import Settings
from chatplay.store import Store
from db import backup as backups
from db.embedded import EmbeddedPostgres
from db.engine import make_engine, migrate


@contextmanager
def reachable_database(settings: Settings) -> Iterator[str]:
    """The database's URL; the embedded server is joined, or started and stopped again around the block.

    Raises DatabaseError with the cure.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    server = EmbeddedPostgres(settings.data_dir, bin_dir=settings.pg_bin_dir, progress=print)
    try:
        yield server.start()
    finally:
        server.stop()


def backup(settings: Settings, file: Path) -> int:
    """Write the backup and say how large it became."""
    with reachable_database(settings) as url:
        done = backups.backup(url, file)
    print(
        f"Backed up to {done.file} ({done.size_bytes / 1000:,.0f} kB). `make restore FILE={done.file}` brings it back."
    )
    return 0


def restore(settings: Settings, file: Path, *, replace: bool) -> int:
    """Bring the backup back; refuses to replace data unless asked to."""
    with reachable_database(settings) as url:
        backups.restore(url, file, replace=replace)
    print(f"Restored from {file}. Start again with `make run`.")
    return 0


class _NoHasher:
    """A link needs no password, and the real hasher takes a second to load."""

    def hash(self, password: str) -> str:
        raise NotImplementedError

    def check_pw(self, password: str, hashed_password: str) -> bool:
        raise NotImplementedError


def set_up_link(settings: Settings) -> int:
    """Print a fresh link; the ones before stop working."""
    with reachable_database(settings) as url:
        engine = make_engine(url, pool_size=1, application_name="chatplay-cli")
        try:
            migrate(engine)
            set_up = SetUp(store=Store(engine), passwords=Passwords(_NoHasher()), clock=lambda: datetime.now(UTC))
            print(make_link(set_up, settings))
        finally:
            engine.dispose()
    return 0
