"""What each arm did: means with intervals, pass@k and pass^k, agreement between repeats."""

from __future__ import annotations

import numpy as np

from chatplay.experiments.stats.agreement import agree, gather_answers
from chatplay.experiments.stats.cells import Cells, gather
from chatplay.experiments.stats.intervals import Bounds, bound_means
from chatplay.experiments.stats.passk import list_pass_at
from chatplay.experiments.stats.table import UNKNOWN_ANSWER, TrialTable
from chatplay.experiments.stats.values import METRICS, ArmSummary, Estimate
from chatplay.experiments.stats.words import ONE_REPEAT, estimate, say_few_cases


def summarise_arms(table: TrialTable, *, ks: tuple[int, ...] = (1, 2, 3, 5, 10)) -> tuple[ArmSummary, ...]:
    """One summary for each arm of the plan, in its order. `ks` above the number of repeats are left out.

    A mean is the mean of the cases' means, so a case with more repeats weighs no more than another: the
    case is the cluster (Cameron & Miller 2015, J. Human Resources 50, 317). Intervals are those of `bound_means`.
    """
    cells = {metric: gather(table, metric) for metric in METRICS}
    bounds = {metric: bound_means(cells[metric]) for metric in METRICS}
    trials = np.bincount(table.cell, minlength=table.arms * table.cases)
    by_case = trials.reshape(table.arms, table.cases)
    unanswered = np.bincount(table.arm[table.answer == UNKNOWN_ANSWER], minlength=table.arms)
    pass_at = list_pass_at(cells["passed"], ks=ks)
    agreement = agree(gather_answers(table), unknown=unanswered)
    return tuple(
        ArmSummary(
            arm=arm,
            trials=(count := int(by_case[arm].sum())),
            cases=(cases := int((by_case[arm] > 0).sum())),
            **{metric: _estimate(cells[metric], bounds[metric], arm) for metric in METRICS},
            pass_at=pass_at[arm],
            agreement=agreement[arm],
            caveats=(*say_few_cases(cases), *((ONE_REPEAT,) if 0 < count == cases else ())),
        )
        for arm in range(table.arms)
    )


def _estimate(cells: Cells, bounds: Bounds, arm: int) -> Estimate:
    return estimate(bounds, arm, trials=int(cells.count[arm].sum()), unknown=int(cells.unknown[arm]))
