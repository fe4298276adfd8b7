"""Write the database into one file and bring it back, on the embedded server or any other.

The file is pg_dump's custom format. A restore is one transaction: either all of it is there afterwards, or nothing
has changed.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from db.binaries import find_client
from db.engine import alembic_config, explain, make_engine, migrate, psycopg_url
from db.errors import DatabaseError

_LIMIT_SEC = 6 * 3600
_UNCHANGED = "The database is as it was."
_NOTHING_LOST = "The database was only read, and older backups are untouched."

# Everything of ours in `public`, without touching the schema itself, which belongs to somebody else before version 15.
# All names are written down before the first is dropped: what CASCADE takes along has no name any more.
_EMPTY_PUBLIC = """
DO $$ DECLARE command text; BEGIN
  FOREACH command IN ARRAY ARRAY(SELECT format('DROP %s IF EXISTS %s CASCADE',
      CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
      c.oid::regclass)
    FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('e', 'a', 'i')))
    LOOP EXECUTE command; END LOOP;
  FOREACH command IN ARRAY ARRAY(SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure)
    FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype IN ('e', 'i')))
    LOOP EXECUTE command; END LOOP;
  FOREACH command IN ARRAY ARRAY(SELECT format('DROP TYPE IF EXISTS %s CASCADE', t.oid::regtype)
    FROM pg_type t WHERE typnamespace = 'public'::regnamespace
      AND (typtype IN ('e', 'd', 'r') OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype IN ('e', 'i')))
    LOOP EXECUTE command; END LOOP;
END $$;
"""

_REFUSE_NEWER = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM public.alembic_version WHERE version_num IN ({known})) THEN
    RAISE EXCEPTION 'the backup was made by a newer version of Chat Playground';
  END IF;
END $$;
"""


class BackupError(DatabaseError):
    """A backup or restore did not happen; the database is as it was."""


@dataclass(frozen=True)
class Backup:
    """A finished file."""

    file: Path
    size_bytes: int


def backup(url: str, file: Path) -> Backup:
    """Write the database at `url` to `file`, which appears only when it is whole. The app may keep running."""
    with _reaching(url) as conn:
        major = _major(conn)
    half_done = file.with_name(f"{file.name}.part")
    command = [_client("pg_dump", major), "--format=custom", "--no-owner", "--no-privileges", "--file", str(half_done)]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        half_done.touch(mode=0o600)
        with _environment(url) as env:
            _run(
                [*command, "--dbname", _without_password(url)], env, failed="No backup was written", cure=_NOTHING_LOST
            )
        half_done.replace(file)
    except OSError as error:
        raise BackupError(f"{file} cannot be written ({error.strerror}).", cure="Name another file.") from None
    finally:
        half_done.unlink(missing_ok=True)
    return Backup(file, file.stat().st_size)


def restore(url: str, file: Path, *, replace: bool = False) -> None:
    """Bring `file` back into the database at `url` and migrate it to this code's tables.

    Raises BackupError when the database holds tables and `replace` is False, while the app uses it, or when the
    file is no backup or was made by newer code.
    """
    with _reaching(url) as conn:
        _refuse_unless(replace, conn)
        major = _major(conn)
    # Programs of version 18 read every older file and talk to every older server.
    pg_restore, psql = _client("pg_restore", max(major, 18), or_else=major), _client("psql", major)
    script = [pg_restore, "--no-owner", "--no-privileges", "--file=-", str(file)]
    target = [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "--dbname", _without_password(url)]
    with _environment(url) as env:
        _run([pg_restore, "--list", str(file)], env, failed=f"{file} cannot be restored", cure=_UNCHANGED)
        _pipe(script, target, env)
    engine = make_engine(url, pool_size=1)
    try:
        migrate(engine)
    finally:
        engine.dispose()


