"""A small, seeded part of bench/experiments_truth.py: intervals hold the truth as often as they promise."""

import inspect
import re
import subprocess
import sys
from types import FunctionType

import numpy as np
import pytest

from bench.experiments_truth import find_false_alarms, measure
from bench.experiments_worlds import HARD_WORLDS, WORLDS, World
from chatplay.experiments import estimate, stats
from chatplay.experiments.stats import agreement, cells, intervals, passk, verdicts

EXPERIMENTS = 3000
names = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)


@names
@pytest.mark.parametrize(("cases", "repeats"), [(10, 1), (10, 3), (20, 3)])
def test_intervals_hold_the_truth_in_95_of_100(world: World, cases: int, repeats: int) -> None:
    rng = np.random.default_rng([11, cases, repeats])
    lines = measure(world, cases=cases, repeats=repeats, experiments=EXPERIMENTS, rng=rng, rivals=False)
    # 0.935 to 0.965, and as much again as 3,000 experiments may be off by chance (two standard errors).
    assert {line.figure: 0.927 < line.share < 0.973 for line in lines if line.method == "ours"} == {
        "mean": True,
        "difference": True,
    }


@names
def test_equal_arms_are_rarely_called_better(world: World) -> None:
    drawn = world.draw(np.random.default_rng(12), (1000, 10, 10, 3), False)
    better, different = find_false_alarms(drawn, world.metric)
    assert better <= 0.06
    assert different <= 0.06


def test_t_alone_would_not_do_for_pass_rates() -> None:
    rng = np.random.default_rng(13)
    lines = measure(HARD_WORLDS[-1], cases=10, repeats=1, experiments=EXPERIMENTS, rng=rng, rivals=False)
    found = {line.method: line.share for line in lines if line.figure == "mean"}
    assert found["t"] < 0.75
    assert found["ours"] > 0.90


_NO_FORMULAS = ("build_table", "group_answers")
FORMULAS = [
    *(one for name, one in vars(stats).items() if inspect.isfunction(one) and name not in _NO_FORMULAS),
    *(intervals.t_bounds, intervals.positive_bounds, intervals.share_bounds, intervals.bound_differences),
    *(intervals.adjust_holm, cells.resample_counts, passk.at_least_one, passk.all_of_them, agreement.gather_answers),
    *(verdicts.plan_repeats, verdicts.least_alike_cases, estimate.sum_of_calls, estimate.longest_of_calls),
]


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)
def test_each_formula_names_its_source(formula: FunctionType) -> None:
    assert re.search(r"[A-Z]\w+\s+(et al\.\s+)?\(?(19|20)\d\d", formula.__doc__ or "")


def test_statistics_bring_no_heavy_imports() -> None:
    heavy = "{'statsmodels', 'scipy.stats', 'pandas', 'jsonschema'} & set(sys.modules)"
    code = f"import sys, chatplay.experiments.stats, chatplay.experiments.scoring; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_start_of_the_app_does_not_wait_for_the_statistics() -> None:
    code = "import sys, chatplay.runtime; sys.exit('chatplay.experiments.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
