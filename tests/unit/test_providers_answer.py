"""Reading chat completions: whatever JSON comes, text is storable and nothing but NotTheProtocol is raised."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay import errors
from chatplay.providers.base import Usage
from chatplay.providers.faults import Caller, from_answer
from chatplay.providers.openai_answer import AnswerReader, NotTheProtocol, is_storable, read_usage, read_whole
from chatplay.providers.refusals import read_refusal

KEYS = (
    *("choices", "delta", "message", "content", "index", "finish_reason", "usage", "error", "object", "model"),
    *("code", "type", "param", "detail"),
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800\0")
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner), max_leaves=8
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_json_is_read_or_refused(body):
    reader, data = AnswerReader(), json.dumps(body).encode()
    try:
        text, _ = reader.read(data)
        read_whole(AnswerReader(), data)
    except NotTheProtocol:
        return
    assert is_storable(text)
    assert is_storable(reader.finish_reason or "")


@given(JSON, st.sampled_from([None, 400, 404, 422, 429, 500]))
def test_any_refusal_becomes_a_provider_error(body, status):
    error = from_answer(read_refusal(body, status), Caller("lab", "m"))
    assert isinstance(error, errors.ProviderError)
    assert is_storable(str(error))


def read(*choices):
    reader = AnswerReader()
    return [reader.read(json.dumps({"choices": [choice]}).encode())[0] for choice in choices]


def test_content_in_parts_is_joined():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read({"delta": {"content": parts}}) == ["ab"]


def test_refusal_of_the_model_is_its_text():
    assert read({"delta": {"refusal": "I cannot"}}) == ["I cannot"]


def test_second_choice_is_passed_over():
    assert read({"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}) == ["a", ""]


@pytest.mark.parametrize("body", [None, {}, {"prompt_tokens": 1}, {"prompt_tokens": "1", "completion_tokens": -1}])
def test_usage_that_is_not_whole_is_none(body):
    assert read_usage(body) is None


@pytest.mark.parametrize(("said", "known"), [(7, 7), (0, 0), (9, 9), (10, None), (-1, None), ("7", None), (None, None)])
def test_usage_carries_reasoning_tokens_that_are_among_the_others(said, known):
    body = {"prompt_tokens": 3, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": said}}
    assert read_usage(body) == Usage(3, 9, reasoning_tokens=known)
    assert read_usage(body | {"completion_tokens_details": [said]}) == Usage(3, 9)


def test_usage_carries_cached_tokens():
    details = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    assert read_usage(details) == Usage(9, 2, 4)
