"""Secrets handed to a browser: 256 random bits out, their SHA-256 into the database."""

from __future__ import annotations

import hashlib
import secrets

SESSION_COOKIE = "chatplay_session"
BROWSER_COOKIE = "chatplay_browser"
TICKET_SEC = 90  # a sign-in ticket lives in an address for one redirect; a slow phone gets time for it


def new_token() -> str:
    """43 characters, safe in addresses and cookies."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is stored and looked up; strange text hashes too, and then matches nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
