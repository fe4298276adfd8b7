"""Scoring rules of experiments: read them, show them, and hold answers against them."""

from chatplay.experiments.scoring.rules import (
    Contains,
    Equals,
    FasterThan,
    FitsSchema,
    IsJson,
    LengthWithin,
    Matches,
    Rule,
    describe_rule,
    parse_rule,
    rule_from_json,
    rule_to_json,
)
from chatplay.experiments.scoring.score import Answer, Scored, combine, score_answer

__all__ = [
    "Answer",
    "Contains",
    "Equals",
    "FasterThan",
    "FitsSchema",
    "IsJson",
    "LengthWithin",
    "Matches",
    "Rule",
    "Scored",
    "combine",
    "describe_rule",
    "parse_rule",
    "rule_from_json",
    "rule_to_json",
    "score_answer",
]
