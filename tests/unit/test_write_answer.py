"""Drawing an answer ends, whatever the updates do."""

from __future__ import annotations

from contextlib import ExitStack, suppress

from chatplay.generation.values import LiveMetrics, Update
from chatplay.ui.chat.live import AnswerFeed, Crowd


def test_updates_that_end_before_the_answer_end_the_drawing():
    updates = iter([Update("Some words", 1, LiveMetrics())])
    feed = AnswerFeed(updates, on_news=lambda _live: None, clock=lambda: 0.0)
    drawn = []
    for _ in range(5):
        drawn.append("".join(feed.pieces()))
        if not feed.advance():
            break
    else:
        raise AssertionError("it would go on for ever")
    assert drawn[0] == "Some words"
    assert feed.end is None


def test_pause_after_the_last_words_grows_with_the_answers_drawn_beside_and_ends():
    crowd, pauses = Crowd(), []
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(crowd.joined())
            pauses.append(crowd.paint_sec)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1], crowd.paint_sec) == (0.04, 0.5, 0.04)


def test_answer_that_ends_in_an_error_leaves_the_crowd():
    crowd = Crowd()
    with suppress(ValueError), crowd.joined(), crowd.joined():
        raise ValueError
    assert crowd.paint_sec == 0.04
