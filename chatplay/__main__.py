"""`python -m chatplay COMMAND`: run, look after and back up the playground from a terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from chatplay.errors import ChatplayError
from chatplay.settings import env_example, load_settings, settings_table
from db.errors import DatabaseError


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 something is wrong and was said, 2 wrong usage."""
    wanted = _parser().parse_args(argv)
    try:
        code = _run(wanted)
        sys.stdout.flush()
        return code
    except (ChatplayError, DatabaseError) as error:
        print(f"{error.message}\n{error.cure}".strip(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chatplay", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="start the app and its database, and print the link")
    commands.add_parser("status", help="what runs, and what is stored")
    commands.add_parser("worker", help="run experiments here, too; any number of machines may")
    logs = commands.add_parser("logs", help="follow the logs of app and database")
    logs.add_argument("--lines", type=int, default=50, help="how many old lines to begin with (50)")
    logs.add_argument("--no-follow", action="store_true", help="print them and end")
    commands.add_parser("down", help="stop app and workers, then the database")
    commands.add_parser("validate", help="check database, model server, cookies and proxy; each problem with its cure")
    backup = commands.add_parser("backup", help="write the database into FILE; the app may keep running")
    backup.add_argument("file", type=Path)
    restore = commands.add_parser("restore", help="bring FILE back; the app must be stopped")
    restore.add_argument("file", type=Path)
    restore.add_argument("--replace", action="store_true", help="replace what the database holds now")
    commands.add_parser("setup-link", help="print a new link that creates the first administrator")
    reset = commands.add_parser("reset-password", help="print a temporary password for somebody who is locked out")
    reset.add_argument("username")
    commands.add_parser("demo", help="fill in 30 days of made-up usage to look at")
    commands.add_parser("demo-clear", help="take the made-up usage out again")
    table = commands.add_parser("settings-table", help="print every setting as a Markdown table")
    table.add_argument("--env", action="store_true", help="as .env.example instead")
    return parser


def _run(wanted: argparse.Namespace) -> int:
    if wanted.command == "settings-table":
        print(env_example() if wanted.env else settings_table(), end="")
        return 0
    # Each command loads only what it needs: `run` hands over to Streamlit, which loads the rest.
    from chatplay.cli import serve, stored, validate, watch

    settings = load_settings()
    match wanted.command:
        case "run":
            return serve.run(settings)
        case "worker":
            from chatplay.cli import work  # brings all services

            return work.work(settings)
        case "down":
            return serve.down(settings)
        case "status":
            return watch.status(settings)
        case "logs":
            return watch.logs(settings, lines=wanted.lines, follow=not wanted.no_follow)
        case "validate":
            return validate.validate(settings)
        case "backup":
            return stored.backup(settings, wanted.file)
        case "restore":
            return stored.restore(settings, wanted.file, replace=wanted.replace)
        case "demo":
            return stored.demo(settings)
        case "demo-clear":
            return stored.demo_clear(settings)
        case "reset-password":
            return stored.reset_password(settings, wanted.username)
        case _:
            return stored.set_up_link(settings)


if __name__ == "__main__":
    sys.exit(main())
