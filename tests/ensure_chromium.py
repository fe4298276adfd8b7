"""The Chromium of the browser tests: the machine's own, else Debian's package, else Playwright's.

The headless shell is the same engine without windows to draw: a page costs it half the CPU. Where Debian's package
of it can be had it is taken, and any other Chromium serves where it cannot.

`python -m tests.ensure_chromium` prints its path, and installs one when there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_SHELL = "chromium-headless-shell"
_NAMES = (_SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find_chromium() -> str | None:
    """CHROMIUM_PATH, a browser of the machine, or the one Playwright keeps; None without any."""
    if given := os.environ.get("CHROMIUM_PATH"):
        return given if Path(given).is_file() else None
    of_machine = (shutil.which(name) for name in _NAMES)
    kept = (path for path in _MAC if Path(path).is_file())
    return next((path for path in (*of_machine, *kept) if path), None) or _playwrights_own()


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def ensure_chromium() -> str:
    """As `find_chromium`, after installing one if need be. Exits with the cure when that fails."""
    if os.environ.get("CHROMIUM_PATH") and find_chromium() is None:
        sys.exit(f"CHROMIUM_PATH is {os.environ['CHROMIUM_PATH']}, and there is no such file. Correct or unset it.")
    if find_chromium() is None or _wants_shell():
        _install_debians()
    if find_chromium() is None:
        _install_playwrights()
    return find_chromium() or sys.exit(
        "No Chromium was found or could be installed. Install one and set CHROMIUM_PATH to it."
    )


def _wants_shell() -> bool:
    """A machine of CI that has another Chromium is given the shell too; a person's machine is left as it is."""
    return bool(os.environ.get("CI")) and not (os.environ.get("CHROMIUM_PATH") or shutil.which(_SHELL))


def _install_debians() -> None:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return
    print("Installing Chromium from the distribution", file=sys.stderr)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", _SHELL]):
        subprocess.run(["apt-get", *command], env=environment, stdout=sys.stderr, timeout=300, check=False)


def _install_playwrights() -> None:
    print("Installing Playwright's Chromium", file=sys.stderr)
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    subprocess.run(command, stdout=sys.stderr, timeout=900, check=False)


if __name__ == "__main__":
    print(ensure_chromium())
