"""The statistics of experiments: pure functions from one table of trials to figures with intervals.

Import it late: it brings scipy's special functions, which the start of the app must not wait for.
"""

from chatplay.experiments.stats.agreement import group_answers
from chatplay.experiments.stats.arms import summarise_arms
from chatplay.experiments.stats.compare import compare_with_baseline
from chatplay.experiments.stats.effects import list_heat_cells, list_level_means
from chatplay.experiments.stats.frontier import find_frontier
from chatplay.experiments.stats.judges import check_swaps, compare_judge
from chatplay.experiments.stats.pairwise import rank_choices, rank_votes
from chatplay.experiments.stats.table import Axis, TrialTable, build_table
from chatplay.experiments.stats.variance import explain_variance

__all__ = [
    "Axis",
    "TrialTable",
    "build_table",
    "check_swaps",
    "compare_judge",
    "compare_with_baseline",
    "explain_variance",
    "find_frontier",
    "group_answers",
    "list_heat_cells",
    "list_level_means",
    "rank_choices",
    "rank_votes",
    "summarise_arms",
]
