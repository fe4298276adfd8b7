"""Drawing an answer ends, whatever the updates do."""

from __future__ import annotations

from chatplay.generation.values import LiveMetrics, Update
from chatplay.ui.chat.live import AnswerFeed


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
