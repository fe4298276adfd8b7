"""The figures of one experiment, each computed once for as long as its results stay the same.

Kept in this process for all who may read the experiment: asking whether they may comes before, every time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from chatplay.experiments.values import Experiment, Judge, Progress, Results
from chatplay.runtime import get_runtime
from chatplay.ui import state

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
    token: str | None
    progress: Progress
    results: Results
    key: tuple[str, ...]
    said: set[str] = field(default_factory=set)

    @cached_property
    def labels(self) -> list[str]:
        """The names of the arms; those that share one are numbered."""
        names = [arm.label for arm in self.results.arms]
        return [name if names.count(name) == 1 else f"{name} (arm {place + 1})" for place, name in enumerate(names)]

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
            f"votes {judge}", lambda: rank_votes(votes(**self._about, judge=judge), arms=len(self.results.arms))
        )

    def judges(self) -> list[Judge]:
        return get_runtime().experiments.list_judges(**self._about)

    def agreement(self, judge: int) -> JudgeAgreement:
        """Of a judge with the scores by hand."""
        from chatplay.experiments.stats import compare_judge

        def compute() -> JudgeAgreement:
            columns = get_runtime().experiments.get_judge_columns(**self._about, judge=judge)
            return compare_judge(judge=columns.judge, hand=columns.hand, case=columns.case)

        return self.keep(f"judge {judge}", compute)

    def swaps(self, judge: int) -> SwapConsistency:
        """Of a pair judge with itself, places swapped."""
        from chatplay.experiments.stats import check_swaps

        swaps = get_runtime().experiments.list_swaps
        return self.keep(f"swaps {judge}", lambda: check_swaps(swaps(**self._about, judge=judge)))

    def keep(self, name: str, compute: Callable[[], T]) -> T:
        found: T = _kept((*self.key, name), compute)
        return found

    def draw_kept(self, name: str, draw: Callable[[], None]) -> None:
        """Draws what has no widgets: writing a chart or a table down for the browser takes longer than the figures in
        it, so what was sent is kept, too, and sent again. `name` tells apart all that it depends on.
        """
        _drawn((*self.key, name, str(st.context.theme.type)), draw)  # a chart's ink goes by the theme

    @property
    def _about(self) -> dict[str, Any]:
        return about(self.experiment, self.token)


def about(experiment: Experiment, token: str | None) -> dict[str, Any]:
    """Whose asking about what: the arguments that all readings of an experiment take."""
    return {"user_id": state.person().id, "experiment_id": experiment.id, "token": token}


def load(experiment: Experiment, token: str | None, scored_by: str) -> Board:
    """Raises NotFound when it may not be read any longer."""
    service, whose = get_runtime().experiments, about(experiment, token)
    standing = service.get_standing(**whose)  # before the rows: what ends meanwhile is read again next time
    key = (str(experiment.id), standing.marks, str(len(experiment.arms)), str(experiment.cases), scored_by)
    results: Results = _kept_results(key, lambda: service.get_results(**whose, scored_by=scored_by))
    return Board(experiment, token, standing.progress, results, key)


@st.cache_resource(max_entries=200, ttl=_KEEP, show_spinner=False)
def _kept(key: tuple[str, ...], _compute: Callable[[], Any]) -> Any:
    return _compute()


@st.cache_resource(max_entries=200, ttl=_KEEP, show_spinner=False)
def _drawn(key: tuple[str, ...], _draw: Callable[[], None]) -> None:
    _draw()


@st.cache_resource(max_entries=8, ttl=_KEEP, show_spinner="Reading the trials")  # 100,000 trials are 9 MB
def _kept_results(key: tuple[str, ...], _compute: Callable[[], Results]) -> Any:
    return _compute()
