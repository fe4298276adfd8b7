"""The one table of sampling parameters: sliders, validation, JSON schema, sweep axes and docs read it.

To add a parameter, add a field to `Params`. It is sent under its own name, unless it is not set.
"""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from chatplay.errors import BadInput

Kind = Literal["float", "int", "text", "list"]
Tier = Literal["basic", "advanced"]
_ALL_WHOLE = 2.0**53  # from here on a float has no digit after the point, and not every whole number is one
_HUGE = 1e300  # also what is no number and what is infinite are not below it


@dataclass(frozen=True)
class Range:
    """Closed interval [low, high]; a model's registry entry may widen or narrow one."""

    low: float
    high: float


@dataclass(frozen=True)
class Spec:
    """How one parameter is called, bounded, drawn and sent.

    `unset_label` is set for parameters that may be None, which means "leave it to the server".
    `sampling` is False for what shapes the prompt instead of the sampler (the system prompt).
    `off_at_zero`: 0 does the same as leaving it out.
    `range` is what people choose from; `protocol`, wider, is what the OpenAI protocol lets a program ask for.
    """

    name: str
    label: str
    kind: Kind
    tier: Tier
    help: str
    default: Any
    range: Range | None = None
    protocol: Range | None = None
    step: float | None = None
    unset_label: str | None = None
    max_items: int | None = None
    max_chars: int | None = None
    sampling: bool = True
    off_at_zero: bool = False


_MAX_TOKENS = Range(256, 1024)


def _param(default: Any, **spec: Any) -> Any:
    return field(default=default, metadata={"spec": spec})


@dataclass(frozen=True)
class Params:
    """The settings of one call. None means "not sent: the server's own default applies"."""

    temperature: float | None = _param(
        0.7,
        label="Temperature",
        kind="float",
        tier="basic",
        range=Range(0.0, 1.0),
        protocol=Range(0.0, 2.0),
        step=0.05,
        help="How freely the model picks among likely tokens. 0 takes the likeliest each time; "
        "higher values vary more.",
    )
    max_tokens: int | None = _param(
        512,
        label="Max tokens",
        kind="int",
        tier="basic",
        range=_MAX_TOKENS,
        protocol=Range(1, 2**31 - 1),
        step=64,
        help="The answer ends after this many tokens at the latest (finish reason `length`). "
        f"{_MAX_TOKENS.low:,} to {_MAX_TOKENS.high:,} unless an administrator widens it on the Models page.",
    )
    top_p: float | None = _param(
        1.0,
        label="Top-p",
        kind="float",
        tier="advanced",
        range=Range(0.0, 1.0),
        protocol=Range(0.0, 1.0),
        step=0.05,
        help="Sample only from the likeliest tokens that together reach this probability. 1.0 leaves all tokens in.",
    )
    seed: int | None = _param(
        None,
        label="Seed",
        kind="int",
        tier="advanced",
        range=Range(0, 2**31 - 1),
        protocol=Range(-(2**63), 2**63 - 1),
        step=1,
        unset_label="random",
        help="The same seed and settings repeat the same answer where the server supports it.",
    )
    stop: tuple[str, ...] = _param(
        (),
        label="Stop sequences",
        kind="list",
        tier="advanced",
        max_items=4,
        max_chars=100,
        help="The answer ends before the first of these texts. Up to four.",
    )
    presence_penalty: float | None = _param(
        0.0,
        label="Presence penalty",
        kind="float",
        tier="advanced",
        range=Range(-2.0, 2.0),
        protocol=Range(-2.0, 2.0),
        step=0.1,
        off_at_zero=True,
        help="Above 0, tokens that already appeared become less likely, however often they did.",
    )
    frequency_penalty: float | None = _param(
        0.0,
        label="Frequency penalty",
        kind="float",
        tier="advanced",
        range=Range(-2.0, 2.0),
        protocol=Range(-2.0, 2.0),
        step=0.1,
        off_at_zero=True,
        help="Above 0, tokens become less likely with each time they appeared.",
    )
    system_prompt: str = _param(
        "",
        label="System prompt",
        kind="text",
        tier="advanced",
        max_chars=100_000,
        sampling=False,
        help="Instructions the model reads before the conversation.",
    )


