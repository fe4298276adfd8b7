"""The table of parameters: what it takes, what it refuses, and that everything is drawn from it."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay import params as parameters
from chatplay.errors import BadInput
from chatplay.params import (
    SAMPLING,
    SPECS,
    Params,
    Range,
    clamp,
    get_spec,
    json_schema,
    number_text,
    parse,
    to_json,
    validate,
)
from chatplay.providers.base import Request
from chatplay.providers.openai_body import DROPPABLE, Dialect


def test_table_defaults_are_the_documented_ones():
    params = Params()
    assert (params.temperature, params.max_tokens, params.top_p) == (0.7, 512, 1.0)
    ranges = {spec.name: spec.range for spec in SPECS}
    assert ranges["temperature"] == Range(0.0, 1.0)
    assert ranges["max_tokens"] == Range(256, 1024)
    assert ranges["top_p"] == Range(0.0, 1.0)


def test_only_temperature_and_max_tokens_are_always_visible():
    assert [spec.name for spec in SPECS if spec.tier == "basic"] == ["temperature", "max_tokens"]


def test_every_row_says_what_it_does():
    assert all(spec.label and len(spec.help) > 20 for spec in SPECS)


@pytest.mark.parametrize("name", SAMPLING)
def test_every_row_is_sent_and_known_to_be_left_out_where_a_server_takes_none(name):
    spec = get_spec(name)
    value = ("a",) if spec.kind == "list" else spec.range.high
    sent = Dialect().body(Request("tiny", (), Params(**{name: value})))
    assert sent[name] == (list(value) if spec.kind == "list" else value)
    assert name in DROPPABLE or name == "max_tokens"  # an answer without a limit is not what was asked for


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"temperature": 1.01}, "outside 0 to 1"),
        ({"temperature": "hot"}, "must be a number"),
        ({"temperature": math.nan}, "must be a number"),
        ({"temperature": True}, "must be a number"),
        ({"max_tokens": 255}, "outside 256 to 1024"),
        ({"max_tokens": 300.5}, "whole number"),
        ({"seed": -1}, "outside"),
        ({"stop": ["a"] * 5}, "at most 4"),
        ({"stop": [""]}, "empty text"),
        ({"stop": 7}, "list of texts"),
        ({"system_prompt": "a\0"}, "NUL"),
        ({"system_prompt": None}, "must be text"),
        ({"tempreature": 0.5}, "no parameter called"),
    ],
)
def test_value_that_cannot_be_used_is_refused_by_name(values, why):
    with pytest.raises(BadInput, match=why) as refusal:
        parse(values)
    assert refusal.value.param == next(iter(values))


def test_model_may_widen_and_narrow_a_range():
    wide = {"temperature": Range(0, 2), "max_tokens": Range(1, 300)}
    assert parse({"temperature": 1.8}, overrides=wide).temperature == 1.8
    with pytest.raises(BadInput, match="1 to 300"):
        parse({"max_tokens": 512}, overrides=wide)


@pytest.mark.parametrize(
    ("value", "text"), [(0.7, "0.7"), (1.0, "1"), (2**53 + 1, "9007199254740993"), (1e22, "1e+22")]
)
def test_number_is_written_with_every_digit_it_has(value, text):
    assert number_text(value) == text
    assert type(value)(text) == value


def test_number_beyond_its_range_is_told_exactly():
    with pytest.raises(BadInput, match="Seed is 2147483648, outside 0 to 2147483647"):
        parse({"seed": 2**31})


def test_clamp_moves_remembered_settings_into_another_models_range():
    moved = clamp(Params(max_tokens=1024, temperature=1.0), overrides={"max_tokens": Range(1, 300)})
    assert (moved.max_tokens, moved.temperature) == (300, 1.0)
    assert isinstance(moved.max_tokens, int)


def test_none_means_left_to_the_server_and_is_allowed():
    assert parse({"temperature": None}).temperature is None


def test_one_stop_text_may_come_without_a_list():
    assert parse({"stop": "END"}).stop == ("END",)


_valid = st.builds(
    Params,
    temperature=st.none() | st.floats(0, 1),
    max_tokens=st.none() | st.integers(256, 1024),
    top_p=st.none() | st.floats(0, 1),
    seed=st.none() | st.integers(0, 2**31 - 1),
    stop=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9), max_size=4
    ).map(tuple),
    presence_penalty=st.none() | st.floats(-2, 2),
    frequency_penalty=st.none() | st.floats(-2, 2),
    system_prompt=st.text(st.characters(codec="utf-8", exclude_characters="\0")),
)


@given(_valid)
def test_params_survive_json_unchanged(params):
    assert validate(params) == params
    assert parse(json.loads(json.dumps(to_json(params)))) == params


def test_schema_names_every_parameter_with_its_range():
    schema = json_schema({"max_tokens": Range(1, 4096)})
    assert list(schema["properties"]) == [spec.name for spec in SPECS]
    assert schema["properties"]["max_tokens"]["maximum"] == 4096
    assert schema["properties"]["temperature"]["type"] == ["number", "null"]
    assert schema["additionalProperties"] is False


def test_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(BadInput, match="temperature, max_tokens"):
        get_spec("heat")


def test_stored_settings_of_another_version_fall_back_one_by_one():
    stored = {"temperature": 1.7, "heat": 3, "stop": "no list", "seed": "x"}
    assert parameters.from_json(stored) == Params(temperature=1.7, stop=("no list",))
