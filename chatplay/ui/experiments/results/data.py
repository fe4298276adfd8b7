"""The figures of one experiment, each computed once for as long as its results stay the same.

Kept in this process for all who may read the experiment: asking whether they may comes before, every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from chatplay.experiments.values import ArmFigures, Experiment, Judge, Progress, Results
from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.experiments.words import arm_names, tell_apart

if TYPE_CHECKING:
    from chatplay.experiments.stats.table import Axis
    from chatplay.experiments.stats.values import (
        ArmSummary,
        Comparison,
        Frontier,
        HeatCell,
        JudgeAgreement,
        LevelMean,
        Metric,
        Ranking,
        SwapConsistency,
        VarianceShares,
    )

T = TypeVar("T")
_SEED = 1  # the same bootstrap samples each time, as in the notebook
_KEEP = "30m"


@dataclass(frozen=True)
class Board:
    """The results as they stand, seen with the scores of `scored_by`, and the figures made from them.

    `said` are the caveats that stand on the page already.
    """

    experiment: Experiment
    whose: Mapping[str, Any]  # see `about`
    progress: Progress
    results: Results
    key: tuple[str, ...]
    said: set[str] = field(default_factory=set)

    @cached_property
    def labels(self) -> list[str]:
        """What people call the arms."""
        return arm_names(self.results.arms)

    @cached_property
    def columns(self) -> list[str]:
        """What files call them, as the exports of trials do."""
        return tell_apart([arm.label for arm in self.results.arms])

    @cached_property
    def metrics(self) -> list[Metric]:
        """Those that any trial has."""
        import numpy as np

        from chatplay.experiments.stats.values import METRICS

        table = self.results.table
        return self.keep("metrics", lambda: [name for name in METRICS if not np.isnan(table.values(name)).all()])

    @cached_property
    def axes(self) -> list[Axis]:
        """What has more than one level."""
        return [axis for axis in self.results.axes if len(axis.levels) > 1]

    def summaries(self) -> tuple[ArmSummary, ...]:
        from chatplay.experiments.stats import summarise_arms

        return self.keep("arms", lambda: summarise_arms(self.results.table))

    def cut_off(self) -> tuple[ArmFigures, ...]:
        """The arms that have answers as long as they might be."""
        figures = get_runtime().experiments.list_arm_figures
        return self.keep("cut off", lambda: tuple(one for one in figures(**self.whose) if one.cut_off))

    def comparisons(self, baseline: int) -> tuple[Comparison, ...]:
        """Of all metrics, metric by metric."""
        from chatplay.experiments.stats import compare_with_baseline

        metrics = tuple(self.metrics)
        return self.keep(
            f"baseline {baseline}",
            lambda: compare_with_baseline(self.results.table, baseline=baseline, metrics=metrics),
        )

    def variance(self, metric: Metric) -> VarianceShares:
        import numpy as np

        from chatplay.experiments.stats import explain_variance

        return self.keep(
            f"variance {metric}",
            lambda: explain_variance(
                self.results.table, axes=tuple(self.axes), metric=metric, rng=np.random.default_rng(_SEED)
            ),
        )

    def level_means(self, axis: Axis, metric: Metric) -> tuple[LevelMean, ...]:
        from chatplay.experiments.stats import list_level_means

        return self.keep(
            f"levels {axis.name} {metric}", lambda: list_level_means(self.results.table, axis=axis, metric=metric)
        )

    def heat_cells(self, rows: Axis, columns: Axis, metric: Metric) -> tuple[HeatCell, ...]:
        from chatplay.experiments.stats import list_heat_cells

        return self.keep(
            f"heat {rows.name} {columns.name} {metric}",
            lambda: list_heat_cells(self.results.table, rows=rows, columns=columns, metric=metric),
        )

    def frontier(self) -> Frontier:
        import numpy as np

        from chatplay.experiments.stats import find_frontier

        return self.keep("frontier", lambda: find_frontier(self.results.table, rng=np.random.default_rng(_SEED)))

    def ranking(self, judge: int | None) -> Ranking:
        """Of people's votes, or those of pair judge `judge`."""
        from chatplay.experiments.stats import rank_votes

        votes = get_runtime().experiments.list_votes
        return self.keep(
            f"votes {judge}", lambda: rank_votes(votes(**self.whose, judge=judge), arms=len(self.results.arms))
        )

    def judges(self) -> list[Judge]:
        return get_runtime().experiments.list_judges(**self.whose)

    def agreement(self, judge: int) -> JudgeAgreement:
        """Of a judge with the scores by hand."""
        from chatplay.experiments.stats import compare_judge

        def compute() -> JudgeAgreement:
            columns = get_runtime().experiments.get_judge_columns(**self.whose, judge=judge)
            return compare_judge(judge=columns.judge, hand=columns.hand, case=columns.case)

        return self.keep(f"judge {judge}", compute)

    def swaps(self, judge: int) -> SwapConsistency:
        """Of a pair judge with itself, places swapped."""
        from chatplay.experiments.stats import check_swaps

        swaps = get_runtime().experiments.list_swaps
        return self.keep(f"swaps {judge}", lambda: check_swaps(swaps(**self.whose, judge=judge)))

    def keep(self, name: str, compute: Callable[[], T]) -> T:
        found: T = _kept((*self.key, name), compute)
        return found

    def draw_kept(self, name: str, draw: Callable[[], None]) -> None:
        """Draws what has no widgets: writing a chart or a table down for the browser takes longer than the figures in
        it, so what was sent is kept, too, and sent again. `name` tells apart all that it depends on.
        """
        _drawn((*self.key, name, str(st.context.theme.type)), draw)  # a chart's ink goes by the theme

    def work_out(self) -> None:
        """All figures that stand on the tab before anything is chosen there."""
        if not len(self.results.table):
            return
        self.summaries()
        self.cut_off()
        if len(self.labels) > 1:
            self.comparisons(0)
        for metric in self.metrics[:1]:
            if self.axes:
                self.variance(metric)
            for axis in self.axes:
                self.level_means(axis, metric)
            for rows, columns in pairwise(self.axes[:2]):
                self.heat_cells(rows, columns, metric)
        self.frontier()
        self.ranking(None)


