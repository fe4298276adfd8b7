"""Each figure against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay.timing import Reasoning, percentile, summarise


def test_figures_of_a_small_answer_are_those_done_by_hand():
    timings = summarise(sent_sec=10.0, delta_secs=[10.2, 10.3, 10.6, 10.7], ended_sec=10.8, completion_tokens=6)
    assert timings.ttft_ms == pytest.approx(200)
    assert timings.gaps_ms == pytest.approx((100, 300, 100))
    assert timings.itl_p50_ms == pytest.approx(100)
    assert timings.itl_p95_ms == pytest.approx(100 + 0.9 * 200)
    assert timings.itl_max_ms == pytest.approx(300)
    assert timings.duration_ms == pytest.approx(800)
    assert timings.tokens_per_second == pytest.approx(5 / 0.5)
    assert timings.end_to_end_tokens_per_second == pytest.approx(6 / 0.8)


def test_answer_without_a_token_has_a_duration_and_nothing_else():
    timings = summarise(sent_sec=1.0, delta_secs=[], ended_sec=3.0, completion_tokens=None)
    assert timings.duration_ms == 2000
    assert (timings.ttft_ms, timings.tokens_per_second, timings.end_to_end_tokens_per_second) == (None, None, None)
    assert (timings.itl_p50_ms, timings.itl_max_ms, timings.gaps_ms) == (None, None, ())


@pytest.mark.parametrize(
    ("tokens", "deltas"), [(1, [1.0, 2.0]), (50, [1.0]), (None, [1.0, 2.0]), (50, [1.0, 1.0]), (50, [1.0, 1.015])]
)
def test_decode_rate_is_unknown_rather_than_wrong(tokens, deltas):
    timings = summarise(sent_sec=0.5, delta_secs=deltas, ended_sec=3.0, completion_tokens=tokens)
    assert timings.tokens_per_second is None


@pytest.mark.parametrize(
    ("reasoning", "tokens_per_second"),
    [
        (Reasoning(tokens=2_000), 49 / 1.0),
        (Reasoning(1.0, 39.0, tokens=2_000), 49 / 1.0),
        (Reasoning(1.0, 39.0), 2_049 / 40.0),
        (Reasoning(1.0, 40.5, tokens=2_000), 2_049 / 40.0),
        (Reasoning(40.2, 45.0), 2_049 / 5.0),
        (Reasoning(1.0, 39.0, tokens=0), 2_049 / 1.0),
        (Reasoning(1.0, 40.5, tokens=0), None),
        (Reasoning(1.0, 39.0, tokens=2_050), None),
    ],
    ids=["hidden", "known", "unknown", "between", "after", "not counted", "between, not counted", "nothing else"],
)
def test_decode_rate_is_of_the_tokens_that_came_in_the_time_it_counts(reasoning, tokens_per_second):
    timings = summarise(
        sent_sec=0.0, delta_secs=[40.0, 40.4, 41.0], ended_sec=41.1, completion_tokens=2_050, reasoning=reasoning
    )
    assert timings.tokens_per_second == (tokens_per_second and pytest.approx(tokens_per_second))
    assert timings.ttft_ms == 40_000


@pytest.mark.parametrize(
    ("deltas", "reasoning", "reasoning_ms"),
    [
        ([13.3, 14.0], Reasoning(1.0, 13.0), 12_300),
        ([], Reasoning(1.0, 13.0), 12_000),
        ([0.5, 14.0], Reasoning(1.0, 13.0), 12_000),
        ([13.0], Reasoning(13.0, 13.0), None),
        ([13.0], Reasoning(tokens=5), None),
    ],
)
def test_reasoning_lasts_until_the_text_begins(deltas, reasoning, reasoning_ms):
    timings = summarise(sent_sec=0.0, delta_secs=deltas, ended_sec=15.0, completion_tokens=9, reasoning=reasoning)
    assert timings.reasoning_ms == (reasoning_ms and pytest.approx(reasoning_ms))


def test_whole_answer_in_one_delta_has_an_end_to_end_rate():
    timings = summarise(sent_sec=0.0, delta_secs=[2.0], ended_sec=2.0, completion_tokens=100)
    assert timings.end_to_end_tokens_per_second == 50


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_percentile_is_numpys(values, share):
    assert percentile(values, share) == pytest.approx(float(np.quantile(values, share)), rel=1e-9, abs=1e-6)
