"""How alike the answers to one case are when it is asked again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chatplay.experiments.stats.cells import divide
from chatplay.experiments.stats.intervals import Bounds, share_bounds
from chatplay.experiments.stats.table import UNKNOWN_ANSWER, FloatArray, IntArray, TrialTable
from chatplay.experiments.stats.values import AnswerGroup, RepeatAgreement
from chatplay.experiments.stats.words import estimate, known


@dataclass(frozen=True, eq=False)
class AnswerCells:
    """Arrays [arms, cases]: known answers, distinct answers, and the share of pairs of repeats that are alike."""

    count: FloatArray
    distinct: FloatArray
    same_share: FloatArray


def gather_answers(table: TrialTable) -> AnswerCells:
    """Same-pair share of a cell: sum n_g (n_g - 1) / (n (n - 1)) over its distinct answers g, the unbiased estimate
    of the chance that two repeats are alike (Simpson 1949, Nature 163, 688); nan below two answers."""
    answered = table.answer != UNKNOWN_ANSWER
    place = table.cell[answered]
    texts = np.unique(table.answer[answered], return_inverse=True)[1]
    kinds = int(texts.max(initial=0)) + 1
    # One number for cell and text: sorting numbers is several times quicker than sorting pairs.
    keys, sizes = np.unique(place * kinds + texts, return_counts=True)
    cells = keys // kinds
    size, shape = table.arms * table.cases, (table.arms, table.cases)
    count = np.bincount(place, minlength=size).astype(np.float64)
    alike = np.bincount(cells, weights=sizes * (sizes - 1.0), minlength=size)
    share = divide(alike, count * (count - 1))
    distinct = np.bincount(cells, minlength=size).astype(np.float64)
    return AnswerCells(count.reshape(shape), distinct.reshape(shape), share.reshape(shape))


def agree(answers: AnswerCells, *, unknown: IntArray) -> list[RepeatAgreement]:
    """The agreement of each arm over its cases with two answers or more; `unknown` [arms] counts trials without one."""
    bounds = share_bounds(answers.same_share)
    return [_agreement(answers, bounds, arm, missing) for arm, missing in enumerate(unknown.tolist())]


def _agreement(answers: AnswerCells, bounds: Bounds, arm: int, unknown: int) -> RepeatAgreement:
    repeated = answers.count[arm] > 1
    return RepeatAgreement(
        same_share=estimate(bounds, arm, trials=int(answers.count[arm][repeated].sum()), unknown=unknown),
        distinct_mean=_mean(answers.distinct[arm][repeated]),
        repeats_mean=_mean(answers.count[arm][repeated]),
        all_same_cases=int((answers.same_share[arm] == 1).sum()),
    )


def group_answers(table: TrialTable, *, arm: int, case: int) -> tuple[AnswerGroup, ...]:
    """The distinct answers of one cell, the most frequent first; trials without an answer are left out."""
    here = (table.arm == arm) & (table.case == case) & (table.answer != UNKNOWN_ANSWER)
    repeats, answers = table.repeat[here], table.answer[here]
    groups = [
        AnswerGroup(int(answer), tuple(sorted(repeats[answers == answer].tolist()))) for answer in np.unique(answers)
    ]
    return tuple(sorted(groups, key=lambda group: (-len(group.repeats), group.repeats)))


def _mean(values: FloatArray) -> float | None:
    return known(values.mean()) if values.size else None
