"""Regular expressions with a time limit: one that backtracks without end is stopped and named."""

from __future__ import annotations

import re
from collections.abc import Mapping

import regex

from chatplay import templates
from chatplay.errors import BadInput

LIMIT_SEC = 0.5
_MOST_TIMES = 1000

_COUNT = re.compile(r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}")
_SLOW = "Make it simpler: repeats inside repeats, as in (a+)+, take the longest."


class PatternFailed(Exception):
    """The pattern gave no answer; the message says why."""


def check_pattern(pattern: str) -> None:
    """Raises BadInput (`param` "pattern") when `pattern`, its columns filled in, cannot be used."""
    check_counts(pattern)
    try:
        _compile(pattern, dict.fromkeys(templates.variables(pattern), "x"), ignore_case=False)
    except (regex.error, RecursionError) as error:
        raise BadInput(
            f"This is no regular expression: {error}.",
            param="pattern",
            cure="Mend it, or put a backslash before signs that are meant literally.",
        ) from None


def check_counts(pattern: str, *, param: str = "pattern") -> None:
    """Raises BadInput for counts like {n} that would fill the memory when the pattern is compiled."""
    # The compiler writes small counts out, one inside the other multiply.
    times = 1
    for counts in _COUNT.findall(pattern):
        times *= max(1, *(int(count[:9]) for count in counts if count))
    if times > _MOST_TIMES:
        raise BadInput(
            f"The pattern's counts like {{n}} multiply to more than {_MOST_TIMES:,}.",
            param=param,
            cure="Use smaller counts, or + and *.",
        )


def find_match(
    pattern: str, text: str, *, columns: Mapping[str, str], ignore_case: bool, limit_sec: float = LIMIT_SEC
) -> str | None:
    """The first text in `text` that `pattern` matches, or None. Raises PatternFailed.

    The search runs without the interpreter's lock, so other threads go on meanwhile.
    """
    try:
        compiled = _compile(pattern, columns, ignore_case=ignore_case)
        found = compiled.search(text, timeout=limit_sec, concurrent=True)
    except TimeoutError:
        raise PatternFailed(f"The pattern took longer than {limit_sec:g} s and was stopped. {_SLOW}") from None
    except (regex.error, RecursionError, MemoryError) as error:
        raise PatternFailed(f"The pattern cannot be used for this case: {error}.") from None
    return None if found is None else str(found[0])


def _compile(pattern: str, columns: Mapping[str, str], *, ignore_case: bool) -> regex.Pattern[str]:
    literal = {name: regex.escape(columns[name]) for name in templates.variables(pattern)}
    return regex.compile(templates.fill(pattern, literal, where="rule"), regex.IGNORECASE if ignore_case else 0)
