"""The words under a pane."""

from chatplay.compare.values import Window
from chatplay.generation.values import LiveMetrics
from chatplay.ui.compare.figures import live_line


def test_line_under_a_coming_answer_has_its_place_in_the_context_window():
    live = LiveMetrics(ttft_ms=145.0, completion_tokens=34, tokens_per_second=32.5)
    assert live_line(live, Window(1_200, 32_768)).endswith("Context: ~1,234 / 32,768 tokens")
    assert live_line(LiveMetrics(elapsed_ms=500.0), Window(1_200, 32_768)).endswith("Context: ~1,200 / 32,768 tokens")


def test_line_without_a_known_window_tells_nothing_of_it():
    assert "Context" not in live_line(LiveMetrics(ttft_ms=145.0, completion_tokens=34), None)
