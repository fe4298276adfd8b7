"""JSON schemas that cannot hang or reach out: nothing is fetched, patterns and references share one time limit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

import jsonschema
import regex
from jsonschema import validators
from referencing import Registry
from referencing.exceptions import Unresolvable

from chatplay.errors import BadInput
from chatplay.experiments.scoring.json_text import NotJson, read_json
from chatplay.experiments.scoring.patterns import check_counts

LIMIT_SEC = 2.0
_SHOWN_CHARS = 200
_NAMES = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_VALUES = frozenset({"enum", "const", "default", "examples"})


class SchemaFailed(Exception):
    """The schema gave no verdict; the message says why."""


def check_schema(text: str) -> None:
    """Raises BadInput (`param` "schema") when `text` is no JSON schema that can be used here."""
    try:
        schema = read_json(text)
    except NotJson as error:
        raise BadInput(f"The schema cannot be read. {error}", param="schema", cure="Mend the JSON.") from None
    if not isinstance(schema, dict):
        raise BadInput("A schema is a JSON object.", param="schema", cure='Begin with {"type": "object", ...}.')
    if not isinstance(schema.get("$schema", ""), str):
        raise BadInput("$schema is no text.", param="schema", cure="Leave it out, or name a draft of JSON schema.")
    try:
        _check(schema)
    except RecursionError:
        raise nested_too_deeply() from None


def nested_too_deeply() -> BadInput:
    """What is said of a schema that cannot be followed to its end."""
    return BadInput(
        "The schema is nested too deeply.", param="schema", cure='Move inner parts under "$defs" and refer to them.'
    )


def _check(schema: dict[str, Any]) -> None:
    try:
        _dialect(schema).check_schema(schema)
    except jsonschema.SchemaError as error:
        where = error.json_path.removeprefix("$").lstrip(".") or "the schema"
        raise BadInput(
            f"This is no JSON schema: {_shorten(error.message)} (at {where}).", param="schema", cure="Mend it there."
        ) from None
    for keyword, value in _list_keywords(schema):
        _check_keyword(keyword, value)


def find_fault(text: str, value: object, *, clock: Callable[[], float], limit_sec: float = LIMIT_SEC) -> str | None:
    """What in `value` the schema `text` does not allow, in words; None when it fits. Raises SchemaFailed."""
    try:
        schema = _load(text)
    except NotJson as error:
        raise SchemaFailed(f"The schema cannot be read. {error}") from None
    limited = _limit(_dialect(schema), _Deadline(clock, clock() + limit_sec))
    try:
        fault = next(limited(schema, registry=Registry()).iter_errors(value), None)
    except TimeoutError:
        raise SchemaFailed(f"The schema took longer than {limit_sec:g} s and was stopped. Make it simpler.") from None
    except RecursionError:
        raise SchemaFailed("The schema or the answer is nested too deeply.") from None
    except Unresolvable:
        raise SchemaFailed("The schema refers to a part that it does not have.") from None
    if fault is None:
        return None
    where = fault.json_path.removeprefix("$").lstrip(".")
    return _shorten(f"At {where}: {fault.message}." if where else f"{fault.message}.")


class _Deadline:
    """Time left on `clock` until `end_sec`; asking for it when there is none raises TimeoutError."""

    def __init__(self, clock: Callable[[], float], end_sec: float) -> None:
        self._clock, self._end_sec = clock, end_sec

    def left_sec(self) -> float:
        left = self._end_sec - self._clock()
        if left <= 0:
            raise TimeoutError
        return left


def _limit(dialect: Any, deadline: _Deadline) -> Any:
    """`dialect` with the keywords that can take very long under `deadline`."""

    def refer(keyword: str) -> Callable[..., Iterator[Any]]:
        original = dialect.VALIDATORS[keyword]

        def checked(validator: Any, reference: Any, instance: Any, schema: Any) -> Iterator[Any]:
            deadline.left_sec()
            yield from original(validator, reference, instance, schema) or ()

        return checked

    def match(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
        if validator.is_type(instance, "string") and not regex.search(
            pattern, instance, timeout=deadline.left_sec(), concurrent=True
        ):
            yield jsonschema.ValidationError(f"{_shorten(repr(instance))} does not match {pattern!r}")

    slow = {
        keyword: refer(keyword)
        for keyword in ("$ref", "$dynamicRef", "items", "anyOf")
        if keyword in dialect.VALIDATORS
    }
    return validators.extend(dialect, {**slow, "pattern": match, "uniqueItems": _differ, "multipleOf": _multiply})


def _differ(validator: Any, unique: bool, instance: Any, schema: Any) -> Iterator[Any]:
    """Like the original, in linear time."""
    if unique and validator.is_type(instance, "array"):
        seen = {json.dumps(_canonical(item), sort_keys=True) for item in instance}
        if len(seen) < len(instance):
            yield jsonschema.ValidationError("an item occurs twice")


def _multiply(validator: Any, unit: Any, instance: Any, schema: Any) -> Iterator[Any]:
    """Like the original, but exact in the digits as they are written, and for numbers of any length."""
    if validator.is_type(instance, "number") and (_exact(instance) / _exact(unit)).denominator != 1:
        yield jsonschema.ValidationError(f"{_shorten(repr(instance))} is not a multiple of {_shorten(repr(unit))}")


def _exact(number: Any) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(float(number)))


def _canonical(value: Any) -> Any:
    """1.0 and 1 are one number in JSON schema."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return {name: _canonical(item) for name, item in value.items()} if isinstance(value, dict) else value


def _check_keyword(keyword: str, value: object) -> None:
    if keyword in ("$ref", "$dynamicRef") and not str(value).startswith("#"):
        raise BadInput(
            "The schema refers to another document, and nothing is fetched from elsewhere.",
            param="schema",
            cure='Copy that part under "$defs" and refer to "#/$defs/its-name".',
        )
    if keyword == "patternProperties":
        raise BadInput("patternProperties is not supported.", param="schema", cure="Name the properties one by one.")
    if keyword == "pattern":
        check_counts(str(value), param="schema")
        try:
            regex.compile(str(value))
        except regex.error as error:
            raise BadInput(f"A pattern in the schema is not valid: {error}.", param="schema", cure="Mend it.") from None


def _list_keywords(schema: Any) -> Iterator[tuple[str, object]]:
    """Every keyword of the schema and of the schemas in it, but not the names of properties."""
    if isinstance(schema, list):
        for part in schema:
            yield from _list_keywords(part)
    elif isinstance(schema, dict):
        for keyword, value in schema.items():
            yield keyword, value
            if keyword in _NAMES and isinstance(value, dict):
                yield from _list_keywords(list(value.values()))
            elif keyword not in _VALUES:
                yield from _list_keywords(value)


def _dialect(schema: Any) -> Any:
    return validators.validator_for(schema, default=jsonschema.Draft202012Validator)


@lru_cache(maxsize=32)
def _load(text: str) -> Any:
    return read_json(text)


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
