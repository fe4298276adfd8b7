"""The one script of ours in a page: it leads the browser to an address, and the policy allows it by its hash."""

from __future__ import annotations

import base64
import hashlib
import html

GO_SCRIPT = "window.location.assign(document.getElementById('chatplay-go').dataset.to)"
GO_SCRIPT_HASH = "sha256-" + base64.b64encode(hashlib.sha256(GO_SCRIPT.encode()).digest()).decode()


def go_html(address: str) -> str:
    """For `st.html(..., unsafe_allow_javascript=True)`: leave for `address`, a path of this app."""
    return f'<span id="chatplay-go" data-to="{html.escape(address)}"></span><script>{GO_SCRIPT}</script>'
