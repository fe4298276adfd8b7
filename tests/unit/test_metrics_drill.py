"""What is picked in a chart is asked for as the chart counted it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from chatplay.ui.metrics import drill as metrics_drill
from chatplay.usage.values import ModelKey, UsageFilter

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 11, 18, 10, 40, tzinfo=UTC)
FILTER = UsageFilter(7, START, START + timedelta(days=3))
MIDNIGHT = datetime(2026, 11, 18, tzinfo=UTC)


def test_first_bucket_holds_no_call_from_before_the_range():
    found = metrics_drill.within(FILTER, MIDNIGHT, MIDNIGHT + timedelta(days=1))
    assert (found.start, found.end) == (START.replace(minute=0), MIDNIGHT + timedelta(days=1))


def test_last_bucket_ends_with_the_range():
    last = MIDNIGHT + timedelta(days=3)
    assert metrics_drill.within(FILTER, last, last + timedelta(days=1)).end == FILTER.end


def test_filter_over_the_rows_themselves_begins_to_the_second():
    exact = UsageFilter(7, START, FILTER.end, statuses=("failed",))
    assert metrics_drill.within(exact, MIDNIGHT, FILTER.end).start == START


@pytest.mark.parametrize(
    ("by", "key", "wanted"),
    [
        ("model", "box/a/b", {"models": (ModelKey("box", "a/b"),)}),
        ("source", "rest", {"sources": ("rest",)}),
        ("person", "9", {"user_id": 9}),
        (
            "day",
            "2026-11-19",
            {"start": datetime(2026, 11, 19, tzinfo=BERLIN), "end": datetime(2026, 11, 20, tzinfo=BERLIN)},
        ),
    ],
)
def test_row_of_the_usage_table_is_a_filter(by, key, wanted):
    found = metrics_drill.of_row(FILTER, by, key, BERLIN)
    assert {name: getattr(found, name) for name in wanted} == wanted


def test_calls_of_nobody_known_have_no_filter():
    assert metrics_drill.of_row(FILTER, "person", "0", BERLIN) is None
