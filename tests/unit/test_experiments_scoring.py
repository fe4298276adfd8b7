"""Scoring rules: verdicts with reasons, refusals with cures, and no way to hang."""

import json

import pytest

from chatplay.errors import BadInput
from chatplay.experiments import scoring
from chatplay.experiments.endings import trial_end
from chatplay.experiments.scoring import (
    Answer,
    Scored,
    combine,
    describe_rule,
    parse_rule,
    rule_to_json,
    score_answer,
)
from chatplay.generation.values import AnswerMetrics, GenerationEnd


def score(raw: dict, text: str = "", answer: Answer | None = None, **columns: str) -> Scored:
    return score_answer(parse_rule(raw), answer or Answer(text), columns=columns)


@pytest.mark.parametrize(
    ("raw", "text", "passed"),
    [
        ({"kind": "equals", "value": "{{expected}}"}, " Paris\n", True),
        ({"kind": "equals", "value": "{{expected}}"}, "paris", False),
        ({"kind": "equals", "value": "{{expected}}", "ignore_case": True}, "PARIS", True),
        ({"kind": "contains", "value": "{{expected}}"}, "It is Paris.", True),
        ({"kind": "regex", "pattern": r"\b{{expected}}\b"}, "Paris, France", True),
        ({"kind": "regex", "pattern": r"^\d+$"}, "Paris", False),
        ({"kind": "json"}, 'Here:\n```json\n{"a": 1}\n```\n', True),
        ({"kind": "json"}, "{a: 1}", False),
        ({"kind": "json"}, "[NaN]", False),
        ({"kind": "json"}, "[" * 50_000, False),
        ({"kind": "json_schema", "schema": {"required": ["city"]}}, '{"city": "Paris"}', True),
        ({"kind": "json_schema", "schema": {"required": ["city"]}}, "{}", False),
        ({"kind": "json_schema", "schema": {"uniqueItems": True}}, "[1, 1.0]", False),
        ({"kind": "length", "least": 2, "most": 3, "unit": "words"}, "one two", True),
        ({"kind": "length", "least": 2, "unit": "characters"}, " x ", False),
    ],
)
def test_rule_gives_its_verdict_with_a_reason(raw: dict, text: str, passed: bool) -> None:
    found = score(raw, text, expected="Paris")
    assert (found.passed, found.score) == (passed, float(passed))
    assert found.reason.endswith(".")


def test_columns_are_literal_in_patterns() -> None:
    assert score({"kind": "regex", "pattern": "^{{expected}}$"}, "3x5", expected="3.5").passed is False


def test_case_without_expected_is_unknown() -> None:
    found = score({"kind": "equals", "value": "{{expected}}"}, "Paris", expected=" ")
    assert found == Scored(None, None, "This case has nothing in the column expected.")


def test_long_limit_is_told_with_all_its_digits() -> None:
    raw = {"kind": "latency", "limit_ms": 1_234_567}
    assert describe_rule(parse_rule(raw)).endswith("1,234,567 ms")
    assert score(raw, answer=Answer("", duration_ms=2e6, ttft_ms=2e6)).reason.endswith("more than 1,234,567 ms.")


def test_unmeasured_figures_are_unknown() -> None:
    assert score({"kind": "latency", "limit_ms": 500}).passed is None
    assert score({"kind": "length", "most": 5, "unit": "tokens"}).passed is None


@pytest.mark.parametrize(("limit_ms", "passed"), [(500, True), (499, False)])
def test_latency_bound_includes_its_limit(limit_ms: int, passed: bool) -> None:
    answer = Answer("", ttft_ms=500)
    assert score({"kind": "latency", "limit_ms": limit_ms, "of": "ttft_ms"}, answer=answer).passed is passed


def test_runaway_pattern_is_stopped_and_unknown() -> None:
    rule = parse_rule({"kind": "regex", "pattern": r"(a|aa)+$"})
    found = score_answer(rule, Answer("a" * 5000 + "b"), columns={})
    assert found.passed is None
    assert "was stopped" in found.reason


@pytest.mark.parametrize("text", ["```" + " " * 199_000, "```json\n" * 24_000])
def test_answer_of_fences_only_keeps_nobody_busy(text: str) -> None:
    assert score({"kind": "json"}, text).passed is False


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("```\n[1]\n```", True),
        ("A: \n  ``` JSON \n[1]\n\t```  \nB", True),
        ("```json\n[1]\n```\n```json\n[2]\n```", False),
        ("```json\n[1]\n", False),
        ("```python\n[1]\n```", False),
        ("```python\nprint(1)\n```\nand\n```json\n[1]\n```", True),
        ("```json\n[1]\n```\nand\n```python\nprint(1)\n```", True),
        ("````markdown\n```json\n[1]\n```\n````", False),
        ("````markdown\n```json\n[1]\n```\n````\n```json\n[2]\n```", True),
        ("~~~ json\n[1]\n~~~~", True),
        ("~~~\n```\n~~~\n```json\n[2]\n```\n```\n[3]\n```", False),
        ("```json\n[1]\n~~~\n", False),
        ("````json\n[1]\n```", False),
        ("``` `json`\n```json\n[1]\n```", True),
        ("```json\r\n[1]\r\n```\r\n", True),
    ],
)
def test_one_closed_block_of_json_counts(text: str, passed: bool) -> None:
    assert score({"kind": "json"}, text).passed is passed


def test_schema_that_doubles_without_end_is_stopped() -> None:
    parts = {"p0": {"type": "number"}}
    parts |= {f"p{i}": {"allOf": [{"$ref": f"#/$defs/p{i - 1}"}] * 2} for i in range(1, 40)}
    rule = parse_rule({"kind": "json_schema", "schema": {"$defs": parts, "$ref": "#/$defs/p39"}})
    ticks = iter(range(10_000))
    found = score_answer(rule, Answer("1"), columns={}, clock=lambda: next(ticks) / 100)
    assert found.passed is None
    assert "was stopped" in found.reason


