"""The fixed scripts of the chat page; their text never varies, so that the content policy can name them by hash.

What varies travels in data attributes. To add one, add it to `SCRIPTS`.
"""

from __future__ import annotations

import base64
import hashlib
import html
from uuid import uuid4

_COPY = (
    "(()=>{const e=document.getElementById('chatplay-copy'),t=e.dataset.text;"
    "const old=()=>{const a=document.createElement('textarea');a.value=t;a.style.position='fixed';a.style.opacity='0';"
    "document.body.appendChild(a);a.select();document.execCommand('copy');a.remove()};"
    "navigator.clipboard?navigator.clipboard.writeText(t).catch(old):old()})()"
)
_FOCUS = "setTimeout(()=>document.querySelector('[data-testid=stChatInputTextArea]')?.focus(),50)"
SCRIPTS = (_COPY, _FOCUS)


def script_hashes() -> list[str]:
    """Of every script here, as a content security policy names them."""
    digests = (hashlib.sha256(script.encode()).digest() for script in SCRIPTS)
    return ["sha256-" + base64.b64encode(digest).decode() for digest in digests]


def copy_html(text: str) -> str:
    """For `st.html(..., unsafe_allow_javascript=True)`: puts `text` on the clipboard."""
    return _with_data("chatplay-copy", _COPY, text)


def focus_html() -> str:
    """Likewise: moves the keyboard to the message input."""
    return _with_data("chatplay-focus", _FOCUS, "")


def _with_data(name: str, script: str, text: str) -> str:
    # The fresh number makes the page see a new element each time, so that the script runs again.
    data = f'data-run="{uuid4().hex}" data-text="{html.escape(text)}"'
    return f'<span id="{name}" hidden {data}></span><script>{script}</script>'