SPECS: tuple[Spec, ...] = tuple(Spec(name=f.name, default=f.default, **f.metadata["spec"]) for f in fields(Params))
SAMPLING = tuple(spec.name for spec in SPECS if spec.sampling)
OFF_AT_ZERO = frozenset(spec.name for spec in SPECS if spec.off_at_zero)
_NUMBERS_UNSET: dict[str, Any] = {spec.name: None for spec in SPECS if spec.kind in ("float", "int")}
NOTHING_SET = Params(**_NUMBERS_UNSET)
_BY_NAME = {spec.name: spec for spec in SPECS}
_ANY_RANGE = {spec.name: Range(float("-inf"), float("inf")) for spec in SPECS if spec.range}
Ranges = Mapping[str, Range]


def get_spec(name: str) -> Spec:
    """The row called `name`. Raises BadInput naming the known ones."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise BadInput(
            f"There is no parameter called `{name}`.",
            param=name,
            cure=f"The parameters are {', '.join(_BY_NAME)}.",
        ) from None


def range_of(spec: Spec, overrides: Ranges | None = None) -> Range | None:
    """The range in force: the model's own where it has one, else the table's."""
    return (overrides or {}).get(spec.name, spec.range)


def program_ranges(overrides: Ranges | None = None) -> dict[str, Range]:
    """What a program's own request is held to: the model's ranges where it has some, else the protocol's.

    The lower end of max tokens is about sliders alone: a program may well want one word.
    """
    own = dict(overrides or {})
    protocol = {spec.name: spec.protocol for spec in SPECS if spec.protocol is not None}
    if (limits := own.get("max_tokens")) is not None:
        own["max_tokens"] = Range(protocol["max_tokens"].low, limits.high)
    return protocol | own


def parse(values: Mapping[str, Any], *, overrides: Ranges | None = None, base: Params | None = None) -> Params:
    """`values` (names to JSON-like values) laid over `base`, every one checked against the table.

    Raises BadInput with `param` set for an unknown name, a wrong type or a value out of range.
    """
    checked = {name: check(get_spec(name), value, overrides) for name, value in values.items()}
    return replace(base or Params(), **checked)


def validate(params: Params, *, overrides: Ranges | None = None) -> Params:
    """`params` again, or BadInput for the first value outside the range in force."""
    for spec in SPECS:
        check(spec, getattr(params, spec.name), overrides)
    return params


def clamp(params: Params, *, overrides: Ranges | None = None) -> Params:
    """`params` moved into the ranges in force: for settings remembered from another model."""
    changes: dict[str, Any] = {}
    for spec in SPECS:
        value, limits = getattr(params, spec.name), range_of(spec, overrides)
        if limits is not None and value is not None:
            moved = min(max(value, limits.low), limits.high)
            changes[spec.name] = int(moved) if spec.kind == "int" else moved
    return replace(params, **changes)


def to_json(params: Params) -> dict[str, Any]:
    """JSON-ready values by name, in table order; the inverse of `from_json`."""
    values = {spec.name: getattr(params, spec.name) for spec in SPECS}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def from_json(stored: Mapping[str, Any]) -> Params:
    """Params as they were stored, checked against the model's ranges then; what this version does not know or take is
    left out.
    """
    with contextlib.suppress(BadInput):
        return parse(stored, overrides=_ANY_RANGE)
    known = Params()
    for name, value in stored.items():
        with contextlib.suppress(BadInput):
            known = parse({name: value}, overrides=_ANY_RANGE, base=known)
    return known


def json_schema(overrides: Ranges | None = None) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the object `parse` accepts."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {spec.name: _property(spec, range_of(spec, overrides)) for spec in SPECS},
    }


def _property(spec: Spec, limits: Range | None) -> dict[str, Any]:
    kinds = {"float": "number", "int": "integer", "text": "string", "list": "array"}
    default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
    schema: dict[str, Any] = {"type": kinds[spec.kind], "description": spec.help, "default": default}
    if spec.kind in ("float", "int"):
        schema["type"] = [kinds[spec.kind], "null"]
    if limits is not None:
        whole = spec.kind == "int"
        schema["minimum"] = int(limits.low) if whole else limits.low
        schema["maximum"] = int(limits.high) if whole else limits.high
    if spec.kind == "list":
        schema |= {"items": {"type": "string", "minLength": 1, "maxLength": spec.max_chars}, "maxItems": spec.max_items}
    if spec.kind == "text":
        schema["maxLength"] = spec.max_chars
    return schema


def check(spec: Spec, value: Any, overrides: Ranges | None = None) -> Any:
    """`value` in the parameter's own type, or BadInput saying what it must be."""
    if spec.kind == "list":
        return _check_list(spec, value)
    if spec.kind == "text":
        return _check_text(spec, value, spec.max_chars)
    if value is None:
        return None
    return _check_number(spec, value, range_of(spec, overrides))


