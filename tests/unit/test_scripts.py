"""What the page has the browser do by itself, apart from the browser."""

import re
from pathlib import Path

import pytest
import streamlit

from chatplay.ui.scripts import SCRIPTS, ahead_html, module_paths


@pytest.mark.parametrize(("what", "files"), [("code", 1), ("tables", 1), ("charts", 3)])
def test_modules_that_are_read_ahead_are_files_of_the_installed_streamlit(what, files):
    static = Path(streamlit.__file__).parent / "static"
    found = [static / path.removeprefix("/") for path in module_paths(what)]
    assert len(found) == files
    assert all(path.is_file() for path in found)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_pages_sanitizer_takes_nothing_in_a_script_for_a_tag(script):
    assert not re.search(r"<[/\w!]", script)


def test_nothing_is_read_ahead_where_nothing_is_named():
    assert 'data-text=""' in ahead_html()
