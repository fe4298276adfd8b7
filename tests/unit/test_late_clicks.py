"""What comes for a fragment that the session does not know runs the whole page, timers aside."""

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

from chatplay.ui import late_clicks


class Session:
    """Knows one fragment."""

    def has_fragment(self, fragment_id):
        return fragment_id == "known"


@pytest.fixture
def asked(monkeypatch):
    """The fragment that Streamlit is asked to run, as a function of what the browser sent."""
    states = []
    monkeypatch.setattr(late_clicks, "_request_rerun", lambda _session, state: states.append(state))

    def ask(**sent):
        late_clicks._request(Session(), ClientState(**sent))
        return states[-1].fragment_id

    return ask


def test_a_click_in_an_unknown_fragment_runs_the_whole_page(asked):
    assert asked(fragment_id="unknown") == ""


def test_a_click_in_a_known_fragment_runs_that_fragment(asked):
    assert asked(fragment_id="known") == "known"


def test_a_timer_of_an_unknown_fragment_runs_nothing(asked):
    assert asked(fragment_id="unknown", is_auto_rerun=True) == "unknown"


def test_a_page_that_asks_for_nothing_in_particular_is_run_as_ever(monkeypatch):
    states = []
    monkeypatch.setattr(late_clicks, "_request_rerun", lambda _session, state: states.append(state))
    late_clicks._request(Session(), None)
    assert states == [None]


def test_streamlit_is_asked_through_it_once_it_is_switched_on(monkeypatch):
    monkeypatch.setattr(AppSession, "request_rerun", AppSession.request_rerun)
    late_clicks.keep_late_clicks()
    assert AppSession.request_rerun is late_clicks._request
