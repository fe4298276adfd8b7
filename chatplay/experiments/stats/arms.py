"""What each arm did: means with intervals, pass@k and pass^k, agreement between repeats."""

from __future__ import annotations

from chatplay.experiments.stats.table import TrialTable
from chatplay.experiments.stats.values import AnswerGroup, ArmSummary


def summarise_arms(table: TrialTable, *, ks: tuple[int, ...] = (1, 2, 3, 5, 10)) -> tuple[ArmSummary, ...]:
    """One summary for each arm of the plan, in its order. `ks` above the number of repeats are left out."""
    raise NotImplementedError


def group_answers(table: TrialTable, *, arm: int, case: int) -> tuple[AnswerGroup, ...]:
    """The distinct answers of one cell, the most frequent first; trials without an answer are left out."""
    raise NotImplementedError
