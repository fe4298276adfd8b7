"""How people and their browsers are shown: times in the viewer's zone, a browser by a name one recognises, and the
address by which the viewer reaches this app.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import streamlit as st

from chatplay.auth.person import Person
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui.markdown import plain_markdown

_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def viewer_zone(person: Person) -> ZoneInfo:
    """The zone this person chose, else their browser's, else UTC."""
    return fmt.zone(person.preferences.time_zone or st.context.timezone)


def app_url() -> str:
    """The address set for the app, else the one in the viewer's browser; without a slash at the end."""
    base = get_runtime().settings.public_url
    if base is None:
        parts = urlsplit(st.context.url or "")
        base = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return base.rstrip("/")


def when(moment: datetime | None, person: Person) -> str:
    """`moment` as this person reads it, `never` for none."""
    return "never" if moment is None else fmt.ago(moment, now=datetime.now(UTC), tz=viewer_zone(person))


def browser_name(user_agent: str | None) -> str:
    """`Firefox on Linux`; what it is not known by is left out."""
    agent = user_agent or ""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    if not browser:
        browser = re.sub(r"[^\w. /-]", "", agent.split(" ")[0])[:40] or "Unknown browser"
    return f"{browser} on {system}" if system else browser


def plain(text: str) -> str:
    """`text` on one line of Markdown, with nothing in it that acts; an address in it becomes no link."""
    return plain_markdown(" ".join(text.split()))
