"""Commands that need the database itself: back up, restore, set-up link, a way back in."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from chatplay.auth.accounts import AccountService
from chatplay.auth.attempts import Attempts
from chatplay.auth.passwords import Passwords
from chatplay.auth.setup import SetUp, make_link
from chatplay.errors import StoreError
from chatplay.logs import hush_import_chatter
from chatplay.models.assembly import KEY_FILE, keybox_of
from chatplay.models.roster import Entry, Roster
from chatplay.presence import list_running
from chatplay.providers.safety import AddressPolicy
from chatplay.settings import ROOT, Settings, read_environment
from chatplay.store import Store
from db import accounts
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


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """The database with the newest tables. Raises DatabaseError with the cure."""
    with reachable_database(settings) as url:
        engine = make_engine(url, pool_size=1, application_name="chatplay-cli")
        try:
            migrate(engine)
            yield Store(engine)
        finally:
            engine.dispose()


# ---- backups -----------------------------------------------------------------------------------


def backup(settings: Settings, file: Path) -> int:
    """Write the backup, say how large it became and what is not in it."""
    with reachable_database(settings) as url:
        done = backups.backup(url, file)
        locked = _stored_keys(settings, url)
    print(f"Backed up to {done.file} ({done.size_bytes / 1000:,.0f} kB).")
    print(f"`make restore FILE={shlex.quote(str(done.file))}` brings it back.")
    for line in not_in_backup(settings, [entry.upstream.name for entry in locked], ROOT):
        print(line)
    return 0


def not_in_backup(settings: Settings, key_owners: list[str], root: Path) -> list[str]:
    """What a restore on another machine needs besides the backup; `key_owners`: servers with a stored API key."""
    lines = []
    if key_owners:
        lines.append(
            f"  {settings.data_dir / KEY_FILE}  opens the stored API keys of {', '.join(key_owners)}; keep it apart "
            "from the backup: whoever has both has the keys"
        )
    lines += [f"  {file}" for file in (root / ".env", settings.models_file) if file is not None and file.is_file()]
    return ["Not in it, so keep these as well:", *lines] if lines else []


def restore(settings: Settings, file: Path, *, replace: bool) -> int:
    """Bring the backup back; refuses to replace data unless asked to. Says which API keys came back unreadable."""
    with reachable_database(settings) as url:
        backups.restore(url, file, replace=replace)
        locked = _stored_keys(settings, url)
    lost = [entry.upstream.name for entry in locked if entry.key == "stored but unreadable"]
    if lost:
        print(
            f"The stored API keys of {', '.join(lost)} cannot be opened here. Before the next start put the {KEY_FILE} "
            f"that was beside the database of the backup into {settings.data_dir}; without it, type these keys again "
            "on the Models page."
        )
    print(f"Restored from {file}. Start again with `make run`.")
    return 0


def _stored_keys(settings: Settings, url: str) -> list[Entry]:
    """The model servers whose API key is stored in the database; none before the first start."""
    environ = read_environment()
    roster = Roster((), keybox=keybox_of(settings), environ=environ, policy=AddressPolicy())
    engine = make_engine(url, pool_size=1, application_name="chatplay-cli")
    try:
        with Store(engine).reading() as conn:
            return [entry for entry in roster.list_entries(conn) if entry.key in ("stored", "stored but unreadable")]
    except StoreError:
        return []
    finally:
        engine.dispose()


# ---- demo data ---------------------------------------------------------------------------------


def demo(settings: Settings) -> int:
    """Fill in 30 days of made-up usage, the same each time; what was made up before goes first."""
    from db import seed as seeds  # brings numpy, which no other command needs

    with open_store(settings) as store:
        if not _has_people(store):
            print("First create the administrator (`make run` prints the link), then fill in the demo data.")
            return 1
        print("Making up 30 days of usage by 20 people (takes a minute).")
        seeds.clear(store.engine)
        made = seeds.seed(store.engine, seeds.demo_plan(_utc_now()), progress=lambda line: None)
    print(f"{made:,} calls of the organisation {seeds.ORGANISATION} are there: see Metrics, everybody's, and Usage.")
    print("`make demo-clear` takes them out again.")
    return 0


def demo_clear(settings: Settings) -> int:
    """Take everything made up out again."""
    from db import seed as seeds

    with open_store(settings) as store:
        gone = seeds.clear(store.engine)
    print(f"{gone:,} made-up calls are gone.")
    return 0


def _has_people(store: Store) -> bool:
    with store.reading() as conn:
        return accounts.has_users(conn)


# ---- people ------------------------------------------------------------------------------------


def set_up_link(settings: Settings) -> int:
    """Print a fresh link to the app that runs, or will run here; the ones before stop working."""
    running = list_running(settings.data_dir)
    if running:
        settings = settings.model_copy(update={"host": running[0].host, "port": running[0].port})
    with open_store(settings) as store:
        set_up = SetUp(store=store, passwords=Passwords(), clock=_utc_now)
        print(make_link(set_up, settings))
    if not running:
        print("No app runs at the moment; `make run` starts it.")
    return 0


def reset_password(settings: Settings, username: str) -> int:
    """Print a temporary password, once. For the administrator whom nobody else can help."""
    hush_import_chatter()
    with open_store(settings) as store:
        attempts = Attempts(store=store, settings=settings, clock=_utc_now)
        people = AccountService(store=store, passwords=Passwords(), attempts=attempts)
        password = people.rescue(username=username)
    print(
        f"Temporary password of {username}, shown only now:\n\n    {password}\n\n"
        "Every sign-in of this account has ended and locks are lifted. At the next sign-in a new password is chosen."
    )
    return 0


def _utc_now() -> datetime:
    return datetime.now(UTC)
