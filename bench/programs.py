"""The programs under measurement: how each is started, entered and stopped, and what it uses of the machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench import ours

ROOT = Path(__file__).parents[1]
START_TIMEOUT_SEC = 120
BASELINE_FLAGS = ("--server.headless=true", "--browser.gatherUsageStats=false", "--server.fileWatcherType=none")
CURE_FLAGS = ("--runner.postScriptGC=false", "--server.enableWebsocketCompression=true")


@dataclass(frozen=True)
class App:
    """One program: `command(port)` starts it in `folder`, `visitors` says how people come in."""

    name: str
    command: Callable[[int], list[str]]
    folder: Path
    visitors: Callable[[Path, str, int, int], list[ours.Visitor]]
    env: Callable[[Path, int], dict[str, str]] = lambda data_dir, port: {}


def _baseline(name: str, *flags: str) -> App:
    def command(port: int) -> list[str]:
        address = (f"--server.port={port}", "--server.address=127.0.0.1")
        return [sys.executable, "-m", "streamlit", "run", f"{name}.py", *address, *BASELINE_FLAGS, *flags]

    def visitors(data_dir: Path, base_url: str, count: int, history: int) -> list[ours.Visitor]:
        return [ours.Visitor(query=f"history={history}" if history else "")] * count

    return App(name=name, command=command, folder=ROOT / "bench" / "apps", visitors=visitors)


APPS = {
    "tutorial": _baseline("tutorial"),
    "cured": _baseline("cured", *CURE_FLAGS),
    "ours": App(name="ours", command=ours.command, folder=ROOT, visitors=ours.visitors, env=ours.env),
}


@dataclass(frozen=True)
class Usage:
    """What a program has used since it started; Postgres is left out. `cpu_ms` is user + system time."""

    cpu_ms: float
    rss_mb: float


@dataclass
class Program:
    """A started program with its counting proxy; `base_url` leads through the proxy."""

    app: App
    pid: int
    base_url: str
    data_dir: Path
    own_url: str = ""  # past the proxy
    processes: list[psutil.Process] = field(default_factory=list)

    def visitors(self, count: int = 1, history: int = 0) -> list[ours.Visitor]:
        return self.app.visitors(self.data_dir, self.base_url, count, history)

    def bytes_down(self) -> int:
        """Bytes that crossed the wire of this program's WebSockets towards browsers so far."""
        return int(get_json(f"{self.base_url}/__bytes")["down"])

    def usage(self) -> Usage:
        self.processes = self.processes or own_processes(self.pid)
        cpu_sec, rss = 0.0, 0
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                cpu_sec += times.user + times.system
                rss += process.memory_info().rss
        return Usage(cpu_ms=cpu_sec * 1000, rss_mb=rss / 1e6)


def own_processes(pid: int) -> list[psutil.Process]:
    """The program's process and its children, without a database server among them."""
    root = psutil.Process(pid)
    children = [p for p in root.children(recursive=True) if not p.name().startswith("post")]
    return [root, *children]


def get_json(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=20) as response:
        return json.load(response)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def upstream() -> Iterator[str]:
    """The mock upstream as a process of its own; yields its address."""
    port = free_port()
    with _process([sys.executable, "-m", "bench.upstream", "--port", str(port)], ROOT, _environment()):
        _wait_for(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def started(app: App, upstream_url: str) -> Iterator[Program]:
    """The program and its proxy, ready to be visited; both are stopped at the end."""
    port, proxy_port = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True))
        Path(folder).chmod(0o755)  # the database has a user of its own where the bench runs as root
        data_dir = Path(folder)
        env = {**_environment(), "OPENAI_BASE_URL": f"{upstream_url}/v1", **app.env(data_dir, port)}
        process = stack.enter_context(_process(app.command(port), app.folder, env, log=data_dir / "bench.log"))
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, data_dir / "bench.log")
        proxy = [sys.executable, "-m", "bench.proxy", "--port", str(proxy_port), "--app-port", str(port)]
        stack.enter_context(_process(proxy, ROOT, _environment()))
        _wait_for(f"http://127.0.0.1:{proxy_port}/__bytes")
        own_url, base_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{proxy_port}"
        yield Program(app=app, pid=process.pid, base_url=base_url, data_dir=data_dir, own_url=own_url)


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("STREAMLIT_") and "proxy" not in k.lower()}
    return {**kept, "NO_PROXY": "*", "OPENAI_API_KEY": "x", "OPENAI_CHAT_MODEL": "bench", "USE_OPENAI": "1"}


@contextlib.contextmanager
def _process(
    command: list[str], folder: Path, env: dict[str, str], log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _wait_for(url: str, process: subprocess.Popen[bytes] | None = None, log: Path | None = None) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SEC
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.1)
    tail = log.read_text(errors="replace")[-2000:] if log else ""
    raise RuntimeError(f"{url} did not answer. The program's last words:\n{tail}")
