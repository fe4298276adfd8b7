"""Scoring rules as small typed values: read from JSON with errors that name the cure, written back, described."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast, get_args

from chatplay.errors import BadInput

MOST_TEXT_CHARS = 10_000
MOST_PATTERN_CHARS = 500
MOST_SCHEMA_CHARS = 20_000
_MOST_BOUND = 10_000_000


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
_TYPES = {one.kind: one for one in get_args(Rule)}


def parse_rule(raw: Mapping[str, object]) -> Rule:
    """The rule that a JSON object like {"kind": "contains", "value": "{{expected}}"} means.

    Raises BadInput (`param` names the field) for what cannot be a rule.
    """
    kind = raw.get("kind")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise BadInput(
            f"There is no rule of the kind {kind!r}.", param="kind", cure=f"Choose one of: {', '.join(_READERS)}."
        )
    known, read = reader
    if unknown := sorted(set(raw) - {"kind", *known}):
        raise BadInput(
            f"A rule of the kind {kind} has no {unknown[0]!r}.",
            param=unknown[0],
            cure=f"Leave it out; it has: {', '.join(known)}." if known else "Leave it out.",
        )
    return read(raw)


def rule_to_json(rule: Rule) -> dict[str, object]:
    """The JSON object of `rule`, which `parse_rule` and `rule_from_json` read back."""
    return asdict(rule)


def rule_from_json(stored: Mapping[str, Any]) -> Rule:
    """The inverse of `rule_to_json` for stored rules, unchecked: they were checked when they were planned."""
    rule: Rule = _TYPES[stored["kind"]](**stored)
    return rule


def describe_rule(rule: Rule) -> str:
    """The rule in a few words, for lists and exports."""
    match rule:
        case Equals():
            return f"equals {_quote(rule.value)}{_case_words(rule.ignore_case)}"
        case Contains():
            return f"contains {_quote(rule.value)}{_case_words(rule.ignore_case)}"
        case Matches():
            return f"matches {_quote(rule.pattern)}{_case_words(rule.ignore_case)}"
        case IsJson():
            return "is JSON"
        case FitsSchema():
            return "is JSON that fits the schema"
        case LengthWithin():
            return f"has {_bound_words(rule)} {rule.unit}"
        case FasterThan():
            return f"{TIME_NAMES[rule.of]} at most {rule.limit_ms:,.15g} ms"


TIME_NAMES = {"ttft_ms": "time to first token", "duration_ms": "duration"}


def _bound_words(rule: LengthWithin) -> str:
    if rule.least is None:
        return f"at most {rule.most:,}"
    return f"at least {rule.least:,}" if rule.most is None else f"{rule.least:,} to {rule.most:,}"


def _case_words(ignore_case: bool) -> str:
    return ", capitals aside" if ignore_case else ""


def _quote(text: str) -> str:
    return f"“{text if len(text) <= 60 else text[:59] + '…'}”"


def _read_equals(raw: Mapping[str, object]) -> Equals:
    return Equals(_text(raw, "value", MOST_TEXT_CHARS), _flag(raw, "ignore_case"))


def _read_contains(raw: Mapping[str, object]) -> Contains:
    return Contains(_text(raw, "value", MOST_TEXT_CHARS), _flag(raw, "ignore_case"))


def _read_matches(raw: Mapping[str, object]) -> Matches:
    from chatplay.experiments.scoring.patterns import check_pattern

    rule = Matches(_text(raw, "pattern", MOST_PATTERN_CHARS), _flag(raw, "ignore_case"))
    check_pattern(rule.pattern)
    return rule


def _read_schema(raw: Mapping[str, object]) -> FitsSchema:
    from chatplay.experiments.scoring.schemas import check_schema, nested_too_deeply

    schema = raw.get("schema")
    try:
        written = schema if isinstance(schema, str) else json.dumps(schema, ensure_ascii=False)
    except RecursionError:
        raise nested_too_deeply() from None
    text = _text({"schema": written if schema is not None else ""}, "schema", MOST_SCHEMA_CHARS)
    check_schema(text)
    return FitsSchema(text)


def _read_length(raw: Mapping[str, object]) -> LengthWithin:
    least, most = _bound(raw, "least"), _bound(raw, "most")
    if least is None and most is None:
        raise BadInput("The length has no bound.", param="most", cure="Give least, most or both.")
    if least is not None and most is not None and least > most:
        raise BadInput(f"At least {least:,} and at most {most:,} leaves nothing.", param="least", cure="Swap them.")
    unit = _choice(raw, "unit", ("characters", "words", "tokens"))
    return LengthWithin(least, most, cast(Literal["characters", "words", "tokens"], unit))


def _read_latency(raw: Mapping[str, object]) -> FasterThan:
    limit = raw.get("limit_ms")
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit <= _MOST_BOUND:
        raise BadInput(
            "The time limit is not a number above 0.", param="limit_ms", cure="Give milliseconds, 2000 for 2 seconds."
        )
    of = _choice(raw, "of", ("duration_ms", "ttft_ms"))
    return FasterThan(float(limit), cast(Literal["ttft_ms", "duration_ms"], of))


def _text(raw: Mapping[str, object], name: str, most_chars: int) -> str:
    text = raw.get(name)
    if not isinstance(text, str) or not text.strip():
        raise BadInput(f"The rule's {name} is empty.", param=name, cure="Write the text to compare with.")
    if len(text) > most_chars:
        raise BadInput(
            f"The rule's {name} has {len(text):,} characters.", param=name, cure=f"Keep it within {most_chars:,}."
        )
    return text


def _flag(raw: Mapping[str, object], name: str) -> bool:
    flag = raw.get(name, False)
    if not isinstance(flag, bool):
        raise BadInput(f"{name} is {flag!r}.", param=name, cure="Set it to true or false.")
    return flag


def _bound(raw: Mapping[str, object], name: str) -> int | None:
    bound = raw.get(name)
    if bound is None:
        return None
    if isinstance(bound, bool) or not isinstance(bound, int) or not 0 <= bound <= _MOST_BOUND:
        raise BadInput(
            f"{name} is {bound!r}.", param=name, cure=f"Give a whole number from 0 to {_MOST_BOUND:,}, or nothing."
        )
    return bound


def _choice(raw: Mapping[str, object], name: str, choices: tuple[str, ...]) -> str:
    choice = raw.get(name, choices[0])
    if choice not in choices:
        raise BadInput(f"{name} is {choice!r}.", param=name, cure=f"Choose one of: {', '.join(choices)}.")
    return str(choice)


_READERS: dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, object]], Rule]]] = {
    "equals": (("value", "ignore_case"), _read_equals),
    "contains": (("value", "ignore_case"), _read_contains),
    "regex": (("pattern", "ignore_case"), _read_matches),
    "json": ((), lambda _: IsJson()),
    "json_schema": (("schema",), _read_schema),
    "length": (("least", "most", "unit"), _read_length),
    "latency": (("limit_ms", "of"), _read_latency),
}
