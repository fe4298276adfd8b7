"""Names and titles as people type them: one line each."""

from __future__ import annotations

from chatplay.errors import BadInput
from chatplay.params import unsendable_character


def checked_line(text: str, *, what: str, limit: int) -> str:
    """`text` with single blanks. Raises BadInput for the parameter `what`, "name" or "title", when it is empty, longer
    than `limit` characters or holds what cannot be stored.
    """
    line = " ".join(text.split())
    if bad := unsendable_character(line):
        raise BadInput(f"The {what} holds {bad}.", param=what, cure="Remove it.")
    if not 1 <= len(line) <= limit:
        cure = "Type a shorter one." if line else "Type one."
        raise BadInput(f"A {what} has 1 to {limit} characters.", param=what, cure=cure)
    return line
