"""What a run draws together is handed over together; that it runs is told when it does for a while."""

import inspect
import threading

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import ScriptRunnerEvent

from chatplay.ui import together

STARTED, ELEMENT = ScriptRunnerEvent.SCRIPT_STARTED, ScriptRunnerEvent.ENQUEUE_FORWARD_MSG
STOPPED = ScriptRunnerEvent.FRAGMENT_STOPPED_WITH_SUCCESS


class Timer:
    def __init__(self):
        self.is_cancelled = False

    def cancel(self):
        self.is_cancelled = True


class Loop:
    """A clock that rings when it is told to."""

    def __init__(self):
        self.timers = []

    def call_later(self, seconds, call, *args):
        self.timers.append((timer := Timer(), seconds, lambda: call(*args)))
        return timer

    def ring(self, seconds):
        for timer, after, call in self.timers.copy():
            if after == seconds and not timer.is_cancelled:
                call()


class Session:
    """Keeps what reaches the event loop, one list for each time it is woken."""

    def __init__(self):
        self._event_loop = Loop()
        self.wakes = []

    def _call_soon_on_event_loop(self, call):
        self.wakes.append([])
        call()

    def _handle_scriptrunner_event_on_event_loop(self, _sender, event, forward_msg=None):
        if not self.wakes:
            self.wakes.append([])
        self.wakes[-1].append(forward_msg or event)

    @property
    def handed(self):
        """What was handed over by now, wake by wake."""
        return [wake for wake in self.wakes if wake]


@pytest.fixture
def session(monkeypatch):
    """Of a script on this thread; Streamlit's own way of handing over wakes the loop for each event."""
    monkeypatch.setattr(together, "_script", together._Script())

    def one_by_one(session, sender, event, **details):
        session._call_soon_on_event_loop(
            lambda: session._handle_scriptrunner_event_on_event_loop(sender, event, **details)
        )

    monkeypatch.setattr(together, "_hand_over", one_by_one)
    return Session()


def say(session, event, element=None):
    details = {"forward_msg": element} if element else {}
    together._hand_over_or_hold(session, None, event, **details)


def draw(session, *elements):
    for element in elements:
        say(session, ELEMENT, element)


def test_a_run_is_announced_at_once_and_its_first_elements_come_together_when_it_waits(session):
    say(session, STARTED)
    draw(session, "a", "b", "c")
    assert session.handed == [[STARTED]]
    together.send()
    assert session.handed == [[STARTED], ["a", "b", "c"]]


def test_what_is_drawn_after_that_comes_at_once_one_by_one(session):
    say(session, STARTED)
    together.send()
    draw(session, "a", "b")
    assert session.handed == [[STARTED], ["a"], ["b"]]


def test_the_end_of_a_run_comes_after_what_it_has_drawn(session):
    say(session, STARTED)
    draw(session, "a", "b")
    say(session, STOPPED)
    assert session.handed == [[STARTED], ["a", "b"], [STOPPED]]


def test_nothing_waits_longer_than_it_may_while_a_script_is_busy(session):
    say(session, STARTED)
    draw(session, "a", "b")
    session._event_loop.ring(together.HELD_SEC)
    draw(session, "c", "d")
    together.send()
    assert [each for wake in session.handed for each in wake] == [STARTED, "a", "b", "c", "d"]
    session._event_loop.ring(together.HELD_SEC)
    assert [each for wake in session.handed for each in wake].count("a") == 1


def test_a_script_may_hold_back_again_what_belongs_together(session):
    say(session, STARTED)
    together.send()
    draw(session, "a")
    together.hold()
    draw(session, "b", "c")
    assert session.handed == [[STARTED], ["a"]]
    say(session, STOPPED)
    assert session.handed[2:] == [["b", "c"], [STOPPED]]


def test_a_script_may_hold_back_again_what_the_clock_has_sent(session):
    say(session, STARTED)
    draw(session, "a")
    session._event_loop.ring(together.HELD_SEC)
    together.hold()
    draw(session, "b", "c")
    together.send()
    assert session.handed == [[STARTED], ["a"], ["b", "c"]]


