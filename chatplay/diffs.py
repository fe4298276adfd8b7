"""What differs between two texts, word by word: the pieces joined are the texts again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from itertools import accumulate, groupby, takewhile
from typing import Literal

Kind = Literal["same", "removed", "added"]
_Words = Sequence[tuple[str, str]]  # the space before a word, and the word

# Scripts written without spaces (CJK, Thai) are compared letter by letter.
_SPACELESS = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"(\s*)([{_SPACELESS}]|[^\W{_SPACELESS}]+|[^\w\s]|\Z)")
_MANY_WORDS = 3_000  # beyond it, lines are aligned first: the comparison of all words would take seconds
_MOST_STEPS = 5_000_000  # a second or two


@dataclass(frozen=True)
class Piece:
    """A run of text that is in both, only in the left ("removed") or only in the right one ("added")."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Diff:
    """Same and removed pieces joined are the left text, same and added ones the right one.

    `is_rough`: a part was too much to compare, and stands there as a change, whatever the texts share in it.
    """

    pieces: tuple[Piece, ...]
    is_rough: bool

    @property
    def same_share(self) -> float | None:
        """How much of both texts is shared, from 0 to 1 by characters; None for two empty texts.

        2 x shared / (left + right), as `difflib.SequenceMatcher.ratio` (Ratcliff & Metzener 1988) counts it.
        """
        shared = total = 0
        for piece in self.pieces:
            weight = 2 if piece.kind == "same" else 1
            total += weight * len(piece.text)
            shared += 2 * len(piece.text) if piece.kind == "same" else 0
        return shared / total if total else None


def word_diff(left: str, right: str) -> Diff:
    """The way from `left` to `right`."""
    left_words, right_words = _words(left), _words(right)
    effort = _Effort()
    if max(len(left_words), len(right_words)) <= _MANY_WORDS:
        pieces = _compare(left_words, right_words, effort)
    else:
        pieces = _by_lines(left.splitlines(keepends=True), right.splitlines(keepends=True), effort)
    return Diff(_merged(pieces), effort.is_over)


def _words(text: str) -> _Words:
    return [(space, word) for space, word in _WORD.findall(text) if space or word]


def _compare(left: _Words, right: _Words, effort: _Effort) -> Iterator[Piece]:
    for is_same, a, b, c, d in _blocks([word for _, word in left], [word for _, word in right], effort):
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


def _by_lines(left: Sequence[str], right: Sequence[str], effort: _Effort) -> Iterator[Piece]:
    """Lines that are equal stay; what lies between them is compared word by word."""
    for is_same, a, b, c, d in _blocks(left, right, effort):
        before, after = "".join(left[a:b]), "".join(right[c:d])
        if is_same:
            yield Piece("same", before)
        else:
            yield from _compare(_words(before), _words(after), effort)


def _blocks(left: Sequence[str], right: Sequence[str], effort: _Effort) -> Iterator[tuple[bool, int, int, int, int]]:
    """Which runs are equal. Those at both ends are found at once: texts that repeat themselves are much effort."""
    head = _shared(left, right)
    tail = _shared(left[head:][::-1], right[head:][::-1])
    middle = _Matcher(left[head : len(left) - tail], right[head : len(right) - tail], effort)
    yield True, 0, head, 0, head
    for tag, a, b, c, d in middle.get_opcodes():
        yield tag == "equal", head + a, head + b, head + c, head + d
    yield True, len(left) - tail, len(left), len(right) - tail, len(right)


def _shared(left: Sequence[str], right: Sequence[str]) -> int:
    """How many items both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))


@dataclass
class _Effort:
    """What comparing two texts may still take: where the same words come again and again, the time it takes grows
    with the third power of the length.
    """

    steps: int = _MOST_STEPS
    is_over: bool = False

    def take(self, steps: int) -> bool:
        """Whether so much may be done; if so, it is."""
        if steps > self.steps:
            self.is_over = True
            return False
        self.steps -= steps
        return True


class _Matcher(SequenceMatcher[str]):
    """Finds nothing more to be equal where that would take too much."""

    def __init__(self, left: Sequence[str], right: Sequence[str], effort: _Effort) -> None:
        super().__init__(None, left, right, autojunk=False)
        self._effort = effort
        # Each search looks from each of its items at all the places where that is in the other text.
        places = Counter(right)
        self._steps = [0, *accumulate(1 + places[item] for item in left)]

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        if not self._effort.take(self._steps[-1 if ahi is None else ahi] - self._steps[alo]):
            return Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)


def _joined(words: _Words) -> str:
    return "".join(space + word for space, word in words)


def _merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Neighbours of one kind joined, a change with what was removed first."""
    runs = groupby((piece for piece in pieces if piece.text), key=lambda piece: piece.kind)
    return tuple(Piece(kind, "".join(piece.text for piece in run)) for kind, run in runs)
