"""The body of a chat completion: what is read, what is refused, and by which name."""

import json

import jsonschema
import pytest

from chatplay import params as parameters
from chatplay.api.completions_docs import REQUEST
from chatplay.api.completions_request import RELAYED, UNSUPPORTED, check_model_takes, params_for, read
from chatplay.errors import BadInput
from chatplay.models.catalog import ModelInfo
from chatplay.params import SAMPLING, Params, Range
from chatplay.providers.base import Message

USER = {"role": "user", "content": "Hi"}
SERVED = ModelInfo("m", "lab", "openai", "vllm")
ECHO = ModelInfo("echo", "echo", "echo", "echo")


def asked(**fields):
    return read(json.dumps({"model": "m", "messages": [USER]} | fields).encode(), max_chars=100)


def refused(**fields):
    with pytest.raises(BadInput) as caught:
        asked(**fields)
    return caught.value


# ---- the body ----


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff\xfe", b'{"model": NaN}', b'{"a":' * 100_000, b'{"model": "\\ud800"}', b"null"]
)
def test_body_that_is_no_json_object_is_refused(body):
    with pytest.raises(BadInput) as caught:
        read(body, max_chars=100)
    assert caught.value.param == "body"


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ('"logit_bias": {"1": 1e400}', "logit_bias.1"),
        ('"temperature": -1e400', "temperature"),
        ('"messages": [{"role": "user", "content": [{"type": "x", "x": [0, 1e400]}]}]', "messages[0].content[0].x[1]"),
        ('"metadata": {"\\n\\u00fc": 1e400}', "metadata.\\n\\xfc"),
        ('"metadata": {"' + "x" * 500 + '": 1e400}', "metadata." + "x" * 191),
    ],
)
def test_number_too_large_for_json_is_refused_by_its_place(field, param):
    with pytest.raises(BadInput, match="too large") as caught:
        read(b'{"model": "m", %s}' % field.encode(), max_chars=100)
    assert caught.value.param == param


@pytest.mark.parametrize("model", [None, "", 3, ["m"]])
def test_model_is_needed(model):
    assert refused(model=model).param == "model"


@pytest.mark.parametrize("name", ["best_of", "suffix", "message", "max_token", "x" * 500])
def test_unknown_field_is_refused_by_name(name):
    error = refused(**{name: 1})
    assert (error.code, error.param) == ("unknown_parameter", name[:80])


@pytest.mark.parametrize(("name", "value"), [("audio", {"voice": "x"}), ("store", True), ("moderation", {})])
def test_unsupported_field_is_refused_by_name(name, value):
    error = refused(**{name: value})
    assert (error.code, error.param) == ("unsupported_parameter", name)


@pytest.mark.parametrize(("name", "value"), [("n", 2), ("n", True), ("n", 0), ("modalities", ["text", "audio"])])
def test_unsupported_value_is_refused_by_name(name, value):
    error = refused(**{name: value})
    assert (error.code, error.param) == ("unsupported_value", name)


def test_fields_set_to_null_count_as_not_set():
    names = ("n", "tools", "stop", "temperature", "stream", "stream_options", "store", "audio", "max_tokens")
    found = asked(**dict.fromkeys(names))
    assert (found.relay.extra, found.given, found.stream) == ({}, {}, False)


def test_stream_options_need_a_stream_and_known_names():
    assert asked(stream=True, stream_options={"include_usage": True}).include_usage
    assert refused(stream_options={"include_usage": True}).param == "stream_options"
    assert refused(stream=True, stream_options={"x": 1}).param == "stream_options.x"
    assert refused(stream=True, stream_options=[]).param == "stream_options"
    for name in ("include_usage", "include_obfuscation"):
        assert refused(stream=True, stream_options={name: 1}).param == f"stream_options.{name}"
    assert refused(stream="yes").param == "stream"


DOCUMENTED = jsonschema.Draft202012Validator(REQUEST["requestBody"]["content"]["application/json"]["schema"])
HARMLESS = [
    *({name: value} for name in UNSUPPORTED for value in (None, False)),
    *({name: None} for name in (*SAMPLING, *RELAYED, "n", "stream", "stream_options", "max_completion_tokens")),
    {"stream": True, "stream_options": {"include_usage": None, "include_obfuscation": None}},
    {"stream": True, "stream_options": {"include_usage": True}},
    {"n": 1, "modalities": ["text"], "stop": "x"},
    {"messages": [{"role": "assistant"}, {"role": "assistant", "content": None}, {"role": "user", "content": []}]},
]
WRONG = [
    *({name: value} for name in UNSUPPORTED for value in (True, 0, {})),
    *({"stream": True, "stream_options": {name: 1}} for name in ("include_usage", "include_obfuscation", "x")),
    {"n": 2},
    {"modalities": ["audio"]},
    {"messages": [{"role": "user", "content": None}]},
]


