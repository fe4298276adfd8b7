"""Every snippet of docs/api.md does what it says, run as a reader would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import playwright
import pytest

from chatplay.settings import ROOT
from tests.api.house import held, until
from tests.upstream import SCRIPTS, Gate

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


def environment(house, guest):
    own = {"BASE": house.url, "TOKEN": guest.token, "ADMIN_TOKEN": house.ada.token}
    return {**os.environ, **own, "NO_PROXY": "*"}


@pytest.mark.parametrize("number", range(len(SNIPPETS)), ids=[f"{n}-{kind}" for n, (kind, _) in enumerate(SNIPPETS)])
def test_snippet_runs(number, own_house, tmp_path):
    kind, code = SNIPPETS[number]
    guest = own_house.add_guest(f"reader{number}")
    done = subprocess.run(
        command(kind, code, tmp_path), env=environment(own_house, guest), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for asked, said in SAYS.items():
        assert asked not in code or said in done.stdout, done.stdout


def test_socket_snippet_ends_when_its_frame_is_refused(own_house, tmp_path):
    code = next(code for _kind, code in SNIPPETS if "websockets" in code).replace(
        '"temperature": 0.2', '"temperature": 9'
    )
    given = environment(own_house, own_house.add_guest("too warm"))
    done = subprocess.run(command("python", code, tmp_path), env=given, capture_output=True, text=True, timeout=30)
    assert (done.returncode, "Temperature is 9" in done.stdout) == (0, True), done.stderr


def test_snippet_of_events_gives_up_when_its_token_ends(own_house, tmp_path):
    code = next(code for kind, code in SNIPPETS if kind == "js").replace('"echo"', '"mock-model"')
    gate, guest = Gate(threading.Event()), own_house.add_guest("revoked")
    own_house.upstream.default = held(gate)
    given, tokens = environment(own_house, guest), own_house.runtime.access_tokens
    with subprocess.Popen(command("js", code, tmp_path), env=given, stderr=subprocess.PIPE, text=True) as running:
        try:
            until(lambda: own_house.upstream.chats)
            tokens.revoke(actor=guest.person, token_id=tokens.list_own(actor=guest.person)[0].id)
            said = running.communicate(timeout=20)[1]
        finally:
            running.kill()
            gate.event.set()
            own_house.upstream.default = SCRIPTS["answer"]
    assert (running.returncode, said.count("not_signed_in")) == (1, 1), said


def test_all_three_languages_are_shown():
    assert {kind for kind, _ in SNIPPETS} == {"sh", "python", "js"}


@pytest.mark.parametrize(
    "path", ["/v1/chat/sessions", "/admin/usage", "/v1/chat/completions", "/ws/chat/{session_id}/"]
)
def test_addresses_are_told(path):
    assert path in TEXT
