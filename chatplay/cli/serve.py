"""Start the app in this terminal, and stop it from another."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time

import psutil

from chatplay.errors import ConfigError
from chatplay.presence import list_running, list_workers
from chatplay.settings import ROOT, Settings, serving_environment
from db.embedded import EmbeddedPostgres

_LONGEST_GOODBYE_SEC = 30.0


def run(settings: Settings) -> int:
    """Hand this process over to Streamlit with app.py, so that signals reach it directly.

    Raises ConfigError when the port is taken or the address is none of this machine.
    """
    _refuse_taken_port(settings)
    print("Starting Chat Playground", flush=True)
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
    environment = serving_environment(settings, os.environ)
    os.chdir(ROOT)
    if os.name == "posix":
        os.execve(sys.executable, command, environment)
    return subprocess.call(command, env=environment)


def _refuse_taken_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except PermissionError:
            raise ConfigError(
                f"Port {settings.port} may not be used by this user.", cure="Choose one above 1023: make run PORT=8501."
            ) from None
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise _no_address_of_ours(settings) from None
            raise ConfigError(_taken(settings, error), cure=_cure_for_port(settings)) from None


def _no_address_of_ours(settings: Settings) -> ConfigError:
    return ConfigError(
        f"HOST is {settings.host}, which is no address of this machine.",
        cure="Some shells and compilers set HOST for themselves: `unset HOST`, or start with make run HOST=127.0.0.1 "
        "(0.0.0.0 lets other machines in).",
    )


def _taken(settings: Settings, error: OSError) -> str:
    ours = [app for app in list_running(settings.data_dir) if app.port == settings.port]
    if ours:
        return f"Chat Playground already runs at {ours[0].url} (process {ours[0].pid})."
    return f"{settings.host}:{settings.port} cannot be listened on ({error.strerror})."


def _cure_for_port(settings: Settings) -> str:
    return f"Open that one, stop it (`make down`), or choose another port: make run PORT={settings.port + 1}."


def down(settings: Settings) -> int:
    """Stop every app and worker on the data folder, then the embedded server if one was left behind. 1 when that one
    goes on for somebody else.
    """
    workers, apps = list_workers(settings.data_dir), list_running(settings.data_dir)
    for worker in workers:
        print(f"Stopping the worker (process {worker.pid})", flush=True)
        _end(worker.pid)
    for app in apps:
        print(f"Stopping the app at {app.url} (process {app.pid})", flush=True)
        _end(app.pid)
    stopped = False
    if settings.database_url is None and sys.platform != "win32":
        embedded = EmbeddedPostgres(settings.data_dir, bin_dir=settings.pg_bin_dir)
        stopped = embedded.stop()
        if embedded.running():
            print("The database goes on, as another command is using it: wait for that one to end, then repeat.")
            return 1
    if stopped:
        print("Stopped a database server that was left behind")
    print("Everything is stopped" if workers or apps or stopped else "Nothing was running")
    return 0


def _end(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _LONGEST_GOODBYE_SEC
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            print(f"It does not end; killing process {pid}. Nothing stored is lost.")
            process.kill()
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise ConfigError(f"Process {pid} belongs to another user.", cure="Stop it as that user.") from None
