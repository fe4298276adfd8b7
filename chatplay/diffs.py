"""What differs between two texts, word by word: the pieces joined are the texts again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

Kind = Literal["same", "removed", "added"]
_Words = Sequence[tuple[str, str]]  # the space before a word, and the word

# Scripts written without spaces (CJK, Thai) are compared letter by letter.
_SPACELESS = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"(\s*)([{_SPACELESS}]|[^\W{_SPACELESS}]+|[^\w\s]|\Z)")
_MANY_WORDS = 3_000  # beyond it, lines are aligned first: the comparison of all words would take seconds


@dataclass(frozen=True)
class Piece:
    """A run of text that is in both, only in the left ("removed") or only in the right one ("added")."""

    kind: Kind
    text: str


def word_diff(left: str, right: str) -> tuple[Piece, ...]:
    """The way from `left` to `right`. Same and removed pieces joined are `left`, same and added ones `right`."""
    left_words, right_words = _words(left), _words(right)
    if max(len(left_words), len(right_words)) <= _MANY_WORDS:
        return _merged(_compare(left_words, right_words))
    return _merged(_by_lines(left.splitlines(keepends=True), right.splitlines(keepends=True)))


def same_share(pieces: Iterable[Piece]) -> float | None:
    """How much of both texts is shared, from 0 to 1 by characters; None for two empty texts.

    2 x shared / (left + right), as `difflib.SequenceMatcher.ratio` (Ratcliff & Metzener 1988) counts it.
    """
    shared = total = 0
    for piece in pieces:
        weight = 2 if piece.kind == "same" else 1
        total += weight * len(piece.text)
        shared += 2 * len(piece.text) if piece.kind == "same" else 0
    return shared / total if total else None


def _words(text: str) -> _Words:
    return [(space, word) for space, word in _WORD.findall(text) if space or word]


def _compare(left: _Words, right: _Words) -> Iterator[Piece]:
    for is_same, a, b, c, d in _blocks([word for _, word in left], [word for _, word in right]):
        if is_same:
            for (space, word), (other, _) in zip(left[a:b], right[c:d], strict=True):
                yield from _space(space, other)
                yield Piece("same", word)
        else:
            yield from _changed(_joined(left[a:b]), _joined(right[c:d]))


def _changed(before: str, after: str) -> Iterator[Piece]:
    """A change; the space in front of it, when it is the same, is none."""
    shared = 0
    while before[shared : shared + 1].isspace() and before[shared] == after[shared : shared + 1]:
        shared += 1
    yield Piece("same", before[:shared])
    yield Piece("removed", before[shared:])
    yield Piece("added", after[shared:])


def _space(before: str, after: str) -> Iterator[Piece]:
    if before == after:
        yield Piece("same", before)
    else:
        yield Piece("removed", before)
        yield Piece("added", after)


def _by_lines(left: Sequence[str], right: Sequence[str]) -> Iterator[Piece]:
    """Lines that are equal stay; what lies between them is compared word by word where that is short enough."""
    for is_same, a, b, c, d in _blocks(left, right):
        before, after = "".join(left[a:b]), "".join(right[c:d])
        if is_same:
            yield Piece("same", before)
            continue
        words, others = _words(before), _words(after)
        yield from _compare(words, others) if max(len(words), len(others)) <= _MANY_WORDS else _changed(before, after)


def _blocks(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[bool, int, int, int, int]]:
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        yield tag == "equal", a, b, c, d


def _joined(words: _Words) -> str:
    return "".join(space + word for space, word in words)


def _merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Neighbours of one kind joined, a change with what was removed first."""
    merged: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        if merged and merged[-1].kind == piece.kind:
            merged[-1] = Piece(piece.kind, merged[-1].text + piece.text)
        else:
            merged.append(piece)
    return tuple(merged)
