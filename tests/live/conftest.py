"""A real llama-server with a tiny model, one of each for all live tests."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live import counting_gguf, tiny_gguf

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class LlamaServer:
    """`base_url` ends in /v1; `root_url` is the server's own."""

    root_url: str

    @property
    def base_url(self):
        return f"{self.root_url}/v1"


@pytest.fixture(scope="session")
def llama_server():
    """Speaks, with a vocabulary of a few words."""
    with serving(tiny_gguf.build(_folder() / "tiny-1.gguf")) as server:
        yield server


@pytest.fixture(scope="session")
def counting_server():
    """Counts tokens as real models do, and says nothing of sense."""
    with serving(counting_gguf.build(_folder() / "counting-1.gguf")) as server:
        yield server


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"chatplay-tests-{os.getuid()}"


@contextmanager
def serving(model: Path) -> Iterator[LlamaServer]:
    """llama-server with this model, until the end of the block."""
    command = [sys.executable, "-m", "tests.live.llama_server", str(model)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        impatient = threading.Timer(60, process.kill)
        impatient.start()
        try:
            address = _address(process)
        finally:
            impatient.cancel()  # it is for the start: tests may take their time
        try:
            yield LlamaServer(address)
        finally:
            process.stdin.close()
            _end(process)


def _address(process):
    for line in process.stdout:
        if line.startswith("address "):
            return line.split()[1]
    raise AssertionError("llama-server did not start")


def _end(process):
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
