"""As root the server runs as somebody else, whose way to programs and data must be open."""

import shutil
import subprocess

import pytest

from db import server_user
from db.binaries import bundled_folder, find_binaries, find_client, reachable_copy
from db.errors import EmbeddedError
from db.server_user import ServerUser, can_enter, pick_data_dir

STRANGER = ServerUser("stranger", uid=54_321, gid=54_321)


@pytest.fixture
def closed(tmp_path):
    (tmp_path / "home").mkdir(mode=0o700)
    return tmp_path / "home"


def test_can_enter_closed_home_is_false_for_a_stranger_only(closed):
    assert not can_enter(closed / "project", STRANGER)
    assert can_enter(closed / "project", None)


def test_data_dir_in_a_closed_home_moves_for_root_and_stays_for_others(closed, monkeypatch):
    monkeypatch.setattr(server_user, "find_server_user", lambda: STRANGER)
    moved = pick_data_dir(closed / "project" / "data")
    assert moved.parent == server_user.FALLBACK_PARENT
    assert moved == pick_data_dir(closed / "project" / "data") != pick_data_dir(closed / "other" / "data")
    monkeypatch.setattr(server_user, "find_server_user", lambda: None)
    assert pick_data_dir(closed / "project" / "data") == closed / "project" / "data"


def test_programs_in_a_closed_home_are_copied_once_and_run(closed, tmp_path):
    package = bundled_folder().parent.parent
    for libraries in package.parent.glob(f"{package.name}.libs"):
        shutil.copytree(libraries, closed / libraries.name)
    shutil.copytree(package / "pginstall18", closed / package.name / "pginstall18")
    found = find_binaries(closed / package.name / "pginstall18" / "bin")
    copy = reachable_copy(found, STRANGER, tmp_path / "data")
    assert subprocess.run([copy.program("initdb"), "--version"], timeout=20).returncode == 0
    assert copy.version == found.version
    assert tmp_path / "data" in copy.folder.parents
    assert reachable_copy(found, STRANGER, tmp_path / "data") == copy


def test_programs_missing_are_named_with_the_cure(tmp_path):
    with pytest.raises(EmbeddedError, match="DATABASE_URL"):
        find_binaries(tmp_path)


def test_client_of_a_version_nobody_has_is_none():
    assert find_client("pg_dump", at_least=99) is None
    assert find_client("pg_dump", at_least=14) is not None
