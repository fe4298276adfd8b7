"""Numbers, costs and times as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from chatplay.ui import format

NOW = datetime(2026, 11, 21, 14, 5, tzinfo=UTC)
BERLIN = format.zone("Europe/Berlin")


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, "n/a"),
        (0, "0 ms"),
        (4.24, "4.2 ms"),
        (145.4, "145 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (1520, "1.52 s"),
        (119_990, "119.99 s"),
        (125_000, "2 min 05 s"),
        (7_265_000, "121 min 05 s"),
    ],
)
def test_duration_is_short_and_has_its_unit(ms, shown):
    assert format.duration(ms) == shown


@pytest.mark.parametrize(
    ("ms", "tokens", "shown"),
    [
        (12_300, 2_000, "Thought for 12.30 s, 2,000 tokens"),
        (12_300, None, "Thought for 12.30 s"),
        (None, 2_000, "2,000 tokens"),
        (None, 0, ""),
        (None, None, ""),
    ],
)
def test_reasoning_is_told_as_far_as_it_is_known(ms, tokens, shown):
    assert format.reasoning(ms, tokens) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "n/a"),
        (0, "$0"),
        (1234.5, "$1,234.50"),
        (0.0123, "$0.0123"),
        (0.5, "$0.5000"),
        (0.000012344, "$0.00001234"),
        (0.0099996, "$0.0100"),
    ],
)
def test_cost_keeps_four_digits_that_count(value, shown):
    assert format.cost(value) == shown


def test_cost_in_another_currency_names_it():
    assert (format.cost(2, currency="EUR"), format.cost(2, currency="CHF")) == ("€2.00", "CHF 2.00")


def test_counts_have_separators_and_say_when_they_are_estimates():
    assert (format.count(1234), format.count(1234, estimated=True), format.count(None)) == ("1,234", "~1,234", "n/a")
    assert (format.tokens(1), format.tokens(2, estimated=True)) == ("1 token", "~2 tokens")


def test_rate_of_nothing_is_unknown():
    assert format.rate(0, 0) == "n/a"
    assert format.rate_with_counts(13, 612) == "2.1 % (13 of 612)"


def test_interval_uses_one_unit():
    assert format.interval(145, 132, 160) == "145 ms [132, 160]"
    assert format.interval(1520, 900, 1710) == "1.52 s [0.90, 1.71]"
    assert format.interval(145, None, 160) == "145 ms"


def test_performance_and_context_lines_have_the_specified_form():
    assert format.performance(32.49, 145.2) == "Performance: 32.5 tok/s | TTFT: 145ms"
    assert format.performance(None, None) == "Performance: n/a | TTFT: n/a"
    assert format.context(1234, 32768) == "Context: 1,234 / 32,768 tokens"
    assert format.context(1234, None) == "Context: 1,234 / n/a tokens"


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=4), "4 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=2), "2026-11-19 15:05"),
        (timedelta(minutes=-3), "just now"),
    ],
)
def test_time_is_relative_for_a_day_and_then_exact_in_the_viewers_zone(before, shown):
    assert format.ago(NOW - before, now=NOW, tz=BERLIN) == shown


@pytest.mark.parametrize(
    ("moment", "group"),
    [
        (datetime(2026, 11, 21, 23, 30, tzinfo=UTC), "Today"),
        (datetime(2026, 11, 20, 23, 30, tzinfo=UTC), "Today"),
        (datetime(2026, 11, 20, 22, 30, tzinfo=UTC), "Yesterday"),
        (datetime(2026, 11, 15, 12, 0, tzinfo=UTC), "Previous 7 days"),
        (datetime(2026, 10, 2, 12, 0, tzinfo=UTC), "October"),
        (datetime(2025, 12, 2, 12, 0, tzinfo=UTC), "December 2025"),
    ],
)
def test_days_are_grouped_in_the_viewers_zone(moment, group):
    assert format.day_group(moment, now=NOW, tz=BERLIN) == group


def test_unknown_zone_is_utc_and_says_so():
    assert format.exact(NOW, tz=format.zone("Mars/Olympus")) == "2026-11-21 14:05 UTC"


def test_single_calls_are_told_to_the_second():
    assert format.exact(NOW, tz=format.zone("UTC"), seconds=True) == f"2026-11-21 14:05:{NOW:%S} UTC"
    assert format.in_column(NOW, tz=BERLIN) == f"2026-11-21 15:05:{NOW:%S}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.00012345, "0.0001234"), (1.5, "1.5"), (999_999.0, "1,000,000"), (12345.6, "12,350")],
)
def test_four_digits_are_never_written_in_powers_of_ten(value, shown):
    assert format.four_digits(value) == shown
