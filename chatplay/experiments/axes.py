"""Axes written as text: `0, 0.5, 1` or `0:1:0.25`, checked against the ranges of the models."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from chatplay import params as parameters
from chatplay.errors import BadInput
from chatplay.params import Spec

MAX_LEVELS = 50
_MOST, _LEAST = Decimal(10) ** 12, Decimal(10) ** -12  # how large and how small a number may be
_NUMBER_CHARS = 40
_UNSET = ("unset", "none")
_LABEL_CHARS = 60


@dataclass(frozen=True)
class Levels:
    """The values of one axis with their labels, equally long."""

    param: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]


def parse_axis(param: str, text: str) -> Levels:
    """The levels that `text` names. Raises BadInput with `param` set.

    Numbers: a list of values, of ranges `start:stop:step` (both ends in, when the step meets them), of both. `unset`
    leaves a parameter to the server. Stop sequences: a JSON list of lists (`[[], ["END"]]`), or plain texts as in CSV,
    each a level of its own. System prompts: one per line.
    """
    spec = parameters.get_spec(param)
    values = _VALUES_OF[spec.kind](spec, text)
    if not values:
        raise BadInput(f"{spec.label}: there is no value to try.", param=param, cure="Write some, such as 0, 0.5, 1.")
    _check_count(spec, len(values))
    labels = tuple(label_of(value) for value in values)
    if len(set(map(repr, values))) < len(values):
        twice = next(label for place, label in enumerate(labels) if label in labels[:place])
        raise BadInput(f"{spec.label}: {twice} is there twice.", param=param, cure="Take one of them out.")
    return Levels(param, tuple(values), labels)


def label_of(value: Any) -> str:
    """A level as tables and legends show it."""
    if value is None:
        return "unset"
    if isinstance(value, (int, float)):
        return parameters.number_text(value)
    if isinstance(value, tuple):
        return " | ".join(json.dumps(item, ensure_ascii=False) for item in value) or "none"
    return value if len(value) <= _LABEL_CHARS else f"{value[: _LABEL_CHARS - 3]}..."


def _numbers(spec: Spec, text: str) -> list[Any]:
    values: list[Any] = []
    for part in (part.strip() for part in text.replace("\n", ",").replace(";", ",").split(",")):
        if part.lower() in _UNSET:
            values.append(None)
        elif ":" in part:
            values += _range(spec, part, room=MAX_LEVELS - len(values))
        elif part:
            values.append(_number(spec, part))
        _check_count(spec, len(values))
    # A model may take a wider range than the table's: the plan checks against each of its models.
    anything = {spec.name: parameters.Range(-math.inf, math.inf)}
    return [parameters.check(spec, value, anything) for value in values]


def _range(spec: Spec, part: str, *, room: int) -> list[float]:
    ends = [_decimal(spec, piece, part) for piece in part.split(":")]
    if len(ends) != 3:
        raise BadInput(
            f"{spec.label}: `{part}` is not start:stop:step.",
            param=spec.name,
            cure="Write it as 0:1:0.25, for example.",
        )
    start, stop, step = ends
    if step == 0 or (stop - start) * step < 0:
        raise BadInput(
            f"{spec.label}: `{part}` never gets from {start} to {stop}.",
            param=spec.name,
            cure="The step must not be 0 and must lead towards the end.",
        )
    steps = int((stop - start) / step)
    _check_count(spec, steps + 1 + MAX_LEVELS - room)
    # Decimal: with floats 0:1:0.1 would hold 0.30000000000000004 and might miss its end.
    return [_plain(start + step * place) for place in range(steps + 1)]


def _number(spec: Spec, part: str) -> float:
    return _plain(_decimal(spec, part, part))


def _plain(number: Decimal) -> float:
    return int(number) if number == number.to_integral_value() else float(number)


def _decimal(spec: Spec, piece: str, part: str) -> Decimal:
    digits = piece.strip()
    try:
        number = Decimal(digits if len(digits) <= _NUMBER_CHARS else "NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    # 1e-999999 is quickly written, but sums with it take minutes.
    if not number.is_finite() or number.copy_abs() > _MOST or 0 < number.copy_abs() < _LEAST:
        raise BadInput(
            f"{spec.label}: `{part[:40]}` is not a number.",
            param=spec.name,
            cure="Write numbers as 0, 0.5, 1 or 0:1:0.25.",
        )
    return number if number else Decimal(0)


def _lists(spec: Spec, text: str) -> list[Any]:
    found: list[Any]
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise BadInput(
                f"{spec.label}: this is not a JSON list.",
                param=spec.name,
                cure='Write it as [[], ["END"]], for example.',
            ) from None
        found = [[item] if isinstance(item, str) else item for item in found]
    else:
        found = [[] if part.lower() in _UNSET else [part] for part in _parts(spec, text) if part]
    return [parameters.check(spec, item) for item in found]


def _parts(spec: Spec, text: str) -> list[str]:
    try:
        rows = list(csv.reader(io.StringIO(text), skipinitialspace=True, strict=True))
    except csv.Error:
        raise BadInput(
            f"{spec.label}: a quotation mark is not closed, or stands inside a text in quotation marks.",
            param=spec.name,
            cure='Close it, or double those inside, as in "say ""hi""".',
        ) from None
    return [part.strip() for row in rows for part in row]


def _lines(spec: Spec, text: str) -> list[Any]:
    return [parameters.check(spec, line.strip()) for line in text.splitlines() if line.strip()]


def _check_count(spec: Spec, count: int) -> None:
    if count > MAX_LEVELS:
        raise BadInput(
            f"{spec.label} has more than {MAX_LEVELS} values.",
            param=spec.name,
            cure="Take a wider step or fewer values.",
        )


_VALUES_OF = {"float": _numbers, "int": _numbers, "list": _lists, "text": _lines}
