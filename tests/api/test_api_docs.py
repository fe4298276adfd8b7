"""Every snippet of docs/api.md does what it says, run as a reader would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import playwright
import pytest

from chatplay.settings import ROOT

TEXT = (ROOT / "docs" / "api.md").read_text()
SNIPPETS = [(kind, code) for kind, code in re.findall(r"```(sh|python|js)\n(.*?)```", TEXT, re.DOTALL)]
SAYS = {"What is Python?": "You said: What is Python?", '"Hello"': "You said: Hello", '"Hi"': "You said: Hi"}


def command(kind, code, tmp_path):
    if kind == "sh":
        return ["sh", "-eu", "-c", code]
    if kind == "python":
        return [sys.executable, "-W", "error", "-c", code]
    node = Path(playwright.__file__).with_name("driver") / "node"  # comes with the package, whatever the machine has
    (tmp_path / "snippet.mjs").write_text(code)
    return [str(node), str(tmp_path / "snippet.mjs")]


@pytest.mark.parametrize("number", range(len(SNIPPETS)), ids=[f"{n}-{kind}" for n, (kind, _) in enumerate(SNIPPETS)])
def test_snippet_runs(number, own_house, tmp_path):
    kind, code = SNIPPETS[number]
    guest = own_house.add_guest(f"reader{number}")
    own = {"BASE": own_house.url, "TOKEN": guest.token, "ADMIN_TOKEN": own_house.ada.token}
    environment = {**os.environ, **own, "NO_PROXY": "*"}
    done = subprocess.run(command(kind, code, tmp_path), env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for asked, said in SAYS.items():
        assert asked not in code or said in done.stdout, done.stdout


def test_all_three_languages_are_shown():
    assert {kind for kind, _ in SNIPPETS} == {"sh", "python", "js"}


@pytest.mark.parametrize(
    "path", ["/v1/chat/sessions", "/admin/usage", "/v1/chat/completions", "/ws/chat/{session_id}/"]
)
def test_addresses_are_told(path):
    assert path in TEXT
