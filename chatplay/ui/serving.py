"""Makes plain `streamlit run app.py` listen where HOST and PORT say, and Streamlit know where its pages are.

Streamlit takes its port before it imports app.py, and does not know HOST, PORT or `.env`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamlit import config

from chatplay.errors import ConfigError
from chatplay.settings import Settings, load_settings, serving_environment

Exec = Callable[[str, list[str], dict[str, str]], Any]


def listen_as_configured(
    app_file: Path,
    *,
    read_settings: Callable[[], Settings] = load_settings,
    environ: MutableMapping[str, str] = os.environ,
    execute: Exec = os.execve,
) -> None:
    """Call while app.py is imported as the server: starts the process over when it listens elsewhere than asked.

    Streamlit's own flags and STREAMLIT_SERVER_* variables win: nothing is started over, and HOST and PORT in `environ`
    follow them, so that links, `make status` and `make down` are right.
    """
    if _chosen_for_streamlit("server.port") or _chosen_for_streamlit("server.address"):
        environ["HOST"] = config.get_option("server.address") or "0.0.0.0"
        environ["PORT"] = str(config.get_option("server.port"))
        return
    try:
        settings = read_settings()
    except ConfigError:  # said, with its cure, when the services start
        return
    if (config.get_option("server.address"), config.get_option("server.port")) == (settings.host, settings.port):
        return
    # Python opens sockets close-on-exec, so the port taken first is free again.
    command = [sys.executable, "-m", "streamlit", "run", str(app_file)]
    execute(sys.executable, command, serving_environment(settings, environ))


def know_the_public_address(read_settings: Callable[[], Settings] = load_settings) -> None:
    """Lets pages in that come from PUBLIC_URL, also where the proxy does not pass their host on.

    Streamlit would ask a service in the internet for its own address before it looked at `server.corsAllowedOrigins`.
    """
    try:
        public_url = read_settings().public_url
    except ConfigError:  # said, with its cure, when the services start
        return
    if public_url and not _chosen_for_streamlit("browser.serverAddress"):
        config.set_option("browser.serverAddress", urlsplit(public_url).hostname)


def _chosen_for_streamlit(option: str) -> bool:
    where = config.get_where_defined(option)
    return "environment variable" in where or "command-line" in where
