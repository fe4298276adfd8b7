"""An answer as JSON: the whole of it, or the one fenced block in it; strict, and safe to read whatever it holds."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

MOST_JSON_CHARS = 200_000
_SHOWN_DIGITS = 20


class NotJson(ValueError):
    """The message says why, in words for the person."""


def read_json(text: str) -> object:
    """The value of the JSON in `text`. Raises NotJson."""
    if len(text) > MOST_JSON_CHARS:
        raise NotJson(f"The answer is longer than {MOST_JSON_CHARS:,} characters: it was not read.")
    try:
        return _parse(text)
    except json.JSONDecodeError as error:
        blocks = _fenced(text)
        if len(blocks) != 1:
            raise NotJson(_say(error)) from None
    try:
        return _parse(blocks[0])
    except json.JSONDecodeError as error:
        raise NotJson(_say(error)) from None


def _fenced(text: str) -> list[str]:
    """What stands in closed fenced blocks of JSON or of no language. Line by line: a pattern could be kept busy by an
    answer.
    """
    blocks: list[str] = []
    opened: _Fence | None = None
    inside: list[str] = []
    for line in text.split("\n"):
        fence = _read_fence(line)
        if opened is None:
            opened, inside = fence, []
        elif fence is None or not fence.closes(opened):
            inside.append(line)
        else:
            if opened.language in ("", "json"):
                blocks.append("\n".join(inside))
            opened = None
    return blocks


@dataclass(frozen=True)
class _Fence:
    """A line of `signs`, three backticks or tildes or more, and what follows them (CommonMark 0.31, 4.5)."""

    signs: str
    language: str

    def closes(self, opened: _Fence) -> bool:
        return not self.language and self.signs.startswith(opened.signs)


def _read_fence(line: str) -> _Fence | None:
    """None for a line that is no fence. Any indent will do: blocks in lists have some."""
    text = line.strip(" \t\r")
    rest = text.lstrip(text[:1])
    signs = text[: len(text) - len(rest)]
    if not signs.startswith(("```", "~~~")) or (signs[0] == "`" and "`" in rest):
        return None
    return _Fence(signs, rest.strip(" \t").lower())


def _parse(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_read_float)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise NotJson("Not read: the JSON is nested too deeply.") from None
    except ValueError as error:  # a number out of range, or of thousands of digits
        raise NotJson(f"Not read: {error}") from None


def _read_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        shown = digits if len(digits) <= _SHOWN_DIGITS else digits[: _SHOWN_DIGITS - 1] + "…"
        raise ValueError(f"the number {shown} is out of range.")
    return number


def _refuse(constant: str) -> object:
    raise NotJson(f"{constant} is not JSON.")


def _say(error: json.JSONDecodeError) -> str:
    return f"Not JSON: {error.msg.lower()} in line {error.lineno}, column {error.colno}."