def test_schema_that_refers_to_itself_is_unknown() -> None:
    assert score({"kind": "json_schema", "schema": {"$ref": "#"}}, "1").passed is None


def nested(depth: int) -> dict:
    schema: dict = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize("number", ["1e999", "-1e999", "[1, 9" + "9" * 400 + ".5]"])
@pytest.mark.parametrize("schema", ['{"multipleOf": 3}', '{"items": {"multipleOf": 0.5}}', "{}"])
def test_number_out_of_range_is_said(schema: str, number: str) -> None:
    found = score({"kind": "json_schema", "schema": schema}, number)
    assert found.passed is False
    assert found.reason.endswith("is out of range.")


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        ({"kind": "magic"}, "kind"),
        ({}, "kind"),
        ({"kind": "equals"}, "value"),
        ({"kind": "equals", "value": "x", "ignore_case": "yes"}, "ignore_case"),
        ({"kind": "equals", "value": "x", "flags": 1}, "flags"),
        ({"kind": "regex", "pattern": "(a"}, "pattern"),
        ({"kind": "regex", "pattern": "(a{1000}){1000}"}, "pattern"),
        ({"kind": "json_schema", "schema": "{"}, "schema"),
        ({"kind": "json_schema", "schema": [1]}, "schema"),
        ({"kind": "json_schema", "schema": {"type": "strin"}}, "schema"),
        ({"kind": "json_schema", "schema": {"$ref": "http://127.0.0.1/x"}}, "schema"),
        ({"kind": "json_schema", "schema": {"$schema": ["http://127.0.0.1/x"]}}, "schema"),
        ({"kind": "json_schema", "schema": {"pattern": "(?:(?:a{99}){99}){99}"}}, "schema"),
        ({"kind": "json_schema", "schema": '{"multipleOf": 1e999}'}, "schema"),
        ({"kind": "json_schema", "schema": '{"not":' * 300 + "{}" + "}" * 300}, "schema"),
        ({"kind": "json_schema", "schema": nested(5_000)}, "schema"),
        ({"kind": "json_schema", "schema": {"items": {"patternProperties": {"(a+)+": {}}}}}, "schema"),
        ({"kind": "length"}, "most"),
        ({"kind": "length", "least": 5, "most": 2}, "least"),
        ({"kind": "length", "most": -1}, "most"),
        ({"kind": "latency", "limit_ms": "fast"}, "limit_ms"),
        ({"kind": "latency", "limit_ms": float("nan")}, "limit_ms"),
    ],
)
def test_bad_rule_is_refused_with_field_and_cure(raw: dict, param: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_rule(raw)
    assert caught.value.param == param
    assert caught.value.cure


def test_property_may_be_called_like_a_keyword() -> None:
    rule = {"kind": "json_schema", "schema": {"properties": {"patternProperties": {"type": "string"}}}}
    assert score(rule, '{"patternProperties": "x"}').passed is True


@pytest.mark.parametrize(
    "raw",
    [
        {"kind": "equals", "value": "x"},
        {"kind": "regex", "pattern": "x+", "ignore_case": True},
        {"kind": "json"},
        {"kind": "json_schema", "schema": {"type": "object"}},
        {"kind": "length", "most": 5},
        {"kind": "latency", "limit_ms": 5},
    ],
)
def test_rule_survives_being_stored(raw: dict) -> None:
    rule = parse_rule(raw)
    assert parse_rule(json.loads(json.dumps(rule_to_json(rule)))) == rule
    assert describe_rule(rule)


KEPT, BROKEN = parse_rule({"kind": "contains", "value": "a"}), parse_rule({"kind": "contains", "value": "z"})
NOT_MEASURED = parse_rule({"kind": "latency", "limit_ms": 5})


@pytest.mark.parametrize(
    ("rules", "together"),
    [
        ([KEPT, BROKEN, NOT_MEASURED], (0.5, False)),
        ([KEPT, NOT_MEASURED], (1.0, True)),
        ([NOT_MEASURED], (None, None)),
        ([], (None, None)),
    ],
)
def test_all_rules_together_average_what_is_known(rules, together) -> None:
    assert combine([score_answer(rule, Answer("a"), columns={}) for rule in rules]) == together


def test_rule_that_fails_on_an_answer_counts_as_one_without_a_verdict(monkeypatch) -> None:
    asked = []

    def scored(rule, answer, *, columns):
        asked.append(rule)
        if rule is BROKEN:
            raise RuntimeError("a fault of the rule's code")
        return score_answer(rule, answer, columns=columns)

    monkeypatch.setattr(scoring, "score_answer", scored)
    end = GenerationEnd("complete", "a", AnswerMetrics("lab", "tiny"))
    found = trial_end(end, rules=[KEPT, BROKEN], columns={})
    assert (found.score, found.passed) == (1.0, True)
    assert [one["score"] for one in found.rule_scores] == [1.0, None]
    assert asked == [KEPT, BROKEN]  # each rule looks at an answer once


@pytest.mark.parametrize(
    ("unit", "text", "passed"),
    [
        ("0.1", "0.3", True),
        ("0.01", "4.35", True),
        ("3", "9" * 4_000, True),
        ("0.5", "9" * 4_000, True),
        ("7.5", "9" * 4_000, False),
        ("9" * 4_000, "1.5", False),
    ],
)
def test_multiples_are_exact_for_numbers_of_any_length(unit: str, text: str, passed: bool) -> None:
    schema = json.loads(f'{{"multipleOf": {unit}}}')
    assert score({"kind": "json_schema", "schema": schema}, text).passed is passed
