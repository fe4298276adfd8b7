"""The one input of all statistics: a table of trials, arm x case x repeat, as arrays; unknown is nan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chatplay.experiments.stats.values import METRICS, Metric

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Column = ArrayLike | Sequence[float | None] | Sequence[bool | None]

UNKNOWN_ANSWER = -1


@dataclass(frozen=True, eq=False)
class TrialTable:
    """One row a trial, in any order. Build it with `build_table`.

    `arms` and `cases` are how many the plan has, also those without a trial yet. `arm`, `case` are places in the
    plan (0-based), `repeat` any number that tells repeats apart. The metrics are float arrays with nan for
    unknown; `passed` is 1, 0 or nan. `answer` has the same number for the same text, -1 for no answer.
    """

    arms: int
    cases: int
    arm: IntArray
    case: IntArray
    repeat: IntArray
    score: FloatArray
    passed: FloatArray
    ttft_ms: FloatArray
    tokens_per_second: FloatArray
    completion_tokens: FloatArray
    cost_usd: FloatArray
    duration_ms: FloatArray
    answer: IntArray

    def __len__(self) -> int:
        return len(self.arm)

    @cached_property
    def cell(self) -> IntArray:
        """The place of each trial's cell among arms x cases, counted row by row."""
        return self.arm * self.cases + self.case

    def values(self, metric: Metric) -> FloatArray:
        """The column of `metric`."""
        column: FloatArray = getattr(self, metric)
        return column


@dataclass(frozen=True)
class Axis:
    """One setting that varies: `level_of_arm[arm]` is the number of the arm's level, `levels` their labels."""

    name: str
    levels: tuple[str, ...]
    level_of_arm: tuple[int, ...]


def build_table(
    *,
    arms: int,
    cases: int,
    arm: ArrayLike,
    case: ArrayLike,
    repeat: ArrayLike,
    score: Column | None = None,
    passed: Column | None = None,
    ttft_ms: Column | None = None,
    tokens_per_second: Column | None = None,
    completion_tokens: Column | None = None,
    cost_usd: Column | None = None,
    duration_ms: Column | None = None,
    answer: Sequence[str | int | None] | IntArray | None = None,
) -> TrialTable:
    """A table from columns of equal length. None, nan and infinities are unknown; no column: all unknown.

    `answer` holds texts, hashes or numbers: whatever is equal for equal answers. A trial that failed is a row
    without values; a trial that has not run need not be there. Raises ValueError for columns that do not fit.
    """
    places = _places(arm, "arm", arms)
    rows = len(places)
    table = TrialTable(
        arms=arms,
        cases=cases,
        arm=places,
        case=_places(case, "case", cases),
        repeat=_places(repeat, "repeat", None),
        score=_column(score, rows),
        passed=_column(passed, rows),
        ttft_ms=_column(ttft_ms, rows),
        tokens_per_second=_column(tokens_per_second, rows),
        completion_tokens=_column(completion_tokens, rows),
        cost_usd=_column(cost_usd, rows),
        duration_ms=_column(duration_ms, rows),
        answer=_answers(answer, rows),
    )
    for name in ("case", "repeat", *METRICS, "answer"):
        if getattr(table, name).shape != (rows,):
            raise ValueError(f"{name} has {getattr(table, name).size} rows, arm has {rows}")
    return table


def _places(column: ArrayLike, name: str, count: int | None) -> IntArray:
    places = np.asarray(column, dtype=np.int64)
    if count is not None and places.size and (places.min() < 0 or places.max() >= count):
        raise ValueError(f"{name} must lie within 0..{count - 1}")
    return places


def _column(column: Column | None, rows: int) -> FloatArray:
    if column is None:
        return np.full(rows, np.nan)
    values = np.array(column, dtype=np.float64)  # None becomes nan
    values[~np.isfinite(values)] = np.nan
    return values


def _answers(answer: Sequence[str | int | None] | IntArray | None, rows: int) -> IntArray:
    if answer is None:
        return np.full(rows, UNKNOWN_ANSWER, dtype=np.int64)
    if isinstance(answer, np.ndarray) and answer.dtype.kind == "i":
        return answer.astype(np.int64)
    numbers: dict[str | int, int] = {}
    return np.array(
        [UNKNOWN_ANSWER if text is None else numbers.setdefault(text, len(numbers)) for text in answer], dtype=np.int64
    )
