"""Figures of experiments are told with their uncertainty."""

import math

import pytest

from chatplay.experiments.stats.values import Estimate
from chatplay.experiments.values import Figure
from chatplay.ui.experiments import words
from chatplay.ui.experiments.results import words as results_words


def whole(value):
    return f"{value:,.0f}"


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (Figure(1230.0, 980.0, 1480.0), "1,230 [980, 1,480]"),
        (Figure(12.0, 12.0, 12.0), "12"),
        (Figure(12.0, 0.0, math.inf), "about 12, may be far more"),
        (None, "n/a"),
    ],
)
def test_forecast_is_told_with_its_interval(figure, told):
    assert words.figure(figure, whole) == told


@pytest.mark.parametrize(
    ("metric", "ends", "told"),
    [
        ("score", (0.82, 0.75, 0.88), "0.82 [0.75, 0.88]"),
        ("passed", (0.82, 0.75, 0.88), "82.0 % [75.0, 88.0]"),
        ("ttft_ms", (145.0, 132.0, 160.0), "145 ms [132, 160]"),
        ("tokens_per_second", (32.5, 30.0, 35.25), "32.5 tok/s [30.0, 35.2]"),
        ("completion_tokens", (34.2, 0.0, 140.0), "34 [0, 140]"),
        ("completion_tokens", (1.4, 1.0, 12.0), "1.4 [1.0, 12.0]"),
        ("score", (0.82, None, None), "0.82"),
    ],
)
def test_mean_is_told_with_its_interval(metric, ends, told):
    value, low, high = ends
    found = Estimate(value=value, low=low, high=high, trials=12, cases=6, unknown=0)
    assert results_words.estimate(metric, found) == told
