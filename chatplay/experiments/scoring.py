"""Scoring rules: small typed values that give an answer 0..1, passed or not, and the reason in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Answer:
    """What a rule looks at: the text and the measured times; None is unknown."""

    text: str
    ttft_ms: float | None = None
    duration_ms: float | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Equals:
    """The answer is `value`, leading and trailing blanks aside. `{{expected}}` and other columns are filled in."""

    value: str
    ignore_case: bool = False
    kind: Literal["equals"] = "equals"


@dataclass(frozen=True)
class Contains:
    """`value` occurs in the answer."""

    value: str
    ignore_case: bool = False
    kind: Literal["contains"] = "contains"


@dataclass(frozen=True)
class Matches:
    """The regular expression `pattern` is found in the answer; filled-in columns are taken literally."""

    pattern: str
    ignore_case: bool = False
    kind: Literal["regex"] = "regex"


@dataclass(frozen=True)
class IsJson:
    """The answer is one JSON value, alone or in one fenced block."""

    kind: Literal["json"] = "json"


@dataclass(frozen=True)
class FitsSchema:
    """The answer is JSON that the JSON schema allows; `schema` is the schema's own JSON text."""

    schema: str
    kind: Literal["json_schema"] = "json_schema"


@dataclass(frozen=True)
class LengthWithin:
    """The answer has at least `least` and at most `most` of `unit`; None is no bound."""

    least: int | None = None
    most: int | None = None
    unit: Literal["characters", "words", "tokens"] = "characters"
    kind: Literal["length"] = "length"


@dataclass(frozen=True)
class FasterThan:
    """The time `of` ("ttft_ms" or "duration_ms") is at most `limit_ms`."""

    limit_ms: float
    of: Literal["ttft_ms", "duration_ms"] = "duration_ms"
    kind: Literal["latency"] = "latency"


Rule = Equals | Contains | Matches | IsJson | FitsSchema | LengthWithin | FasterThan


@dataclass(frozen=True)
class Scored:
    """One rule's word on one answer. Unknown (`score` and `passed` None) when there is nothing to hold it against."""

    score: float | None
    passed: bool | None
    reason: str


def parse_rule(raw: Mapping[str, object]) -> Rule:
    """The rule that a JSON object like {"kind": "contains", "value": "{{expected}}"} means.

    Raises BadInput (`param` names the field) for what cannot be a rule.
    """
    raise NotImplementedError


def rule_to_json(rule: Rule) -> dict[str, object]:
    """The JSON object of `rule`, which `parse_rule` reads back."""
    raise NotImplementedError


def describe_rule(rule: Rule) -> str:
    """The rule in a few words, for lists and exports."""
    raise NotImplementedError


def score_answer(rule: Rule, answer: Answer, *, columns: Mapping[str, str]) -> Scored:
    """What `rule` says of `answer`; `columns` are the case's columns (`expected` among them)."""
    raise NotImplementedError


def score_by_all(rules: Sequence[Rule], answer: Answer, *, columns: Mapping[str, str]) -> Scored:
    """All rules together: the mean of the known scores, passed when every known rule passed."""
    raise NotImplementedError
