r"""A model's answer is hostile: `safe_markdown` leaves its Markdown and takes away its teeth.

No image is loaded (it becomes a link that says so), no HTML, LaTeX, colour, icon, emoji or footnote directive acts,
links lead only to http, https and mail addresses. Code blocks and code spans stay letter for letter.

How: markdown-it's block tokens say which lines are code; those are copied. Every other line is read once from left
to right and written anew: whole code spans, whole links and plain addresses are let through, any other character
that could begin something is escaped. Nothing depends on a neighbouring line, so a part of a text is as safe as the
whole, and the work is linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from markdown_it import MarkdownIt
from markdown_it.token import Token

# Streamlit replaces `:name:` and some arrows in finished text, where a backslash no longer helps. A colour directive
# without a colour is a bare <span>: it parts the characters and shows, and copies, just them.
_PARTED = ":color[%s]"

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
_RULE = re.compile(r"[\s>|:*_=-]*\Z")
_DELIMITER_ROW = re.compile(r"[\s>]*+(?=[^-]*-)(?:(?<=\s)|(?=-*[\s|:]))[\s|:-]+\Z")
_SPECIAL = re.compile(r"[`\\!\[\]<>~:&${}]|-(?=[->])|(?<![^\W_])(?:https?://|www\.)", re.IGNORECASE)
_FENCE_LINE = re.compile(r"(?P<head>.*?(?:`{3,}|~{3,}))(?P<info>.*)\Z")
_LANGUAGE = re.compile(r"[A-Za-z0-9_+#.][A-Za-z0-9_+#.-]{0,40}\Z")
_CODE = re.compile(r"((?<!`)`[^`\n]+`(?!`))")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def _parser() -> MarkdownIt:
    """The blocks as the browser will see them once we have escaped: no HTML, no link definitions."""
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table"])
    return parser.disable(["html_block", "reference", "inline", "text_join"])


_BLOCKS = _parser()


def block_tokens(text: str) -> list[Token]:
    """markdown-it's tokens of `text`, inline content not parsed."""
    return _BLOCKS.parse(text)


def safe_markdown(text: str) -> str:
    """`text` as Markdown that Streamlit renders without loading, running or colouring anything."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    lines = text.split("\n")
    verbatim, fences, rows = _special_lines(block_tokens(text), lines)
    for number, line in enumerate(lines):
        if number in fences:
            lines[number] = _safe_fence(line)
        elif not verbatim[number]:
            lines[number] = _safe_line(line, is_row=bool(rows[number]))
    return "\n".join(lines)


def _special_lines(tokens: list[Token], lines: list[str]) -> tuple[bytearray, set[int], bytearray]:
    """Which lines are code, which open a fence, which are, or may be seen as, table rows."""
    verbatim, fences, rows = bytearray(len(lines)), set(), _table_rows(lines)
    for token in tokens:
        if token.map is None or token.type not in ("fence", "code_block"):
            continue
        start, end = token.map[0], min(token.map[1], len(lines))
        if token.type == "fence":
            fences.add(start)
        elif start and lines[start - 1].strip():
            continue  # renderers differ on indented code right under a table: not copied, so escaped
        verbatim[start:end] = b"\1" * (end - start)
    return verbatim, fences, rows


def _table_rows(lines: list[str]) -> bytearray:
    """Lines of every run without a blank line in which one could be the row under a table's head."""
    rows, start = bytearray(len(lines)), 0
    for end in [number for number, line in enumerate(lines) if not line.strip()] + [len(lines)]:
        if any(_DELIMITER_ROW.match(line) for line in lines[start:end]):
            rows[start:end] = b"\1" * (end - start)
        start = end + 1
    return rows


def _safe_fence(line: str) -> str:
    """A fence's first line with its language only: `mermaid` would be drawn, and may load images."""
    found = _FENCE_LINE.match(line)
    if found is None:
        return line
    words = found["info"].split()
    language = words[0] if words and _LANGUAGE.match(words[0]) else ""
    if "mermaid" in language.lower() or (words and not language):
        language = "text"
    return found["head"] + language


def _safe_line(line: str, *, is_row: bool) -> str:
    if _RULE.match(line):
        return line
    if not is_row:
        return "".join(_rewrite(line))
    return "|".join("".join(_rewrite(cell)) for cell in _cells(line))


