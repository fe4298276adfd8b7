"""What is done on a page that its app does not know any more is not lost.

After a restart, or when a tab has slept long, the first click meets a new session. Streamlit runs the whole page then,
but ignores a click, and a message, that belongs to a fragment the new session has not drawn yet.
"""

from __future__ import annotations

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

_request_rerun = AppSession.request_rerun


def keep_late_clicks() -> None:
    """From now on what comes for an unknown fragment runs the whole page; timers still wait for their fragment.

    There is no public way. A browser test notices when a Streamlit of another version asks otherwise.
    """
    AppSession.request_rerun = _request  # type: ignore[method-assign]


def _request(self: AppSession, client_state: ClientState | None) -> None:
    if client_state is not None and not client_state.is_auto_rerun and not self.has_fragment(client_state.fragment_id):
        client_state.fragment_id = ""
    _request_rerun(self, client_state)
