"""What each arm did: means with intervals, pass@k and pass^k, agreement between repeats."""

from __future__ import annotations

import numpy as np

from chatplay.experiments.stats.agreement import AnswerCells, agree, gather_answers
from chatplay.experiments.stats.cells import Cells, gather
from chatplay.experiments.stats.intervals import Bounds, bound_means
from chatplay.experiments.stats.passk import list_pass_at
from chatplay.experiments.stats.table import UNKNOWN_ANSWER, TrialTable
from chatplay.experiments.stats.values import METRICS, ArmSummary, Estimate, Metric
from chatplay.experiments.stats.words import ONE_REPEAT, estimate, say_few_cases


def summarise_arms(table: TrialTable, *, ks: tuple[int, ...] = (1, 2, 3, 5, 10)) -> tuple[ArmSummary, ...]:
    """One summary for each arm of the plan, in its order. `ks` above the number of repeats are left out.

    A mean is the mean of the cases' means, so a case with more repeats weighs no more than another.
    """
    cells = {metric: gather(table, metric) for metric in METRICS}
    bounds = {metric: bound_means(cells[metric]) for metric in METRICS}
    answers = gather_answers(table)
    return tuple(_summarise(table, arm, cells, bounds, answers, ks) for arm in range(table.arms))


def _summarise(
    table: TrialTable,
    arm: int,
    cells: dict[Metric, Cells],
    bounds: dict[Metric, Bounds],
    answers: AnswerCells,
    ks: tuple[int, ...],
) -> ArmSummary:
    mine = table.arm == arm
    cases = len(np.unique(table.case[mine]))
    unanswered = int((mine & (table.answer == UNKNOWN_ANSWER)).sum())
    return ArmSummary(
        arm=arm,
        trials=int(mine.sum()),
        cases=cases,
        **{metric: _estimate(cells[metric], bounds[metric], arm) for metric in METRICS},
        pass_at=list_pass_at(cells["passed"], arm=arm, ks=ks),
        agreement=agree(answers, arm=arm, unknown=unanswered),
        caveats=(*say_few_cases(cases), *((ONE_REPEAT,) if 0 < mine.sum() == cases else ())),
    )


def _estimate(cells: Cells, bounds: Bounds, arm: int) -> Estimate:
    return estimate(bounds, arm, trials=int(cells.count[arm].sum()), unknown=int(cells.unknown[arm]))
