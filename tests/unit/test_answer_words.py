"""What is said of answers that did not come to their end is true of what there is of them."""

import pytest

from chatplay.generation.values import NEVER_STREAMS, AnswerMetrics
from chatplay.ui.answer_words import failed_twice, names_its_model, unfinished, without_figures


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        ("stopped", "Half an", "You stopped this answer. What had come is kept."),
        ("stopped", " ", "You stopped before the first token."),
        ("interrupted", "", "The app was restarted while this answer came. Nothing had come yet."),
        ("failed", "", ""),
        ("complete", "All of it.", ""),
    ],
)
def test_an_unfinished_answer_says_what_is_kept(status, content, said):
    assert unfinished(status, content) == said


@pytest.mark.parametrize(
    ("status", "figures", "line"),
    [
        ("failed", {"duration_ms": 46.0}, "failed after 46 ms"),
        ("stopped", {"duration_ms": 1200.0}, "stopped after 1.20 s"),
        ("interrupted", {}, "interrupted"),
        ("stopped", {"ttft_ms": 100.0, "duration_ms": 1200.0}, ""),
        ("complete", {"duration_ms": 46.0}, ""),
    ],
)
def test_an_answer_of_which_nothing_came_has_no_figures_of_it(status, figures, line):
    assert without_figures(status, AnswerMetrics("box", "tiny", **figures)) == line


@pytest.mark.parametrize(("reason", "is_said"), [(None, False), (NEVER_STREAMS, False), ("It broke off.", True)])
def test_only_what_was_asked_twice_failed_twice(reason, is_said):
    assert bool(failed_twice(AnswerMetrics("box", "tiny", fallback_reason=reason))) is is_said


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("box failed to answer with `tiny` (HTTP 500).", True),
        ("box-2 failed to answer with `tiny`.", False),
        ("The server refused the connection.", False),
        (None, False),
    ],
)
def test_an_error_that_names_server_and_model_needs_no_second_line(message, names):
    assert names_its_model(AnswerMetrics("box", "tiny", error_message=message)) is names
