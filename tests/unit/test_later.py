"""What is put off for an answer's sake, and the sign that it is waited for."""

import pytest

from chatplay.generation.values import LiveMetrics
from chatplay.ui.chat import later
from chatplay.ui.chat.later import Figures, Later
from chatplay.ui.chat.live import Crowd


class Place:
    """Keeps what was drawn in it."""

    def __init__(self):
        self.shows = None

    def html(self, body):
        self.shows = body

    def empty(self):
        self.shows = None


def live(*, ttft_ms=None, elapsed_ms=0.0):
    return LiveMetrics(ttft_ms=ttft_ms, completion_tokens=0, tokens_per_second=None, elapsed_ms=elapsed_ms)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    monkeypatch.setattr(later, "time", clock := Clock())
    return clock


@pytest.fixture
def marker():
    return Place()


def test_the_waiting_sign_tells_the_seconds_and_goes_with_the_first_token(clock, marker):
    figures = Figures(marker, Place(), [], Crowd())
    figures.begin_waiting()
    figures(live(elapsed_ms=2_400))
    assert "2 s" in marker.shows
    figures(live(ttft_ms=2_500, elapsed_ms=2_500))
    assert marker.shows is None


def test_an_answer_that_ended_before_it_was_waited_for_never_shows_the_sign(clock, marker):
    figures = Figures(marker, Place(), [], Crowd())
    figures(live(elapsed_ms=2_400))
    figures.end_waiting()
    assert marker.shows is None


def test_what_was_put_off_is_drawn_once_when_it_is_due_but_never_before_the_first_token(clock, marker):
    drawn = []
    figures = Figures(marker, Place(), [Later(0.1, lambda: drawn.append("row"))], Crowd())
    assert figures.patience() == pytest.approx(0.1)
    clock.now += 0.2
    figures(live(ttft_ms=150, elapsed_ms=200))
    assert drawn == []
    figures(live(ttft_ms=150, elapsed_ms=210))
    figures(live(ttft_ms=150, elapsed_ms=220))
    assert drawn == ["row"]


def test_what_was_dropped_is_not_drawn(clock, marker):
    drawn = []
    put_off = Later(0.1, lambda: drawn.append("stop"))
    figures = Figures(marker, Place(), [put_off], Crowd())
    put_off.drop()
    clock.now += 1
    figures(live(ttft_ms=150))
    figures(live(ttft_ms=150))
    later.draw_rest([put_off])
    assert drawn == []