def about(experiment: Experiment, token: str | None) -> dict[str, Any]:
    """Whose asking about what: the arguments that all readings of an experiment take."""
    return {"user_id": state.person().id, "experiment_id": experiment.id, "token": token}


def scores_of(experiment: Experiment, judges: Sequence[Judge]) -> dict[str, str]:
    """Whose scores there may be to look at, with the name of each; the first is looked at unless one is chosen."""
    rules = {"rules": "Rules"} if experiment.plan.rules else {}
    singles = [one for one in judges if not one.plan.pairs]
    by_judge = {f"judge:{one.number}": f"Judge {one.number}, {one.plan.model.name}" for one in singles}
    return rules | {"hand": "By hand"} | by_judge


def load(experiment: Experiment, whose: Mapping[str, Any], scored_by: str) -> Board:
    """Of what `about` gives. Raises NotFound when it may not be read any longer."""
    service = get_runtime().experiments
    standing = service.get_standing(**whose)  # before the rows: what ends meanwhile is read again next time
    key = (str(experiment.id), standing.marks, str(len(experiment.arms)), str(experiment.cases), scored_by)
    results: Results = _kept_results(key, lambda: service.get_results(**whose, scored_by=scored_by))
    return Board(experiment, whose, standing.progress, results, key)


@st.cache_resource(max_entries=200, ttl=_KEEP, show_spinner=False)
def _kept(key: tuple[str, ...], _compute: Callable[[], Any]) -> Any:
    return _compute()


@st.cache_resource(max_entries=200, ttl=_KEEP, show_spinner=False)
def _drawn(key: tuple[str, ...], _draw: Callable[[], None]) -> None:
    _draw()


@st.cache_resource(max_entries=8, ttl=_KEEP, show_spinner=False)  # 100,000 trials are 9 MB
def _kept_results(key: tuple[str, ...], _compute: Callable[[], Results]) -> Any:
    return _compute()
