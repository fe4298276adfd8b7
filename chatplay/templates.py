r"""Prompt templates: `{{name}}` is filled with the value called so; `\{{name}}` stays as it is typed.

A name begins with a letter or underscore and goes on with letters, digits, `_`, `-`, `.` and single spaces, so that
the columns of a table can be used as they are called. Braces around anything else are text like any other. A value
is never looked into again: braces in it stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from chatplay.errors import BadInput

_MOST_FILLED_CHARS = 10_000_000

# The backslashes before the braces belong to the match: each pair stands for one, an odd one escapes the braces. A
# match begins with the first of them: tried from each, a long row of backslashes would take minutes.
_VARIABLE = re.compile(r"(?<!\\)(\\*)(\{\{[ \t]*([^\W\d](?:[\w.-]| (?=[\w.-]))*)[ \t]*\}\})")
_NAME = re.compile(r"[^\W\d](?:[\w.-]| (?=[\w.-]))*")


def is_name(text: str) -> bool:
    """Whether a variable can be called so."""
    return _NAME.fullmatch(text) is not None


def variables(*texts: str) -> tuple[str, ...]:
    """The names used in the texts, each once, in the order of their first use."""
    found = (match[3] for text in texts for match in _VARIABLE.finditer(text) if not _is_escaped(match))
    return tuple(dict.fromkeys(found))


def missing(texts: Iterable[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Names that the texts use and `values` does not have. An empty value is a value."""
    return tuple(name for name in variables(*texts) if name not in values)


def fill(text: str, values: Mapping[str, str], *, where: str = "prompt") -> str:
    """`text` with every variable replaced. `where` says in errors which text it is.

    Raises BadInput with `param` set to the first name without a value, or when the text would grow beyond all bounds.
    """
    if absent := missing((text,), values):
        raise BadInput(_missing_message(absent, where), param=absent[0], cure=_cure(absent))

    _check_length(text, values, where)

    def value_of(match: re.Match[str]) -> str:
        return "\\" * (len(match[1]) // 2) + (match[2] if _is_escaped(match) else values[match[3]])

    return _VARIABLE.sub(value_of, text)


def escape(text: str) -> str:
    """A template that is `text` itself once it is filled."""
    return _VARIABLE.sub(lambda match: "\\" * (2 * len(match[1]) + 1) + match[2], text)


def _check_length(text: str, values: Mapping[str, str], where: str) -> None:
    """A short template that names a long value thousands of times would fill the memory."""
    found = (match for match in _VARIABLE.finditer(text) if not _is_escaped(match))
    if len(text) + sum(len(values[match[3]]) for match in found) > _MOST_FILLED_CHARS:
        raise BadInput(
            f"The {where} with its values has more than {_MOST_FILLED_CHARS:,} characters.",
            param="prompt",
            cure="Use its variables less often, or shorten their values.",
        )


def _is_escaped(match: re.Match[str]) -> bool:
    return len(match[1]) % 2 == 1


def _missing_message(names: tuple[str, ...], where: str) -> str:
    shown = ", ".join(f"`{{{{{name}}}}}`" for name in names)
    return f"The {where} uses {shown}, which {'has' if len(names) == 1 else 'have'} no value."


def _cure(names: tuple[str, ...]) -> str:
    it = "a value" if len(names) == 1 else "values"
    return f"Give {it}, or write `\\{{{{{names[0]}}}}}` where the braces themselves are meant."
