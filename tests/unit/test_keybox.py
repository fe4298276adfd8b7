"""Stored API keys: only ciphertext leaves the box, and it opens for one address and with one file."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from chatplay.errors import ConfigError
from chatplay.keybox import KeyBox

KEY, URL = "sk-planted-12345678", "http://lab/v1"


def test_key_comes_back_for_its_address_only(tmp_path):
    box = KeyBox(tmp_path / "box.key")
    locked = box.lock(KEY, base_url=URL)
    assert KEY.encode() not in locked
    assert box.find_key(locked, base_url=URL) == KEY
    assert box.find_key(locked, base_url="http://attacker/v1") is None


def test_file_is_made_at_first_use_for_its_owner_alone(tmp_path):
    path = tmp_path / "data" / "box.key"
    box = KeyBox(path)
    assert not path.exists()
    box.lock(KEY, base_url=URL)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_file_is_made_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    path = tmp_path / "box.key"
    locked = KeyBox(path).lock(KEY, base_url=URL)
    assert KeyBox(path).find_key(locked, base_url=URL) == KEY
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_name_of_the_file_is_on_the_disk_before_a_key_is_locked_with_it(tmp_path, monkeypatch):
    path, sync, kept = tmp_path / "box.key", os.fsync, []

    def note(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            kept.extend(os.listdir(fd))
        sync(fd)

    monkeypatch.setattr("os.fsync", note)
    KeyBox(path).lock(KEY, base_url=URL)
    assert kept == [path.name]


def test_another_start_opens_what_this_one_locked(tmp_path):
    locked = KeyBox(tmp_path / "box.key").lock(KEY, base_url=URL)
    assert KeyBox(tmp_path / "box.key").find_key(locked, base_url=URL) == KEY


@pytest.mark.parametrize("ciphertext", [b"", b"nonsense"])
def test_what_cannot_be_opened_is_no_key(tmp_path, ciphertext):
    box = KeyBox(tmp_path / "box.key")
    assert box.find_key(ciphertext, base_url=URL) is None
    lost = KeyBox(tmp_path / "other.key").lock(KEY, base_url=URL)
    assert box.find_key(lost, base_url=URL) is None


def test_damaged_file_is_said_with_the_cure_and_never_replaced(tmp_path):
    path = tmp_path / "box.key"
    path.write_text("damaged")
    with pytest.raises(ConfigError) as caught:
        KeyBox(path).lock(KEY, base_url=URL)
    assert "box.key" in caught.value.message
    assert KEY not in str(caught.value)
    assert path.read_text() == "damaged"


def test_processes_that_start_together_agree_on_one_file(tmp_path):
    code = f"""
import sys
from pathlib import Path
from chatplay.keybox import KeyBox
box = KeyBox(Path({str(tmp_path / "box.key")!r}))
sys.stdin.readline()
sys.stdout.write(box.lock({KEY!r}, base_url={URL!r}).decode())
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(3)]
    locked = [process.communicate("\n", timeout=30)[0] for process in running]
    box = KeyBox(tmp_path / "box.key")
    assert [box.find_key(text.encode(), base_url=URL) for text in locked] == [KEY] * 3