def _check_number(spec: Spec, value: Any, limits: Range | None) -> float | int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_HUGE < value < _HUGE:
        raise BadInput(f"{spec.label} must be a number, not {reprlib.repr(value)}.", param=spec.name)
    if spec.kind == "int" and value != int(value):
        raise BadInput(f"{spec.label} must be a whole number, not {value}.", param=spec.name)
    number = int(value) if spec.kind == "int" else float(value)
    if limits is not None and not limits.low <= number <= limits.high:
        bounds = f"{number_text(limits.low)} to {number_text(limits.high)}"
        raise BadInput(
            f"{spec.label} is {number_text(number)}, outside {bounds}.",
            param=spec.name,
            cure=f"Choose a value from {bounds}.",
        )
    return number


def _check_text(spec: Spec, value: Any, max_chars: int | None) -> str:
    if not isinstance(value, str):
        raise BadInput(f"{spec.label} must be text.", param=spec.name)
    if max_chars is not None and len(value) > max_chars:
        raise BadInput(
            f"{spec.label} has {len(value):,} characters; the limit is {max_chars:,}.",
            param=spec.name,
            cure="Shorten it.",
        )
    if bad := unsendable_character(value):
        raise BadInput(f"{spec.label} holds {bad}, which cannot be stored or sent.", param=spec.name, cure="Remove it.")
    return value


def _check_list(spec: Spec, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, (list, tuple)):
        raise BadInput(f"{spec.label} must be a list of texts.", param=spec.name)
    if spec.max_items is not None and len(value) > spec.max_items:
        raise BadInput(f"{spec.label}: at most {spec.max_items} are allowed, not {len(value)}.", param=spec.name)
    items = tuple(_check_text(spec, item, spec.max_chars) for item in value)
    if "" in items:
        raise BadInput(f"{spec.label}: an empty text would end every answer at once.", param=spec.name)
    return items


def number_text(value: float) -> str:
    """`value` with all its digits and no more, which reads back as it is: `0.7`, `512`, `2147483647`."""
    is_whole = isinstance(value, int) or (value.is_integer() and abs(value) < _ALL_WHOLE)
    return str(int(value)) if is_whole else repr(float(value))


def unsendable_character(text: str) -> str | None:
    """Name and place of the first character PostgreSQL text or UTF-8 cannot hold, or None."""
    for position, char in enumerate(text, start=1):
        if char == "\0":
            return f"a NUL character at position {position:,}"
        if "\ud800" <= char <= "\udfff":
            return f"half of a surrogate pair (U+{ord(char):04X}) at position {position:,}"
    return None
