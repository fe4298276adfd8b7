"""Each figure against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay.timing import percentile, summarise


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


def test_whole_answer_in_one_delta_has_an_end_to_end_rate():
    timings = summarise(sent_sec=0.0, delta_secs=[2.0], ended_sec=2.0, completion_tokens=100)
    assert timings.end_to_end_tokens_per_second == 50


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_percentile_is_numpys(values, share):
    assert percentile(values, share) == pytest.approx(float(np.quantile(values, share)), rel=1e-9, abs=1e-6)