def _cells(line: str) -> list[str]:
    r"""The cells of a table row: a pipe parts them even in code, unless it is written `\|`."""
    cells, start = [], 0
    for found in re.finditer(r"\\.|\|", line):
        if found[0] == "|":
            cells.append(line[start : found.start()])
            start = found.end()
    return [*cells, line[start:]]


def _rewrite(line: str) -> Iterator[str]:
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
    if after not in _PUNCTUATION:
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
    text = "".join(_rewrite(found["text"]))
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
        return _PARTED % ":", 1
    return ("\\:" if after and after in ":[{" else ":"), 1


def _spelled_colon(line: str, at: int, end: int) -> tuple[str, int]:
    """A colon written as an entity or escaped, in brackets of its own: what follows is no target of theirs."""
    if line.startswith("(", end):
        return _PARTED % ":" + "\\(", end + 1 - at
    return _PARTED % ":", end - at


def _part(symbol: str) -> str:
    """`->` so that no arrow takes its place: the first character stands apart."""
    return _PARTED % ("\\" + symbol[0]) + "".join("\\" + char for char in symbol[1:])


# ---- while the text is still coming ------------------------------------------------------------

_PATIENCE_CHARS = 300
_LINE_START = re.compile(r"[\s>]*+(?:[*+\-=#~`_:]*|\d{1,9}[.)]?)\s*\Z")
_TRAIL = re.compile(r"(?<![!\\<>:=~&\-*_])[!\\<>:=~&\-*_]+\Z|&\w{0,8}\Z|&#\w{0,6}\Z")
_HEAD_ROW = re.compile(r"[\s>]*\|")


def stable_part(text: str) -> str:
    """The beginning of an unfinished `text` that will look the same whatever follows; at most ~300 characters less.

    A link, a code span or a table row appears when it is whole, not letter by letter as something else before.
    """
    start = text.rfind("\n") + 1
    last = text[start:]
    if not last or len(last) > 20 * _PATIENCE_CHARS or _in_code(text):
        return text
    if _HEAD_ROW.match(last):
        return text[: _head_start(text, start)] if len(last) < _PATIENCE_CHARS else text
    if _LINE_START.match(last):
        return text[:start]
    return text[: start + _decided_length(last)]


def _in_code(text: str) -> bool:
    tokens = [token for token in block_tokens(text) if token.map]
    return bool(tokens) and tokens[-1].type in ("fence", "code_block")


def _head_start(text: str, start: int) -> int:
    """Where the row begins that waits: the head of a table waits for the row below it too."""
    above = text.rfind("\n", 0, max(start - 1, 0)) + 1
    head = text[above:start]
    begins = above == 0 or not _HEAD_ROW.match(text[text.rfind("\n", 0, above - 1) + 1 : above])
    return above if start and begins and _HEAD_ROW.match(head) else start


def _decided_length(line: str) -> int:
    at, known = 0, _Line(line)
    while found := _SPECIAL.search(line, at):
        at = found.start()
        if len(line) - at < _PATIENCE_CHARS and _is_half(known, at):
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


# ---- a person's own words ----------------------------------------------------------------------


_PLAIN = re.compile(r"www\.|.", re.IGNORECASE | re.DOTALL)


def plain_markdown(text: str) -> str:
    """`text` as Markdown that shows every character as typed; for labels and for prompts folded among answers."""
    lines = ("".join(map(_plain_piece, _PLAIN.findall(line))) for line in text.replace("\r\n", "\n").split("\n"))
    return "  \n".join(line.replace("  ", "\u00a0 ") for line in lines)


def message_markdown(text: str) -> str:
    """A message of ours as Markdown: code spans on one line stay, every other character shows as written."""
    return "".join(part if number % 2 else plain_markdown(part) for number, part in enumerate(_CODE.split(text)))


def _plain_piece(piece: str) -> str:
    """Backslashes keep no address from becoming a link; parting it does."""
    if piece in ":@":
        return _PARTED % ("\\" + piece if piece == "@" else piece)
    if len(piece) > 1:
        return piece[:-1] + _PARTED % "\\."
    return "\\" + piece if piece in _PUNCTUATION else piece


def quoted(markdown: str) -> str:
    """A block quote around `markdown`: whatever is left open in it ends there."""
    return "\n".join(f"> {line}" for line in markdown.split("\n"))
