"""Answers in OpenAI's words: what came in pieces beside the text is one text again."""

import json

import pytest

from chatplay.api.completions_events import Events, whole
from chatplay.generation.values import AnswerMetrics, GenerationEnd
from chatplay.providers.base import Chunk


def deltas(*said):
    return [{"index": 0, "delta": delta} for delta in said]


def message_of(*raws, content="Hi"):
    end = GenerationEnd("complete", content, AnswerMetrics("openai", "m"))
    body = whole(completion_id="x", created=1, model="m", end=end, raws=raws, said=None)
    return body["choices"][0]["message"]


def test_pieces_beside_the_text_are_joined_by_their_names():
    deltas = [{"reasoning": "Let ", "role": "assistant"}, {"reasoning": "me", "refusal": ""}, {"content": "Hi"}]
    found = message_of(*({"delta": delta} for delta in deltas), {"delta": None})
    assert found == {"role": "assistant", "content": "Hi", "refusal": "", "reasoning": "Let me"}


def test_message_that_came_whole_is_handed_on_as_it_is():
    said = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    assert message_of({"message": said}) == said


def test_calls_of_tools_are_one_each_by_their_index():
    pieces = [
        [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "id": "a", "type": "function", "function": {"arguments": '{"x"'}}],
        [
            {"index": 0, "function": {"arguments": ":1}"}},
            {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    ]
    found = message_of(*deltas(*({"tool_calls": calls} for calls in pieces)), content="")
    assert found["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    assert found["content"] is None


def test_calls_of_tools_without_an_index_are_one_each():
    calls = [{"id": "a", "function": {"name": "f"}}, {"id": "b", "function": {"name": "g"}}]
    found = message_of(*deltas({"tool_calls": calls[:1]}, {"tool_calls": calls[1:]}))
    assert (found["content"], found["tool_calls"]) == ("Hi", calls)


def test_lists_beside_the_text_stand_one_after_the_other():
    notes = [{"type": "url_citation", "url_citation": {"url": f"https://{number}.example"}} for number in range(3)]
    assert message_of(*deltas({"annotations": notes[:2]}, {"annotations": notes[2:]}))["annotations"] == notes


def test_call_of_a_function_and_numbers_are_whole():
    call = message_of(
        *deltas({"function_call": {"name": "f", "arguments": "{"}}, {"function_call": {"arguments": "}"}, "x": 1})
    )
    assert (call["function_call"], call["x"]) == ({"name": "f", "arguments": "{}"}, 1)


@pytest.mark.parametrize(
    ("said", "content", "refusal"),
    [("I can't.", None, "I can't."), ("Well. I can't.", "Well. ", "I can't."), ("Hi", "Hi", None)],
)
def test_refusal_is_no_content(said, content, refusal):
    pieces = deltas({"refusal": "I "}, {"refusal": "can't."}) if refusal else []
    found = message_of(*pieces, content=said)
    assert (found["content"], found["refusal"]) == (content, refusal)


EVENTS = Events(completion_id="x", created=1, model="m", include_usage=False)


def delta_in(event):
    return json.loads(event.removeprefix(b"data: "))["choices"][0]["delta"]


def streamed(raw, text=""):
    return delta_in(EVENTS.of(Chunk(text, raw=raw)))


def test_role_is_said_once_in_a_stream():
    assert delta_in(EVENTS.first()) == {"role": "assistant", "content": ""}
    call = {"tool_calls": [{"index": 0, "id": "1"}]}
    assert streamed({"delta": {"role": "assistant", **call}}) == call
    assert streamed({"message": {"role": "assistant", "refusal": "No."}}) == {"refusal": "No."}


def test_parts_are_streamed_as_their_text():
    assert streamed({"delta": {"content": [{"type": "text", "text": "Hi"}]}}, "Hi") == {"content": "Hi"}
    thought = {"content": [{"type": "thinking", "thinking": []}]}
    assert streamed({"delta": thought}) == thought


def test_hours_of_reasoning_take_linear_work():
    found = message_of(*[{"delta": {"reasoning_content": "a word, "}}] * 400_000)
    assert len(found["reasoning_content"]) == 8 * 400_000
