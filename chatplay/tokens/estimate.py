"""How many tokens a text has by its shape alone, and how what a model reported makes that better.

A text is reduced to a few counts (words, letters, digits, ...); tokens are a weighted sum of them. The weights
begin at about four characters of English a token and move to what the model's answers say, by least squares of
the relative error. The page counts the same in the browser: `chatplay/ui/chat/meter.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

SHAPE = ("messages", "words", "letters", "accented", "digits", "signs", "sign_runs", "blanks", "cjk", "other")
DEFAULT_WEIGHTS = (4.0, 0.75, 0.09, 1.5, 0.7, 0.1, 0.5, 1.1, 0.9, 1.0)
REMEMBERED_ANSWERS = 200
_ENOUGH_ANSWERS = 5
# The weight of the defaults against one answer. A message's overhead is not seen in long prompts.
_TRUST = 0.3
_USUAL = (1.0, 60.0, 280.0, 4.0, 12.0, 20.0, 15.0, 8.0, 60.0, 8.0)
_UNBELIEVABLE = 6.0  # a report this many times off is no count of the whole prompt
_LEAST_WORTH_TOKENS = 30.0

_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+")
_ACCENTED = re.compile(r"[\u00c0-\u024f]")
_DIGIT = re.compile(r"[0-9]")
_SIGNS = re.compile(r"[^A-Za-z0-9\u00c0-\uffff \t\n\r\U00010000-\U0010ffff]+")
_BLANKS = re.compile(r"[ \t\n\r]{2,}|[\t\n\r]")
_CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]")
_OTHER = re.compile(r"[\u0250-\u2e7f\ua000-\uabff\ud800-\uf8ff\ufb00-\ufeff\ufff0-\uffff]")
_WIDE = re.compile(r"[\U00010000-\U0010ffff]")

Shape = tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """What the answers of one model have taught: sums for least squares, newer answers counting more.

    `gram` is the upper triangle of the weighted sum of products, row by row; `moment` its right-hand side.
    `error_share` is the mean relative error of the estimates made before each answer was known.
    """

    answers: int = 0
    error_share: float = 0.0
    gram: tuple[float, ...] = (0.0,) * (len(SHAPE) * (len(SHAPE) + 1) // 2)
    moment: tuple[float, ...] = (0.0,) * len(SHAPE)

    @property
    def is_known(self) -> bool:
        """Enough answers to say how far off it is."""
        return self.answers >= _ENOUGH_ANSWERS

    def weights(self) -> Shape:
        """Tokens for one of each count in `SHAPE`."""
        if not self.answers:
            return DEFAULT_WEIGHTS
        return _solve(_square(self.gram), list(self.moment))

    def learn(self, shape: Shape, tokens: int) -> Calibration:
        """After an answer to a prompt of this shape that took `tokens`; the same when the report can't be true."""
        expected = estimate(shape, self.weights())
        if tokens <= 0 or not math.isfinite(expected):
            return self
        if max(expected, 1.0) / tokens > _UNBELIEVABLE or tokens / max(expected, 1.0) > _UNBELIEVABLE:
            return self
        answers = self.answers + 1
        share = 1 / min(answers, REMEMBERED_ANSWERS)
        off = abs(expected - tokens) / tokens
        keep = 1 - 1 / REMEMBERED_ANSWERS
        # Short prompts say little but the overhead; and one strange report must not outweigh the rest.
        size = max(float(tokens), _LEAST_WORTH_TOKENS)
        worth = min(1.0, 3 * max(self.error_share, 0.05) / off) if self.is_known and off else 1.0
        scaled = [value / size for value in shape]
        products = [a * b * worth for row, a in enumerate(scaled) for b in scaled[row:]]
        return Calibration(
            answers=answers,
            error_share=self.error_share + (min(off, 1.0) - self.error_share) * share,
            gram=tuple(old * keep + new for old, new in zip(self.gram, products, strict=True)),
            moment=tuple(
                old * keep + value * tokens / size * worth for old, value in zip(self.moment, scaled, strict=True)
            ),
        )


def shape_of(*texts: str) -> Shape:
    """The counts of `SHAPE` over all of `texts`, each a message."""
    sums = [0.0] * len(SHAPE)
    for text in texts:
        for place, value in enumerate(_shape_of_one(text)):
            sums[place] += value
    return tuple(sums)


def estimate(shape: Shape, weights: Shape = DEFAULT_WEIGHTS) -> float:
    """Tokens; never negative."""
    return max(sum(count * weight for count, weight in zip(shape, weights, strict=True)), 0.0)


def estimate_message(text: str, weights: Shape = DEFAULT_WEIGHTS) -> int:
    """Tokens of one message with its overhead."""
    return math.ceil(estimate(shape_of(text), weights))


@lru_cache(maxsize=64)  # the page asks again at every draw
def _shape_of_one(text: str) -> tuple[int, ...]:
    words, signs = _WORD.findall(text), _SIGNS.findall(text)
    return (
        1,
        len(words),
        sum(map(len, words)),
        len(_ACCENTED.findall(text)),
        len(_DIGIT.findall(text)),
        sum(map(len, signs)),
        len(signs),
        len(_BLANKS.findall(text)),
        len(_CJK.findall(text)),
        len(_OTHER.findall(text)) + 2 * len(_WIDE.findall(text)),  # as the browser counts: two units
    )


# ---- least squares -----------------------------------------------------------------------------


def _square(triangle: Sequence[float]) -> list[list[float]]:
    size = len(SHAPE)
    matrix = [[0.0] * size for _ in range(size)]
    values = iter(triangle)
    for row in range(size):
        for column in range(row, size):
            matrix[row][column] = matrix[column][row] = next(values)
    return matrix


def _solve(matrix: list[list[float]], right: list[float]) -> Shape:
    """The weights that fit best, drawn to the defaults where the answers say little, and none below zero."""
    usual = sum(value * weight for value, weight in zip(_USUAL, DEFAULT_WEIGHTS, strict=True))
    for place, weight in enumerate(DEFAULT_WEIGHTS):
        pull = _TRUST * (_USUAL[place] / usual) ** 2
        matrix[place][place] += pull
        right[place] += pull * weight
    free = list(range(len(right)))
    while True:
        found = _eliminate([[matrix[row][column] for column in free] for row in free], [right[row] for row in free])
        negative = [place for place, value in zip(free, found, strict=True) if value < 0]
        if not negative:
            break
        free = [place for place in free if place not in negative]
    weights = [0.0] * len(right)
    for place, value in zip(free, found, strict=True):
        weights[place] = value
    return tuple(weights)


def _eliminate(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gauss. The matrix is positive definite, so that no pivot is zero."""
    size = len(right)
    for pivot in range(size):
        for row in range(pivot + 1, size):
            factor = matrix[row][pivot] / matrix[pivot][pivot]
            right[row] -= factor * right[pivot]
            for column in range(pivot, size):
                matrix[row][column] -= factor * matrix[pivot][column]
    found = [0.0] * size
    for row in reversed(range(size)):
        rest = sum(matrix[row][column] * found[column] for column in range(row + 1, size))
        found[row] = (right[row] - rest) / matrix[row][row]
    return found
