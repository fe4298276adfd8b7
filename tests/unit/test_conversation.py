"""Titles, texts and the thread as the model reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from chatplay.chats.values import MessageRecord, prompt_messages, title_from
from chatplay.generation.values import AnswerMetrics
from chatplay.params import Params


def _message(role, content, *, status="complete"):
    return MessageRecord(1, uuid4(), None, role, content, status, None, None, datetime.now(UTC))


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Short one", "Short one"),
        ("  two\n lines ", "two lines"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 39 + "…"),
        ("word " * 20, "word word word word word word word…"),
    ],
)
def test_title_is_one_line_of_forty_characters_at_most(text, title):
    assert title_from(text) == title
    assert len(title_from(text)) <= 40


def test_system_prompt_comes_first_and_blank_ones_are_not_sent():
    thread = [_message("user", "hi")]
    assert [m.role for m in prompt_messages(thread, Params(system_prompt="Be kind."))] == ["system", "user"]
    assert [m.role for m in prompt_messages(thread, Params(system_prompt=" \n"))] == ["user"]


def test_answer_that_brought_nothing_is_left_out_and_the_prompts_are_joined():
    thread = [_message("user", "one"), _message("assistant", "", status="failed"), _message("user", "two")]
    assert [(m.role, m.content) for m in prompt_messages(thread, Params())] == [("user", "one\n\ntwo")]


def test_answer_that_was_stopped_keeps_its_place_in_the_thread():
    thread = [_message("user", "one"), _message("assistant", "half", status="stopped"), _message("user", "two")]
    assert [m.content for m in prompt_messages(thread, Params())] == ["one", "half", "two"]


def test_metrics_survive_json_unchanged():
    metrics = AnswerMetrics("p", "m", ttft_ms=12.5, params=Params(stop=("END",), seed=3), tokens_estimated=True)
    assert AnswerMetrics.from_json(metrics.to_json()) == metrics
    assert AnswerMetrics.from_json({}) is None


def test_metrics_of_another_version_are_read_without_what_is_not_known():
    stored = AnswerMetrics("p", "m", params=Params(temperature=None, seed=3)).to_json()
    stored["params"]["heat"], stored["mood"] = 3, "good"
    assert AnswerMetrics.from_json(stored) == AnswerMetrics("p", "m", params=Params(temperature=None, seed=3))
