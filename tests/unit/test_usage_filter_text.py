"""A filter survives its address."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest

from chatplay.errors import BadInput
from chatplay.usage.filter_text import read_filter, write_filter
from chatplay.usage.values import FigureFilter, ModelKey, ParamFilter, UsageFilter, WeekHour

START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, 5, tzinfo=UTC)
WHOLE = UsageFilter(
    7,
    START,
    END,
    models=(ModelKey("box", "a/b"),),
    sources=("chat",),
    params=(ParamFilter("temperature", 0.2, 0.2), ParamFilter("seed")),
    statuses=("failed",),
    experiment_id=UUID(int=3),
    error_classes=("rate_limited",),
    figures=(FigureFilter("ttft_ms", low=10.0),),
    week_hour=WeekHour(2, 14, "Europe/Berlin"),
)


@pytest.mark.parametrize("filter", [WHOLE, UsageFilter(None, START, END)])
def test_filter_survives_its_address(filter):
    assert read_filter(write_filter(filter)) == filter


@pytest.mark.parametrize(
    "filter",
    [
        UsageFilter(None, START.replace(tzinfo=None), END),
        UsageFilter(None, START, END, week_hour=WeekHour(0, 0, "Mars/Base")),
        UsageFilter(None, START, END, sources=("chat", "a\0")),
        UsageFilter(None, START, END, models=(ModelKey("box", "a\0"),)),
        UsageFilter(None, START, END, params=(ParamFilter("stop", text="a\0"),)),
        UsageFilter(None, START, END, params=(ParamFilter("a\0"),)),
    ],
)
def test_filter_that_no_query_can_ask_is_refused(filter):
    with pytest.raises(BadInput):
        read_filter(write_filter(filter))


def test_filter_with_half_a_character_is_refused():
    text = b'{"user_id": 7, "start": "2026-11-01T00:00Z", "end": "2026-11-02T00:00Z", "sources": ["\\ud800"]}'
    with pytest.raises(BadInput):
        read_filter(base64.urlsafe_b64encode(text).decode())
