"""ARCHITECTURE.md leads a newcomer to every room, and to no file that is gone."""

import re

import pytest

from chatplay.settings import ROOT

NAMED = frozenset(re.findall(r"`([\w./*-]+)`", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")))
ROOMS = [room for room in (ROOT / "chatplay").iterdir() if room.suffix == ".py" or (room / "__init__.py").exists()]
CODE = [path for room in ("chatplay", "db", "pages", "tests", "bench") for path in (ROOT / room).rglob("*.py")]


@pytest.mark.parametrize("room", sorted(ROOMS), ids=lambda room: room.name)
def test_every_room_is_told_of(room):
    name = f"{room.name}/" if room.is_dir() else room.name
    assert name == "__init__.py" or {name, f"chatplay/{name}"} & NAMED


@pytest.mark.parametrize("name", sorted(name for name in NAMED if name.endswith(".py")))
def test_every_file_it_names_is_there(name):
    assert any(path.match(name) for path in [*CODE, ROOT / "app.py"])


@pytest.mark.parametrize("name", sorted(name for name in NAMED if name.endswith("/")))
def test_every_folder_it_names_has_code(name):
    assert any(f"/{name}" in path.as_posix() for path in CODE)
