"""Look from outside: what runs, what is stored, what the logs say."""

from __future__ import annotations

import select
import sys
import time
from collections import deque
from contextlib import ExitStack
from pathlib import Path

from chatplay.cli.probes import get
from chatplay.cli.servers import check_servers
from chatplay.logs import log_files as own_log_files
from chatplay.presence import list_running, list_workers
from chatplay.settings import Settings, read_environment
from chatplay.store import Store
from db.embedded import EmbeddedPostgres
from db.engine import is_known_revision, make_engine, newest_revision
from db.errors import DatabaseError
from db.overview import Overview, get_overview

_MARKS = {"ok": "", "warn": "look: ", "fail": "not well: "}


def status(settings: Settings) -> int:
    """One line for each part and each model server. 0 when app and database both answer, else 1."""
    app_up = _show_apps(settings)
    for worker in list_workers(settings.data_dir):
        print(f"Worker     process {worker.pid}, up {_up(time.time() - worker.started_at)}")
    with ExitStack() as undo:
        store = _show_database(settings, undo)
        for finding in check_servers(settings, store, environ=read_environment()):
            print(f"Models     {_MARKS[finding.grade]}{finding.text}")
    print(f"Data       {settings.data_dir}")
    return 0 if app_up and store is not None else 1


def _show_apps(settings: Settings) -> bool:
    """True when an app runs and every one that does answers."""
    apps, well = list_running(settings.data_dir), True
    for app in apps:
        answer = get(f"{app.url}/_stcore/health")
        state = "answers" if answer.status == 200 else f"does not answer ({answer.problem}); look with `make logs`"
        well = well and answer.status == 200
        print(f"App        {app.url} {state}, process {app.pid}, up {_up(time.time() - app.started_at)}")
    if not apps:
        print("App        not running; `make run` starts it")
    return bool(apps) and well


def _up(seconds: float) -> str:
    """`12 s`, `5 min`, `3.2 h`."""
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _show_database(settings: Settings, undo: ExitStack) -> Store | None:
    """The store of a database that answers; `undo` closes it."""
    url = settings.database_url or _embedded(settings).url()
    if url is None:
        print("Database   embedded, not running; `make run` starts it")
        return None
    engine = make_engine(url, pool_size=1, application_name="chatplay-cli")
    undo.callback(engine.dispose)
    try:
        seen = get_overview(engine)
    except DatabaseError as error:
        print(f"Database   {error}")
        return None
    print(f"Database   {'your own' if settings.database_url else 'embedded'}, PostgreSQL {seen.server_version}")
    print(f"Revision   {_revision(seen)}")
    if seen.chats is not None:
        print(f"Stored     {_stored(seen)}")
    return Store(engine)


def _stored(seen: Overview) -> str:
    counted = [(seen.chats, "chat", "chats"), (seen.messages, "message", "messages"), (seen.people, "person", "people")]
    parts = [f"{number or 0:,} {one if number == 1 else many}" for number, one, many in counted]
    return ", ".join([*parts, f"{(seen.size_bytes or 0) / 1e6:,.0f} MB"])


def _revision(seen: Overview) -> str:
    newest = newest_revision()
    if seen.revision == newest:
        return f"{seen.revision} (newest)"
    if not is_known_revision(seen.revision):
        return f"{seen.revision}, of a newer version of this app, which cannot be used here: update the app"
    return f"{seen.revision or 'none yet'}; the next start brings it to {newest}"


def _embedded(settings: Settings) -> EmbeddedPostgres:
    return EmbeddedPostgres(settings.data_dir, bin_dir=settings.pg_bin_dir)


def logs(settings: Settings, *, lines: int, follow: bool) -> int:
    """The end of every log, and what is added to it until Ctrl-C; files that appear or rotate meanwhile are found."""
    files = log_files(settings)
    for file in files:
        print(f"==> {file}")
        with file.open(errors="replace") as stream:
            print("".join(deque(stream, maxlen=lines)), end="", flush=True)
    if not files:
        print("There are no logs yet; `make run` starts the app.")
    places = {file: file.stat().st_size for file in files}
    while follow and not _nobody_reads():
        time.sleep(0.5)
        for file in log_files(settings):
            places[file] = _print_new(file, places.get(file, 0))
    return 0


def _nobody_reads() -> bool:
    """True once the program our output is piped into has ended, though there may be nothing to write yet."""
    if not hasattr(select, "poll"):
        return False
    watched = select.poll()
    try:
        watched.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):  # no real file
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watched.poll(0))


def log_files(settings: Settings) -> list[Path]:
    """The newest log of the database, then those of apps and workers."""
    try:
        database = _embedded(settings).log_files()[-1:] if settings.database_url is None else []
    except PermissionError:
        print("The database's log belongs to another user.", file=sys.stderr)
        database = []
    return database + own_log_files(settings)


def _print_new(file: Path, place: int) -> int:
    size = file.stat().st_size
    with file.open(errors="replace") as stream:
        stream.seek(place if size >= place else 0)
        sys.stdout.write(stream.read())
        sys.stdout.flush()
        return stream.tell()
