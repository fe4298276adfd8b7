"""One line of hostile Markdown, read once from left to right and written anew: `markdown` says which lines those are.

Whole code spans, whole links and plain addresses are let through; any other character that could begin something is
escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

# Streamlit replaces `:name:` and some arrows in finished text, where a backslash no longer helps. A colour directive
# without a colour is a bare <span>: it parts the characters and shows, and copies, just them.
PARTED = ":color[%s]"

# Code in the text of a link is read as `_Line` reads it, by single backticks: a bracket that a search passed over as
# code is then never looked at again.
_LINK = re.compile(
    r"""!?\[(?P<text>(?:[^\[\]\\`\n]|\\.|(?<!`)`[^`\n]+`(?!`))*)\]
        \(\s*<?(?P<url>(?:https?://|mailto:)(?:[^\s()<>\\`\[\]"]|\([^\s()<>\\`\[\]"]*\))+)>?
        (?:\s+(?:"[^"\n]*"|'[^'\n]*'|\([^()\n]*\)))?\s*\)""",
    re.VERBOSE | re.IGNORECASE,
)
_AUTOLINK = re.compile(r"<(?:https?://|mailto:)(?:[^\s<>`\\\[\]$:]|:(?=\d))+>", re.IGNORECASE)
_BARE_URL = re.compile(
    r"(?:https?://|www\.)(?:[^\s<>()\[\]{}`\\|:&!]|!(?![!\[])|:(?!\w*:)|&(?!colon;|#))+", re.IGNORECASE
)
_ENTITY_COLON = re.compile(r"&(?:#0*58|#[xX]0*3[aA]|colon);")
_ARROW = re.compile(r"(?<![^\s*_~(\[])(?:<->|->|<-|--|>=|<=|~=)(?![^\s*_~)\]])")
_TASK = re.compile(r"[\s>]*(?:[-*+]|\d{1,9}[.)])\s+(?=(\[[ xX]\])\s)")
_SPECIAL = re.compile(r"[`\\!\[\]<>~:&${}]|-(?=[->])|(?<![^\W_])(?:https?://|www\.)", re.IGNORECASE)
PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_TRAIL = re.compile(r"(?<![!\\<>:=~&\-*_])[!\\<>:=~&\-*_]+\Z|&\w{0,8}\Z|&#\w{0,6}\Z")
PATIENCE_CHARS = 300  # so long a beginning that may still become something is waited for


def rewrite(line: str) -> Iterator[str]:
    """`line` in pieces: harmless runs, let-through code, links and addresses, and escaped characters."""
    at, known = 0, _Line(line)
    task = _TASK.match(line)
    if task:
        at = task.end(1)
        yield line[:at]
    while found := _SPECIAL.search(line, at):
        yield line[at : found.start()]
        piece, length = _next_piece(known, found.start())
        yield piece
        at = found.start() + length
    yield line[at:]


class _Line:
    """A line, and what is asked of all of it at one place after the other: found once, so the work stays linear."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts: dict[int, list[int]] = {}
        for found in re.finditer("`+", text):
            self._starts.setdefault(len(found[0]), []).append(found.start())
        for starts in self._starts.values():
            starts.reverse()

    @cached_property
    def first_letter(self) -> int:
        """Where the first letter stands; behind the line when it has none."""
        return next((at for at, char in enumerate(self.text) if char.isalpha()), len(self.text))

    def find_code_end(self, after: int, length: int) -> int | None:
        """Where the first run of just `length` backticks from `after` on ends. Asked from left to right."""
        starts = self._starts.get(length, [])
        while starts and starts[-1] < after:
            starts.pop()
        return starts[-1] + length if starts else None


def _next_piece(line: _Line, at: int) -> tuple[str, int]:
    """What to write for the text at `at`, and how many characters of the text that covers."""
    text, char = line.text, line.text[at]
    if char == "`":
        return _backticks(line, at)
    if char == "\\":
        return _backslash(text, at)
    if char in "![":
        return _bracket(text, at)
    if char in "<>-~":
        return _arrow_or_angle(line, at)
    if char == ":":
        return _colon(text, at)
    if char == "&":
        found = _ENTITY_COLON.match(text, at)
        return _spelled_colon(text, at, found.end()) if found else ("&", 1)
    if char in "]${}":
        return "\\" + char, 1
    found = _BARE_URL.match(text, at)
    return (_address(found[0]), len(found[0])) if found else (char, 1)


def _backticks(line: _Line, at: int) -> tuple[str, int]:
    run = re.compile("`+").match(line.text, at)
    length = len(run[0]) if run else 1
    end = line.find_code_end(at + length, length)
    return ("\\`" * length, length) if end is None else (line.text[at:end], end - at)


def _backslash(line: str, at: int) -> tuple[str, int]:
    """An escape stays one; a colon after it could still be part of `:name:`."""
    after = line[at + 1 : at + 2]
    if after not in PUNCTUATION:
        return "\\", 1
    return _spelled_colon(line, at, at + 2) if after == ":" else ("\\" + after, 2)


def _bracket(line: str, at: int) -> tuple[str, int]:
    """A whole link stays, an image becomes a link, any other bracket is text."""
    is_image = line.startswith("![", at)
    if line[at] == "!" and not is_image:  # what follows may be written as a link, which the sign would make an image
        return ("\\!" if line.startswith("!", at + 1) or _BARE_URL.match(line, at + 1) else "!"), 1
    found = _LINK.match(line, at)
    if found is None:
        return ("\\!\\[", 2) if is_image else ("\\[", 1)
    text = "".join(rewrite(found["text"]))
    label = f"image: {text}".rstrip(": ") if is_image else text
    return f"[{label}]({_target(found['url'])})", len(found[0])


def _target(url: str) -> str:
    """A dollar sign in the target of a link could still open a formula."""
    return url.replace("$", "%24")


def _address(url: str) -> str:
    """An address that stands for itself; with a dollar sign it becomes a link that shows one."""
    shown = url.replace("$", "\\$")
    return f"[{shown}]({_target(url)})" if "$" in url and url[:4].lower() == "http" else shown


def _arrow_or_angle(line: _Line, at: int) -> tuple[str, int]:
    text, char = line.text, line.text[at]
    arrow = _ARROW.match(text, at)
    # Only containers come before the first letter, and in them `>` is a block quote.
    if arrow and (char != ">" or line.first_letter < at):
        return _part(arrow[0]), len(arrow[0])
    if char != "<":
        return char, 1
    found = _AUTOLINK.match(text, at)
    return (found[0], len(found[0])) if found else ("\\<", 1)


def _colon(line: str, at: int) -> tuple[str, int]:
    """Before a letter a colon begins a directive, before a name and a colon an icon or emoji."""
    after = line[at + 1 : at + 2]
    if after.isalnum() or (after and after in "_+-&\\"):
        return PARTED % ":", 1
    return ("\\:" if after and after in ":[{" else ":"), 1


def _spelled_colon(line: str, at: int, end: int) -> tuple[str, int]:
    """A colon written as an entity or escaped, in brackets of its own: what follows is no target of theirs."""
    if line.startswith("(", end):
        return PARTED % ":" + "\\(", end + 1 - at
    return PARTED % ":", end - at


def _part(symbol: str) -> str:
    """`->` so that no arrow takes its place: the first character stands apart."""
    return PARTED % ("\\" + symbol[0]) + "".join("\\" + char for char in symbol[1:])


# ---- while the line is still coming ------------------------------------------------------------


def decided_length(line: str) -> int:
    """How much of an unfinished line looks the same whatever follows."""
    at, known = 0, _Line(line)
    while found := _SPECIAL.search(line, at):
        at = found.start()
        if len(line) - at < PATIENCE_CHARS and _is_half(known, at):
            return at
        at += _next_piece(known, at)[1]
    trail = _TRAIL.search(line)
    return trail.start() if trail else len(line)


# Only the last parenthesis in the target may be open, as in a link: were each free to be, every one would double
# the ways to read the rest.
_HALF_LINK = re.compile(
    r"""!?\[(?:[^\[\]\\`\n]|\\.|`[^`\n]*`)*(?:`[^`\n]*)?
        (?:\](?:\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*(?:\([^()\n]*)?)?)?\Z""",
    re.VERBOSE,
)


def _is_half(line: _Line, at: int) -> bool:
    """Whether a code span or a link begins at `at` whose end is still to come."""
    if line.text[at] == "`":
        return _backticks(line, at)[0].startswith("\\")
    return _HALF_LINK.match(line.text, at) is not None
