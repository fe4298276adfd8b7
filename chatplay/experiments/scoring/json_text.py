"""An answer as JSON: the whole of it, or the one fenced block in it; strict, and safe to read whatever it holds."""

from __future__ import annotations

import json
import math

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
    """What stands in fenced blocks that are closed. Line by line: a pattern could be kept busy by an answer."""
    blocks: list[str] = []
    inside: list[str] | None = None
    for line in text.split("\n"):
        fence, marked, language = line.strip(" \t").partition("```")
        if inside is None:
            if marked and not fence and language.strip(" \t").lower() in ("", "json"):
                inside = []
        elif marked and not fence and not language:
            blocks.append("\n".join(inside))
            inside = None
        else:
            inside.append(line)
    return blocks


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
