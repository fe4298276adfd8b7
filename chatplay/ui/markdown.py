r"""A model's answer is hostile: `safe_markdown` leaves its Markdown and takes away its teeth.

No image is loaded (it becomes a link that says so), no HTML, LaTeX, colour, icon, emoji or footnote directive acts,
links lead only to http, https and mail addresses. Code blocks and code spans stay letter for letter.

How: markdown-it's block tokens say which lines are code; those are copied. Every other line is written anew
(`markdown_line`). Nothing depends on a neighbouring line, so a part of a text is as safe as the whole, and the work is
linear in its length.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from chatplay.ui.markdown_line import PARTED, PATIENCE_CHARS, PUNCTUATION, decided_length, rewrite

_RULE = re.compile(r"[\s>|:*_=-]*\Z")
_DELIMITER_ROW = re.compile(r"[\s>]*+(?=[^-]*-)(?:(?<=\s)|(?=-*[\s|:]))[\s|:-]+\Z")
_FENCE_LINE = re.compile(r"(?P<head>.*?(?:`{3,}|~{3,}))(?P<info>.*)\Z")
_LANGUAGE = re.compile(r"[A-Za-z0-9_+#.][A-Za-z0-9_+#.-]{0,40}\Z")
_CODE = re.compile(r"((?<!`)`[^`\n]+`(?!`))")


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
        return "".join(rewrite(line))
    return "|".join("".join(rewrite(cell)) for cell in _cells(line))


def _cells(line: str) -> list[str]:
    r"""The cells of a table row: a pipe parts them even in code, unless it is written `\|`."""
    cells, start = [], 0
    for found in re.finditer(r"\\.|\|", line):
        if found[0] == "|":
            cells.append(line[start : found.start()])
            start = found.end()
    return [*cells, line[start:]]


# ---- while the text is still coming ------------------------------------------------------------

_LINE_START = re.compile(r"[\s>]*+(?:[*+\-=#~`_:]*|\d{1,9}[.)]?)\s*\Z")
_HEAD_ROW = re.compile(r"[\s>]*\|")


def stable_part(text: str) -> str:
    """The beginning of an unfinished `text` that will look the same whatever follows; at most ~300 characters less.

    A link, a code span or a table row appears when it is whole, not letter by letter as something else before.
    """
    start = text.rfind("\n") + 1
    last = text[start:]
    if not last or len(last) > 20 * PATIENCE_CHARS or _in_code(text):
        return text
    if _HEAD_ROW.match(last):
        return text[: _head_start(text, start)] if len(last) < PATIENCE_CHARS else text
    if _LINE_START.match(last):
        return text[:start]
    return text[: start + decided_length(last)]


def _in_code(text: str) -> bool:
    tokens = [token for token in block_tokens(text) if token.map]
    return bool(tokens) and tokens[-1].type in ("fence", "code_block")


def _head_start(text: str, start: int) -> int:
    """Where the row begins that waits: the head of a table waits for the row below it too."""
    above = text.rfind("\n", 0, max(start - 1, 0)) + 1
    head = text[above:start]
    begins = above == 0 or not _HEAD_ROW.match(text[text.rfind("\n", 0, above - 1) + 1 : above])
    return above if start and begins and _HEAD_ROW.match(head) else start


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
        return PARTED % ("\\" + piece if piece == "@" else piece)
    if len(piece) > 1:
        return piece[:-1] + PARTED % "\\."
    return "\\" + piece if piece in PUNCTUATION else piece


def quoted(markdown: str) -> str:
    """A block quote around `markdown`: whatever is left open in it ends there."""
    return "\n".join(f"> {line}" for line in markdown.split("\n"))