def test_the_clock_begins_with_the_first_element_not_with_the_run(session):
    say(session, STARTED)
    session._event_loop.ring(together.HELD_SEC)
    draw(session, "a", "b")
    assert session.handed == [[STARTED]]
    session._event_loop.ring(together.HELD_SEC)
    assert session.handed == [[STARTED], ["a", "b"]]


def test_a_second_run_of_one_thread_begins_anew(session):
    other = Session()
    say(session, STARTED)
    draw(session, "a")
    say(other, STARTED)
    draw(other, "b")
    together.send()
    assert session.handed == [[STARTED], ["a"]]
    assert other.handed == [[STARTED], ["b"]]


def test_scripts_of_other_threads_hold_back_their_own(session):
    say(session, STARTED)
    draw(session, "a")
    other = Session()

    def run():
        say(other, STARTED)
        draw(other, "b")
        together.send()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert other.handed == [[STARTED], ["b"]]
    assert session.handed == [[STARTED]]


def test_what_draws_outside_a_run_is_not_held_back(session):
    together.hold()
    draw(session, "a")
    assert session.handed == [["a"]]


def status(is_running):
    message = ForwardMsg()
    message.session_status_changed.script_is_running = is_running
    return message


@pytest.fixture
def told(monkeypatch):
    """What the browser is told, in order."""
    messages = []
    monkeypatch.setattr(together, "_enqueue", lambda _session, message: messages.append(message))
    return messages


def begin(session, *fragment_ids):
    message = ForwardMsg()
    message.new_session.name = "app"
    message.metadata.run.fragment_ids.extend(fragment_ids)
    together._enqueue_or_wait(session, message)
    return message


def test_a_fragment_of_a_moment_is_not_told_to_be_running(told):
    session, end = Session(), status(is_running=False)
    begun = begin(session, "one")
    together._enqueue_or_wait(session, status(is_running=True))
    together._enqueue_or_wait(session, end)
    session._event_loop.ring(together.RUNNING_SEC)
    assert told == [begun, end]


def test_a_fragment_that_lasts_is_told_to_be_running_until_it_ends(told):
    session, running, element, end = Session(), status(is_running=True), ForwardMsg(), status(is_running=False)
    begun = begin(session, "one")
    together._enqueue_or_wait(session, running)
    together._enqueue_or_wait(session, element)
    assert told == [begun, element]
    session._event_loop.ring(together.RUNNING_SEC)
    together._enqueue_or_wait(session, end)
    assert told == [begun, element, running, end]


def test_a_run_of_the_whole_page_is_told_at_once_also_after_one_of_a_fragment(told):
    session, running, end = Session(), status(is_running=True), status(is_running=False)
    messages = [begin(session, "one"), end, begin(session), running, end]
    told.clear()
    for message in messages:
        together._enqueue_or_wait(session, message)
    assert told == messages


def test_streamlit_hands_over_through_it_once_it_is_switched_on(monkeypatch):
    monkeypatch.setattr(AppSession, "_on_scriptrunner_event", AppSession._on_scriptrunner_event)
    monkeypatch.setattr(AppSession, "_enqueue_forward_msg", AppSession._enqueue_forward_msg)
    together.send_together()
    assert AppSession._on_scriptrunner_event is together._hand_over_or_hold
    assert AppSession._enqueue_forward_msg is together._enqueue_or_wait


def test_streamlit_still_hands_over_as_it_is_replaced_here():
    handed = inspect.signature(together._hand_over).parameters
    taken = inspect.signature(AppSession._handle_scriptrunner_event_on_event_loop).parameters
    assert list(handed) == list(taken)
    assert list(handed)[:4] == ["self", "sender", "event", "forward_msg"]
    assert list(inspect.signature(AppSession._call_soon_on_event_loop).parameters) == ["self", "callback"]
