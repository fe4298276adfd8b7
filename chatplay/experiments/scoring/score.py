"""What a rule says of an answer: 0..1, passed or not, and the reason in words; never a hang, whatever the rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chatplay import templates
from chatplay.experiments.scoring.json_text import NotJson, read_json
from chatplay.experiments.scoring.rules import (
    TIME_NAMES,
    Contains,
    Equals,
    FasterThan,
    FitsSchema,
    IsJson,
    LengthWithin,
    Matches,
    Rule,
)

_SHOWN_CHARS = 80


@dataclass(frozen=True)
class Answer:
    """What a rule looks at: the text and the measured times; None is unknown."""

    text: str
    ttft_ms: float | None = None
    duration_ms: float | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Scored:
    """One rule's word on one answer. Unknown (`score` and `passed` None) when there is nothing to hold it against."""

    score: float | None
    passed: bool | None
    reason: str


def score_answer(
    rule: Rule, answer: Answer, *, columns: Mapping[str, str], clock: Callable[[], float] = time.monotonic
) -> Scored:
    """What `rule` says of `answer`; `columns` are the case's columns (`expected` among them)."""
    match rule:
        case Equals() | Contains() | Matches():
            return _score_text(rule, answer.text, columns)
        case IsJson():
            return _score_json(answer.text)
        case FitsSchema():
            return _score_schema(rule, answer.text, clock)
        case LengthWithin():
            return _score_length(rule, answer)
        case FasterThan():
            return _score_time(rule, answer)


def combine(scored: Sequence[Scored]) -> tuple[float | None, bool | None]:
    """Score and passed of all rules together: the mean of the known scores, passed when every known rule passed.

    A rule without a verdict counts neither way; unknown when none has one.
    """
    known = [one.score for one in scored if one.score is not None]
    if not known:
        return None, None
    return sum(known) / len(known), all(one.passed for one in scored if one.passed is not None)


def _score_text(rule: Equals | Contains | Matches, text: str, columns: Mapping[str, str]) -> Scored:
    template = rule.pattern if isinstance(rule, Matches) else rule.value
    wanted = [name for name in templates.variables(template) if not columns.get(name, "").strip()]
    if wanted:
        return _unknown(f"This case has nothing in the column {wanted[0]}.")
    if isinstance(rule, Matches):
        return _score_pattern(rule, text, columns)
    value = templates.fill(template, columns, where="rule").strip()
    given, sought = (_fold(text.strip(), rule.ignore_case), _fold(value, rule.ignore_case))
    if isinstance(rule, Equals):
        return _result(given == sought, f"Equals {_show(value)}.", f"Not {_show(value)} but {_show(text.strip())}.")
    return _result(sought in given, f"Contains {_show(value)}.", f"{_show(value)} is not in the answer.")


def _score_pattern(rule: Matches, text: str, columns: Mapping[str, str]) -> Scored:
    from chatplay.experiments.scoring.patterns import PatternFailed, find_match

    try:
        found = find_match(rule.pattern, text, columns=columns, ignore_case=rule.ignore_case)
    except PatternFailed as failed:
        return _unknown(str(failed))
    return _result(found is not None, f"Found {_show(found or '')}.", "The pattern is not in the answer.")


def _score_json(text: str) -> Scored:
    try:
        read_json(text)
    except NotJson as error:
        return _result(False, "", str(error))
    return _result(True, "The answer is JSON.", "")


def _score_schema(rule: FitsSchema, text: str, clock: Callable[[], float]) -> Scored:
    from chatplay.experiments.scoring.schemas import SchemaFailed, find_fault

    try:
        fault = find_fault(rule.schema, read_json(text), clock=clock)
    except NotJson as error:
        return _result(False, "", str(error))
    except SchemaFailed as failed:
        return _unknown(str(failed))
    return _result(fault is None, "The answer fits the schema.", fault or "")


def _score_length(rule: LengthWithin, answer: Answer) -> Scored:
    length = _length(rule, answer)
    if length is None:
        return _unknown("How many tokens the answer has is not known.")
    if rule.least is not None and length < rule.least:
        return _result(False, "", f"{length:,} {rule.unit}, fewer than {rule.least:,}.")
    if rule.most is not None and length > rule.most:
        return _result(False, "", f"{length:,} {rule.unit}, more than {rule.most:,}.")
    return _result(True, f"{length:,} {rule.unit}.", "")


def _length(rule: LengthWithin, answer: Answer) -> int | None:
    if rule.unit == "tokens":
        return answer.completion_tokens
    return len(answer.text.split()) if rule.unit == "words" else len(answer.text.strip())


def _score_time(rule: FasterThan, answer: Answer) -> Scored:
    taken_ms = answer.ttft_ms if rule.of == "ttft_ms" else answer.duration_ms
    name = TIME_NAMES[rule.of].capitalize()
    if taken_ms is None:
        return _unknown(f"{name} was not measured.")
    words = f"{name} {taken_ms:,.0f} ms"
    return _result(taken_ms <= rule.limit_ms, f"{words}.", f"{words}, more than {rule.limit_ms:,.15g} ms.")


def _result(passed: bool, good: str, bad: str) -> Scored:
    return Scored(float(passed), passed, good if passed else bad)


def _unknown(reason: str) -> Scored:
    return Scored(None, None, reason)


def _fold(text: str, ignore_case: bool) -> str:
    return text.casefold() if ignore_case else text


def _show(text: str) -> str:
    line = " ".join(text.split())
    return f"“{line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 1] + '…'}”"
