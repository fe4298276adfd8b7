"""Clicks on what a fragment drew, noticed while an answer is being followed.

Streamlit keeps such a click waiting until the running script or fragment has ended: for a long answer, minutes.
"""

from __future__ import annotations

from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType, _has_active_trigger_value
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx


def is_waiting() -> bool:
    """Whether somebody clicked meanwhile; `st.rerun()` then acts on it at once. A timer's tick does not count.

    There is no public way to ask. A browser test notices when a Streamlit of another version answers otherwise.
    """
    ctx = get_script_run_ctx(suppress_warning=True)
    requests = ctx.script_requests if ctx else None
    if requests is None or requests._state is not ScriptRequestType.RERUN:
        return False
    data = requests._rerun_data
    touched = data.widget_states.widgets if data.widget_states else ()
    # A tick that joins a waiting click takes over its flag, not its trigger.
    return not data.is_auto_rerun or any(map(_has_active_trigger_value, touched))