def _pipe(script: list[str], target: list[str], env: dict[str, str]) -> None:
    """Run `script`'s SQL through `target`, after emptying the schema and before checking the revision."""
    source = subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    sink = subprocess.Popen(target, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    assert source.stdout is not None
    assert source.stderr is not None
    assert sink.stdin is not None
    complete = False
    try:
        sink.stdin.write(_EMPTY_PUBLIC.encode())
        for line in _understood(iter(source.stdout.readline, b"")):
            sink.stdin.write(line)
        said = source.stderr.read()
        complete = source.wait(timeout=60) == 0
        # Half a script must not be committed: an error at its end takes all of it back.
        sink.stdin.write((_refuse_newer() if complete else "SELECT 1/0;").encode())
    except BrokenPipeError:
        said = b""
    finally:
        source.kill()
        _, answer = sink.communicate(timeout=_LIMIT_SEC)
        source.communicate()
    if sink.returncode != 0 or not complete:
        words = (answer if complete or not said else said).decode(errors="replace")
        raise _failed("The restore was taken back", words, cure=_UNCHANGED)


def _understood(lines: Iterator[bytes]) -> Iterator[bytes]:
    """`lines` without the one setting that servers before version 17 do not know; rows of data pass untouched."""
    in_head = True
    for line in lines:
        in_head = in_head and not line.startswith(b"CREATE ")
        if not (in_head and line.startswith(b"SET transaction_timeout")):
            yield line


def _refuse_newer() -> str:
    script = ScriptDirectory.from_config(alembic_config())
    known = ", ".join(f"'{revision.revision}'" for revision in script.walk_revisions())
    return _REFUSE_NEWER.format(known=known)


def _refuse_unless(replace: bool, conn: Connection) -> None:
    busy = conn.scalar(
        text(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chatplay'"
            " AND datname = current_database() AND pid <> pg_backend_pid()"
        )
    )
    if busy:
        raise BackupError(
            "The app or a worker is using the database.",
            cure="Stop it with `make down`, on each machine where one runs, and restore again.",
        )
    if inspect(conn).get_table_names() and not replace:
        raise BackupError(
            "The database holds data that a restore would replace.",
            cure="Back it up first, then repeat with --replace (`make restore FILE=... REPLACE=1`).",
        )


@contextmanager
def _reaching(url: str) -> Iterator[Connection]:
    engine = create_engine(
        psycopg_url(url), connect_args={"connect_timeout": 10, "application_name": "chatplay-backup"}
    )
    try:
        with engine.connect() as conn:
            yield conn
    except OperationalError as error:
        raise explain(error) from None
    finally:
        engine.dispose()


def _major(conn: Connection) -> int:
    return int(str(conn.scalar(text("SHOW server_version_num")))) // 10_000


def _client(name: str, major: int, *, or_else: int | None = None) -> str:
    found = find_client(name, at_least=major) or (or_else and find_client(name, at_least=or_else))
    if not found:
        raise BackupError(
            f"The server is PostgreSQL {major}, and no `{name}` of that version is here.",
            cure=f"Install PostgreSQL {major}'s client programs (Debian: postgresql-client-{major}).",
        )
    return str(found)


_SECRETS = ("password", "sslpassword")


def _without_password(url: str) -> str:
    # Command lines are visible to everybody on the machine; what is secret goes through the environment.
    bare = psycopg_url(url).set(drivername="postgresql")._replace(password=None)  # set() takes None for "as it is"
    return bare.difference_update_query(_SECRETS).render_as_string(hide_password=False)


@contextmanager
def _environment(url: str) -> Iterator[dict[str, str]]:
    """What the programs are run with."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    own = {"LC_ALL": "C", "PGOPTIONS": "-c client_min_messages=warning"}
    secrets = {name: values[-1] for name, values in psycopg_url(url).normalized_query.items() if name in _SECRETS}
    if password := secrets.get("password", psycopg_url(url).password):
        own["PGPASSWORD"] = password
    with tempfile.TemporaryDirectory() as folder:
        if key_password := secrets.get("sslpassword"):
            # libpq has no variable for this one, but reads it from a file of its owner's that a variable names.
            service = Path(folder) / "service.conf"
            service.write_text(f"[chatplay]\nsslpassword={key_password}\n")
            own |= {"PGSERVICEFILE": str(service), "PGSERVICE": "chatplay"}
        yield inherited | own


def _run(command: list[str], env: dict[str, str], *, failed: str, cure: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=_LIMIT_SEC)
    if done.returncode != 0:
        raise _failed(failed, done.stderr, cure=cure)


def _failed(what: str, said: str, *, cure: str) -> BackupError:
    lines = [line for line in said.splitlines() if "rror" in line or "ERROR" in line] or said.splitlines()
    reason = lines[0].split("error: ", 1)[-1].rstrip(".") if lines else "the program said nothing"
    full = "No space left" in said
    return BackupError(f"{what}: {reason}.", cure=f"Free some disk space. {cure}" if full else cure)
