"""Where a sign-in may lead back to: a path of this app, never another site."""

from __future__ import annotations

from urllib.parse import urlsplit

MAX_CHARS = 2_000


def safe_return_to(target: str | None) -> str:
    """`target` (path and query) when it stays on this app, else "/".

    Refused: schemes, hosts, `//host`, backslashes (browsers read them as slashes), control characters, the
    sign-in routes themselves.
    """
    if not target or len(target) > MAX_CHARS or not target.startswith("/") or target.startswith("//"):
        return "/"
    if "\\" in target or not target.isascii() or any(char <= " " or char == "\x7f" for char in target):
        return "/"
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or parts.path.startswith(("//", "/auth/")):
        return "/"
    return target
