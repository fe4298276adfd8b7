"""Charts hold the numbers they were given, as the viewer's clock and the field's words have them."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from chatplay.ui import charts, charts_bars, charts_cells
from chatplay.ui.chart_models import Cast
from chatplay.ui.chart_style import NEUTRAL
from chatplay.usage.values import (
    Bin,
    Binned,
    Distribution,
    Gap,
    HourCell,
    ModelKey,
    OutcomePoint,
    PercentilePoint,
    SamplePoint,
    SettingsCell,
    SizeBin,
    UsageRow,
)

pytestmark = pytest.mark.usefixtures("schema_stays_closed")
START = datetime(2026, 11, 1, 23, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
TINY = ModelKey("local", "tiny")


def rows_of(chart):
    """All data points of a chart, whatever layer they are in."""
    spec = chart.to_dict()
    return [row for rows in spec.get("datasets", {}).values() for row in rows]


def test_percentiles_stand_at_the_viewers_wall_clock():
    chart = charts.percentiles(
        [PercentilePoint(START, START + HOUR, TINY, 100.0, 250.0, 7)], title="TTFT", cast=Cast(), tz=BERLIN
    )
    points = {(row["percentile"], row["value"], row["n"], row["time"]) for row in rows_of(chart)}
    assert points == {("p50", 100.0, 7, "2026-11-02T00:30:00"), ("p95", 250.0, 7, "2026-11-02T00:30:00")}


def test_target_is_drawn_where_there_is_one():
    point = PercentilePoint(START, START + HOUR, TINY, 100.0, 250.0, 7)
    assert {"target": 1500.0} in rows_of(
        charts.percentiles([point], title="TTFT", cast=Cast(), tz=BERLIN, target=1500.0)
    )


def test_outcomes_of_one_bucket_stand_on_each_other():
    rows = [
        OutcomePoint(START, START + HOUR, "finish_reason", "length", 2, 10),
        OutcomePoint(START, START + HOUR, "finish_reason", "stop", 8, 10),
        OutcomePoint(START + HOUR, START + 2 * HOUR, "finish_reason", "length", 1, 1),
    ]
    bars = {(row["name"], row["low"], row["high"]) for row in rows_of(charts_bars.outcomes(rows, tz=BERLIN))}
    assert bars == {("stop", 0, 8), ("length", 8, 10), ("length", 0, 1)}


def test_unknown_cost_is_no_bar():
    row = UsageRow("k", "tiny", 3, 0, 0, 10, 20, 0, 0, 0, None, 3, None, None, None, 1)
    assert rows_of(charts_bars.amounts([row], measure="cost")) == []
    assert [bar["value"] for bar in rows_of(charts_bars.amounts([row], measure="tokens"))] == [10, 20]


def test_two_people_of_one_name_have_a_bar_each():
    rows = [UsageRow(key, "Ana", 1, 0, 0, 10, 20, 0, 0, 0, None, 1, None, None, None, 1) for key in ("3", "4")]
    bars = {(bar["name"], bar["key"]) for bar in rows_of(charts_bars.amounts(rows, measure="tokens"))}
    assert bars == {("Ana (3)", "3"), ("Ana (4)", "4")}


def test_days_stand_on_the_calendar_with_completion_on_prompt_tokens():
    row = UsageRow("2026-10-25", "2026-10-25", 3, 0, 0, 10, 20, 0, 0, 0, None, 3, None, None, None, 1)
    bars = rows_of(charts_bars.amounts_by_day([row], measure="tokens"))
    assert [(bar["kind"], bar["low"], bar["high"]) for bar in bars] == [
        ("Prompt tokens", 0, 10),
        ("Answer tokens", 10, 30),
    ]
    assert {(bar["time"], bar["until"]) for bar in bars} == {("2026-10-25T00:00:00", "2026-10-26T00:00:00")}


def test_distribution_of_a_single_call_is_a_line_from_nothing_to_all():
    one = Distribution(TINY, 200.0, 200.0, 1, (Bin(198.0, 202.0, 1, 1.0),))
    rows = rows_of(charts.distribution([one], title="TTFT", cast=Cast()))
    assert [(row["value"], row["share"]) for row in rows] == [(198.0, 0.0), (202.0, 1.0)]


def test_every_chart_of_calls_can_be_picked_in():
    row = UsageRow("k", "tiny", 3, 0, 0, 10, 20, 0, 0, 0, None, 3, None, None, None, 1)
    one = Distribution(TINY, 200.0, 200.0, 1, (Bin(198.0, 202.0, 1, 1.0),))
    for chart in (charts_bars.amounts([row], measure="tokens"), charts.distribution([one], title="TTFT", cast=Cast())):
        assert charts.PICK in {param["name"] for param in chart.to_dict()["params"]}


def test_hours_are_written_as_the_tables_write_them():
    point = PercentilePoint(START, START + HOUR, TINY, 100.0, 250.0, 7)
    spec = json.dumps(charts.percentiles([point], title="TTFT", cast=Cast(), tz=BERLIN).to_dict())
    assert '"hours": "%H:%M"' in spec


def test_costs_below_a_dollar_are_not_written_as_millions():
    row = UsageRow("k", "tiny", 3, 0, 0, 10, 20, 0, 0, 0, 0.1, 0, None, None, None, 1)
    axis = charts_bars.amounts([row], measure="cost").to_dict()["encoding"]["x"]["axis"]
    assert axis["format"] == "$,.6~f"


def test_amounts_below_bars_are_as_many_as_stand_apart_on_its_width():
    row = UsageRow("k", "tiny", 3, 0, 0, 10, 20, 0, 0, 0, 0.1, 0, None, None, None, 1)
    axis = charts_bars.amounts([row], measure="cost").to_dict()["encoding"]["x"]["axis"]
    assert axis["tickCount"] == {"expr": "max(2, ceil(width / 80))"}


def test_setting_that_was_not_sent_has_a_place_of_its_own():
    cells = [SettingsCell(0.5, 1.0, 10.0, 4, 4), SettingsCell(None, 1.0, None, 0, 2)]
    drawn = rows_of(charts_cells.settings_map(cells, x_title="Temperature", y_title="Top-p", title="TTFT"))
    assert {(row["x"], row["value"], row["n"]) for row in drawn} == {("0.5", 10.0, 4), ("not sent", None, 0)}
    assert [charts_cells.setting_of(row["x"]) for row in drawn] == [0.5, None]


def test_number_in_a_cell_of_middling_shade_is_black():
    cells = [SettingsCell(float(x), 1.0, value, 4, 4) for x, value in enumerate((0.0, 60.0, 100.0, None))]
    drawn = rows_of(charts_cells.settings_map(cells, x_title="Seed", y_title="Top-p", title="TTFT"))
    assert [row["ink"] for row in drawn] == ["black", "black", "white", "black"]


def test_cell_without_a_mean_is_drawn_so_that_its_number_can_be_read():
    cells = [SettingsCell(0.5, 1.0, 10.0, 4, 4), SettingsCell(None, 1.0, None, 0, 2)]
    _, without, _ = charts_cells.settings_map(cells, x_title="x", y_title="y", title="TTFT").to_dict()["layer"]
    assert without["transform"] == [{"filter": "!isValid(datum.value)"}]
    assert without["mark"] == {"type": "rect", "color": NEUTRAL}


def test_setting_picked_in_the_map_has_all_its_digits():
    cells = [SettingsCell(float(seed), 1.0, 10.0, 4, 4) for seed in (1234567, 1234568)]
    drawn = rows_of(charts_cells.settings_map(cells, x_title="Seed", y_title="Top-p", title="TTFT"))
    assert [charts_cells.setting_of(row["x"]) for row in drawn] == [1234567, 1234568]


def test_load_is_calls_an_hour_and_not_calls():
    cells = [HourCell(0, 9, 0, 12, 1, 4)]
    assert rows_of(charts_cells.hours(cells))[0] | {"rate": 3.0} == rows_of(charts_cells.hours(cells))[0]


def test_rates_below_one_are_not_written_in_thousandths():
    legend = charts_cells.hours([HourCell(0, 9, 0, 1, 1, 5)]).to_dict()["encoding"]["color"]["legend"]
    assert legend["format"] == ",.3~r"  # "~s" writes 0.2 as 200m


def lines_of(binned):
    """Where the p50 line runs: its edges, bin by bin, and the run each bin belongs to."""
    chart = charts.against_tokens(binned, x_title="Prompt tokens", cast=Cast(), y_title="TTFT")
    rows = [row for row in rows_of(chart) if row.get("percentile") == "p50"]
    return [(low["tokens"], high["tokens"], low["run"]) for low, high in zip(rows[::2], rows[1::2], strict=True)]


def calls_of(*tokens):
    return tuple(SamplePoint(UUID(int=number), TINY, count, 4.0) for number, count in enumerate(tokens, 1))


def test_binned_lines_reach_from_the_smallest_point_to_the_largest_and_over_no_empty_bin():
    bins = tuple(SizeBin(low, high, 5.0, 9.0, 1) for low, high in ((0, 32), (32, 64), (128, 256)))
    assert lines_of(Binned(bins, calls_of(13, 40, 200), 3)) == [(13, 32, 0), (32, 64, 0), (128, 200, 1)]


def test_binned_lines_of_calls_of_one_size_can_be_seen():
    [(low, high, _)] = lines_of(Binned((SizeBin(0, 32, 5.0, 9.0, 3),), calls_of(13, 13, 13), 3))
    assert low < 13 < high < 14
    bins = tuple(SizeBin(low, high, 5.0, 9.0, 1) for low, high in ((0, 32), (32, 64)))
    (_, joint, _), (begin, end, _) = lines_of(Binned(bins, calls_of(13, 32), 2))
    assert joint == begin == 32 < end


def test_binned_chart_begins_its_first_step_above_zero_for_the_log_axis():
    binned = Binned((SizeBin(0, 32, 5.0, 9.0, 3),), (SamplePoint(UUID(int=1), TINY, 0, 4.0),), 3)
    tokens = [
        row["tokens"]
        for row in rows_of(charts.against_tokens(binned, x_title="Prompt tokens", cast=Cast(), y_title="TTFT"))
    ]
    assert min(tokens) >= 1


def test_timeline_begins_with_the_first_token_and_marks_stalls():
    gaps = [Gap(2, 120.0, 20.0, False), Gap(3, 520.0, 400.0, True)]
    kinds = [(row["seq"], row["kind"]) for row in rows_of(charts.timeline(gaps, ttft_ms=100.0))]
    assert kinds == [(1, "first token"), (2, "token"), (3, "stall")]
