"""A real llama-server with a tiny model, one for all live tests."""

import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.tiny_gguf import build

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
    model = build(Path(tempfile.gettempdir()) / f"chatplay-tests-{os.getuid()}" / "tiny-1.gguf")
    command = [sys.executable, "-m", "tests.live.llama_server", str(model)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        impatient = threading.Timer(60, process.kill)
        impatient.start()
        try:
            yield LlamaServer(_address(process))
        finally:
            impatient.cancel()
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
