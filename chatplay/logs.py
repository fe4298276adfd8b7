"""The app's own log: a rotated file in the data folder, one per port or worker, beside what the terminal shows."""

from __future__ import annotations

import logging
import os
import time
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from chatplay.errors import ConfigError
from chatplay.presence import list_workers
from chatplay.providers.masking import masked
from chatplay.settings import Settings

_LOG_BYTES, _LOG_FILES = 10_000_000, 5
_ENDED_WORKERS = 3  # of the last ones the logs are kept
_CHATTER = (
    "streamlit.runtime.caching.cache_data_api",
    "streamlit.runtime.scriptrunner_utils.script_run_context",
)


_hidden: list[str] = []  # the longest first: one key may begin like another


def keep_out_of_logs(*secrets: str) -> None:
    """From now on these are masked in every line, tracebacks and other packages' lines included."""
    _hidden[:] = sorted({*_hidden, *secrets}, key=len, reverse=True)


class _OwnFile(RotatingFileHandler):
    """Each file, those that the rotation opens as well, is for this user alone."""

    def _open(self) -> TextIOWrapper:
        os.close(os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT, 0o600))
        os.chmod(self.baseFilename, 0o600)
        return super()._open()


def log_dir(settings: Settings) -> Path:
    """Where the app's own logs are."""
    return settings.data_dir / "logs"


def log_files(settings: Settings) -> list[Path]:
    """Those that are written to now or were last, the apps' first."""
    folder = log_dir(settings)
    return [*sorted(folder.glob("app-*.log")), *sorted(folder.glob("worker-*.log"), key=_written_at)]


def configure_worker_logging(settings: Settings) -> Path:
    """As `configure_logging`, with a file for this process alone: two that rotate one file lose lines."""
    path = configure_logging(settings, name=f"worker-{os.getpid()}")
    _drop_old_worker_logs(settings)
    return path


def _drop_old_worker_logs(settings: Settings) -> None:
    living = {f"worker-{worker.pid}.log" for worker in list_workers(settings.data_dir)} | {f"worker-{os.getpid()}.log"}
    ended = [path for path in log_dir(settings).glob("worker-*.log") if path.name not in living]
    for old in sorted(ended, key=_written_at)[:-_ENDED_WORKERS]:
        for path in log_dir(settings).glob(f"{old.name}*"):
            path.unlink(missing_ok=True)


def _written_at(path: Path) -> float:
    return path.stat().st_mtime


def configure_logging(settings: Settings, *, name: str | None = None) -> Path:
    """Let everything that is logged go to a rotated file too, one per port unless it has another `name`; returns it.
    Safe to call again.

    Raises ConfigError when the folder cannot be written.
    """
    path = log_dir(settings) / f"{name or f'app-{settings.port}'}.log"
    root = logging.getLogger()
    if any(getattr(handler, "baseFilename", None) == str(path) for handler in root.handlers):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _OwnFile(path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"The log {path} cannot be written ({error.strerror}).",
            cure="Give this user the folder, or set CHATPLAY_DATA_DIR to another.",
        ) from None
    handler.setFormatter(_utc_formatter())
    root.addHandler(handler)
    root.setLevel(settings.log_level)
    # Each check of a model server is a request: told one by one, they would be nearly all of the log.
    logging.getLogger("httpx2").setLevel(logging.DEBUG if settings.log_level == "DEBUG" else logging.WARNING)
    _show_troubles_in_the_terminal()
    _let_the_server_in(handler)
    return path


def _show_troubles_in_the_terminal() -> None:
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(_utc_formatter())
    for name in ("chatplay", "db"):
        logging.getLogger(name).addHandler(terminal)


def _let_the_server_in(file: logging.Handler) -> None:
    # Streamlit's loggers print to the terminal and pass nothing on: a page's traceback would be in no file.
    for name in logging.root.manager.loggerDict:
        if name.split(".")[0] == "streamlit":
            logging.getLogger(name).propagate = True
    # Not uvicorn's access log: addresses may hold one-time tickets.
    logging.getLogger("uvicorn.error").addHandler(file)


def hush_import_chatter() -> None:
    """Call before packages that touch st.* while they are imported."""
    for name in _CHATTER:  # a filter, because Streamlit sets its loggers' levels when it is itself imported
        logging.getLogger(name).addFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


class _Formatter(logging.Formatter):
    """Without any key."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record), tuple(_hidden))


def _utc_formatter() -> logging.Formatter:
    formatter = _Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    return formatter
