"""The words under a pane."""

import re
from types import SimpleNamespace

import pytest

from chatplay.compare.values import Window
from chatplay.generation.values import AnswerMetrics, LiveMetrics
from chatplay.params import Params
from chatplay.ui.chat import transcript
from chatplay.ui.compare import figures
from chatplay.ui.compare.figures import live_line

ANSWER = SimpleNamespace(status="complete", params=Params(), attempt=1)
SHOWN = {
    "chat": lambda metrics: transcript._details(ANSWER, metrics),
    "compare": lambda metrics: figures.details(ANSWER, metrics, 8192),
}


def test_line_under_a_coming_answer_has_its_place_in_the_context_window():
    live = LiveMetrics(ttft_ms=145.0, completion_tokens=34, tokens_per_second=32.5)
    assert live_line(live, Window(1_200, 32_768)).endswith("Context: ~1,234 / 32,768 tokens")
    assert live_line(LiveMetrics(elapsed_ms=500.0), Window(1_200, 32_768)).endswith("Context: ~1,200 / 32,768 tokens")


def test_line_without_a_known_window_tells_nothing_of_it():
    assert "Context" not in live_line(LiveMetrics(ttft_ms=145.0, completion_tokens=34), None)


@pytest.mark.parametrize("details", SHOWN.values(), ids=SHOWN)
def test_all_figures_tell_of_reasoning_where_there_was_some(details):
    metrics = AnswerMetrics("openai", "m", reasoning_ms=12_300.0, reasoning_tokens=2_000)
    assert "<dt>Reasoning</dt><dd>Thought for 12.30 s, 2,000 tokens</dd>" in details(metrics)
    assert "Reasoning" not in details(AnswerMetrics("openai", "m", reasoning_tokens=0))


def test_long_settings_that_begin_alike_are_shown_where_they_part():
    head = "You are a helpful assistant who answers in English, without lists, "
    several = [Params(system_prompt=head + end) for end in ("and briefly.", "and at length.", "")]
    shown = [figures.value_text(params, "system_prompt", several) for params in several]
    assert shown[:2] == ["…without lists, and briefly.", "…without lists, and at length."]
    assert len(set(shown)) == 3
    assert figures.value_text(several[0], "system_prompt") == "You are a helpful assistant who answers …"
    assert figures.value_text(Params(), "system_prompt", several) == "none"


def test_all_that_matters_is_in_the_line_of_settings_and_only_what_differs_is_bold():
    several = [Params(temperature=0.2, top_p=0.5), Params(temperature=1.0, top_p=0.5)]
    lines = [
        figures.settings_line(SimpleNamespace(params=params), figures.differing_names(several), several)
        for params in several
    ]
    assert [re.findall(r"\*\*(.*?)\*\*", line.replace("\\", "")) for line in lines] == [
        ["Temperature 0.2"],
        ["Temperature 1"],
    ]
    for line in lines:
        assert line.replace("\\", "").endswith(" · Max tokens 512 · Top-p 0.5")
    alike = figures.settings_line(SimpleNamespace(params=several[0]), figures.differing_names(several[:1] * 2))
    assert "**" not in alike
    assert "Temperature 0.2" in alike.replace("\\", "")