@pytest.mark.parametrize("fields", HARMLESS, ids=str)
def test_what_is_taken_is_valid_by_the_document(fields):
    params_for(asked(**fields), SERVED)
    DOCUMENTED.validate({"model": "m", "messages": [USER]} | fields)


@pytest.mark.parametrize("fields", WRONG, ids=str)
def test_what_is_refused_is_invalid_by_the_document(fields):
    refused(**fields)
    assert not DOCUMENTED.is_valid({"model": "m", "messages": [USER]} | fields)


# ---- messages ----


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ("Hi", "messages"),
        (["Hi"], "messages[0]"),
        ([USER, {"role": "robot", "content": "x"}], "messages[1].role"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 3}], "messages[0].content"),
        ([{"role": "user", "content": ["x"]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        ([{"role": "user", "content": "x" * 101}], "messages[0].content"),
    ],
)
def test_bad_message_is_refused_by_its_place(messages, param):
    assert refused(messages=messages).param == param


def test_messages_of_all_roles_are_read_as_texts_too():
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "b"},
    ]
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": parts},
        {"role": "assistant", "tool_calls": []},
        {"role": "tool", "tool_call_id": "1", "content": "22"},
    ]
    found = asked(messages=messages)
    assert found.messages == (
        Message("system", "Be brief."),
        Message("user", "ab"),
        Message("assistant", ""),
        Message("user", "22"),
    )
    assert (list(found.relay.messages), found.parts) == (messages, "messages[1].content[1].type")


# ---- parameters ----


def test_what_is_not_given_is_left_to_the_server():
    unset = Params(
        temperature=None, max_tokens=None, top_p=None, presence_penalty=None, frequency_penalty=None, seed=None
    )
    assert params_for(asked(), SERVED) == unset


def test_request_defaults_of_the_model_fill_what_is_not_given():
    model = ModelInfo(
        "m", "lab", "openai", "vllm", request_defaults={"temperature": 0.2, "top_p": 0.9}, refused_params=("top_p",)
    )
    assert params_for(asked(), model).temperature == 0.2
    assert params_for(asked(temperature=1), model).temperature == 1.0
    assert params_for(asked(), model).top_p is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 2),
        ("max_tokens", 1),
        ("max_tokens", 100_000),
        ("seed", -(2**40)),
        ("stop", "x"),
        ("stop", ["x"]),
    ],
)
def test_ordinary_values_beyond_the_sliders_are_taken(name, value):
    params_for(asked(**{name: value}), SERVED)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 2.1),
        ("temperature", "1"),
        ("temperature", 10**400),
        ("max_tokens", 0),
        ("max_tokens", 1.5),
        ("max_completion_tokens", -1),
        ("top_p", -0.1),
        ("seed", 2**64),
        ("stop", ["a"] * 5),
        ("frequency_penalty", 3),
    ],
)
def test_value_out_of_range_is_refused_by_the_name_it_was_given(name, value):
    with pytest.raises(BadInput) as caught:
        params_for(asked(**{name: value}), SERVED)
    assert caught.value.param == name


def test_models_own_upper_limit_holds_and_the_sliders_lower_one_does_not():
    model = ModelInfo("m", "lab", "openai", "vllm", ranges={"max_tokens": Range(256, 2048)})
    assert params_for(asked(max_tokens=16), model).max_tokens == 16
    with pytest.raises(BadInput, match="1 to 2048"):
        params_for(asked(max_tokens=4096), model)


def test_two_names_of_max_tokens_must_agree():
    assert params_for(asked(max_tokens=7, max_completion_tokens=7), SERVED).max_tokens == 7
    assert refused(max_tokens=7, max_completion_tokens=8).param == "max_tokens"


def test_every_number_has_a_range_for_programs():
    ranges = parameters.program_ranges()
    for spec in parameters.SPECS:
        if spec.range is not None:
            assert ranges[spec.name].low <= spec.range.low
            assert ranges[spec.name].high >= spec.range.high


# ---- models that know texts only ----


@pytest.mark.parametrize(
    "field", [{"tools": [{"type": "function"}]}, {"logprobs": True}, {"response_format": {"type": "json_object"}}]
)
def test_built_in_model_refuses_by_name_what_it_would_pass_over(field):
    found = asked(**field)
    check_model_takes(found, SERVED)
    with pytest.raises(BadInput) as caught:
        check_model_takes(found, ECHO)
    assert caught.value.param == next(iter(field))


def test_built_in_model_takes_what_changes_nothing():
    check_model_takes(
        asked(tools=[], tool_choice="auto", logprobs=False, user="me", response_format={"type": "text"}), ECHO
    )


def test_built_in_model_reads_no_pictures():
    found = asked(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])
    with pytest.raises(BadInput) as caught:
        check_model_takes(found, ECHO)
    assert caught.value.param == "messages[0].content[0].type"
