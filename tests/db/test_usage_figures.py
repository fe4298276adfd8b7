"""Every question of the metrics page on a small set of calls whose answers were worked out by hand.

Calls (12:00 of one day unless said): ana, tiny: ttft 100, 200, 300 and one failed; ana, large at 13:00: ttft 1,000,
fell back; ben, tiny at 13:00: ttft 400, no price known; the day before: ana, tiny: ttft 500.
"""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from chatplay.auth.person import Person, Preferences
from chatplay.errors import BadInput, NotFound
from chatplay.store import Store
from chatplay.usage.values import FigureFilter, ModelKey, ParamFilter, WeekHour
from db.engine import make_engine
from tests.databases import fresh_database
from tests.db.usage_rig import FAILED, NOON, day, make_rig

CHAT, OTHER_CHAT = UUID(int=1), UUID(int=2)
HOUR = timedelta(hours=1)
TINY, LARGE = ModelKey("box", "tiny"), ModelKey("cloud", "large")
NEAR = {"rel": 0.01}
ALL_STATUSES = ("complete", "failed", "stopped", "interrupted")


@pytest.fixture(scope="module", params=["embedded", "outside"])
def house(request):
    with fresh_database(request.getfixturevalue(f"{request.param}_url")) as url:
        engine = make_engine(url, pool_size=2)
        yield fill(make_rig(Store(engine)))
        engine.dispose()


def fill(house):
    for ttft_ms in (100.0, 200.0, 300.0):
        house.add(ttft_ms=ttft_ms, session_id=CHAT, tokens_per_second=ttft_ms / 10)
    house.add(session_id=CHAT, params={"temperature": 0.2, "top_p": 1.0}, **FAILED)
    house.add(
        NOON + HOUR,
        upstream="cloud",
        model="large",
        source="compare",
        ttft_ms=1000.0,
        tokens_per_second=None,
        fallback_reason="no stream",
        finish_reason="length",
        prompt_tokens=5000,
        cost_usd=0.5,
        params={"temperature": 0.2, "top_p": 0.9},
    )
    house.add(NOON + HOUR, user=house.ben, ttft_ms=400.0, cost_usd=None, session_id=OTHER_CHAT, tokens_estimated=True)
    house.add(NOON - 24 * HOUR, ttft_ms=500.0, session_id=uuid4())
    house.count()
    return house


@pytest.fixture(params=["roll-up", "rows"])
def today(request, house):
    """The whole day, everybody's, answered from the roll-up and from the rows."""
    return house.everyone(**day(statuses=ALL_STATUSES if request.param == "rows" else ()))


def own(filter, user_id):
    return replace(filter, user_id=user_id)


def test_tiles_of_the_day_are_those_worked_out_by_hand(house, today):
    tiles = house.usage.tiles(today, "UTC")
    assert (tiles.calls.value, tiles.calls.n) == (6, 6)
    assert (tiles.prompt_tokens.value, tiles.completion_tokens.value) == (5400, 100)
    assert (tiles.prompt_tokens.n, tiles.prompt_tokens.unknown) == (5, 1)
    assert tiles.cost_usd.value == pytest.approx(0.53)
    assert (tiles.cost_usd.n, tiles.cost_usd.unknown) == (4, 2)
    assert (tiles.error_rate.k, tiles.error_rate.n, tiles.error_rate.value) == (1, 6, 1 / 6)
    assert (tiles.fallback_rate.k, tiles.fallback_rate.n) == (1, 6)


def test_tiles_give_percentiles_with_the_calls_that_have_none(house, today):
    tiles = house.usage.tiles(today, "UTC")
    assert tiles.ttft_p50_ms.value == pytest.approx(300, **NEAR)
    assert tiles.ttft_p95_ms.value == pytest.approx(880, **NEAR)  # 400 + 0.8 * (1000 - 400)
    assert (tiles.ttft_p50_ms.n, tiles.ttft_p50_ms.unknown) == (5, 1)


def test_tiles_count_completed_answers_per_chat(house, today):
    tile = house.usage.tiles(today, "UTC").prompts_per_chat
    assert (tile.value, tile.n, tile.is_met) == (2.0, 2, False)  # 3 and 1 answers


def test_tiles_are_compared_with_what_was_promised(house, today):
    tiles = house.usage.tiles(today, "UTC")
    met = (tiles.ttft_p50_ms.is_met, tiles.error_rate.is_met, tiles.fallback_rate.is_met, tiles.calls.is_met)
    assert met == (True, False, False, None)


def test_tile_trend_has_a_point_for_every_hour_of_the_day(house, today):
    trend = house.usage.tiles(today, "UTC").calls.trend
    assert [point.n for point in trend] == [0] * 12 + [4, 2] + [0] * 10
    assert trend[12].start == NOON
    assert (trend[0].value, trend[12].value) == (0, 4)


def test_percentiles_over_time_are_by_model_and_hour(house, today):
    points = house.usage.percentiles_over_time(today, "ttft_ms", "UTC")
    assert [(point.model, point.start, point.n) for point in points] == [
        (TINY, NOON, 3),
        (TINY, NOON + HOUR, 1),
        (LARGE, NOON + HOUR, 1),
    ]
    assert (points[0].p50, points[0].p95) == (pytest.approx(200, **NEAR), pytest.approx(290, **NEAR))
    assert points[0].end == NOON + HOUR


def test_distribution_holds_every_value_once(house, today):
    tiny, large = house.usage.distribution(today, "ttft_ms")
    assert (tiny.model, tiny.n, large.model, large.n) == (TINY, 4, LARGE, 1)
    assert [one.n for one in tiny.bins] == [1, 1, 1, 1]
    assert all(one.low <= value < one.high for one, value in zip(tiny.bins, (100, 200, 300, 400), strict=True))
    assert [one.upto for one in tiny.bins] == [0.25, 0.5, 0.75, 1.0]


def test_ttft_by_prompt_tokens_is_in_bins_that_double(house, today):
    binned = house.usage.ttft_by_prompt_tokens(today)
    assert [(one.low, one.high, one.n) for one in binned.bins] == [(64, 128, 4), (4096, 8192, 1)]
    assert binned.bins[0].p50 == pytest.approx(250, **NEAR)
    assert binned.n == 5
    assert sorted((point.tokens, point.value) for point in binned.points)[-1] == (5000, 1000.0)


def test_speed_by_context_counts_prompt_and_answer(house, today):
    binned = house.usage.speed_by_context(today)
    assert [(one.low, one.high, one.n) for one in binned.bins] == [(64, 128, 4)]
    assert binned.bins[0].p50 == pytest.approx(25, **NEAR)  # 10, 20, 30, 50
    assert {point.tokens for point in binned.points} == {120}


def test_outcomes_over_time_are_counted_of_all_in_the_bucket(house, today):
    points = house.usage.outcomes_over_time(today, "UTC")
    assert [(point.kind, point.name, point.start, point.n, point.of) for point in points] == [
        ("finish_reason", "stop", NOON, 3, 4),
        ("finish_reason", "length", NOON + HOUR, 1, 2),
        ("finish_reason", "stop", NOON + HOUR, 1, 2),
        ("error_class", "rate_limited", NOON, 1, 4),
    ]


def test_usage_by_model_adds_up_what_is_known(house, today):
    tiny, large = house.usage.usage_table(today, "model", "UTC")
    assert (tiny.key, tiny.calls, tiny.failed, tiny.chats) == ("box/tiny", 5, 1, 2)
    assert (tiny.prompt_tokens, tiny.tokens_estimated, tiny.tokens_unknown) == (400, 1, 1)
    assert (tiny.cost_usd, tiny.cost_unknown) == (pytest.approx(0.03), 2)
    assert (tiny.ttft_p50_ms, tiny.tokens_per_second_p50) == (pytest.approx(250, **NEAR), pytest.approx(25, **NEAR))
    assert (large.key, large.fallbacks, large.tokens_per_second_p50) == ("cloud/large", 1, None)


def test_usage_by_person_names_them_and_leaves_unknown_costs_unknown(house, today):
    ana, ben = house.usage.usage_table(today, "person", "UTC")
    assert (ana.key, ana.label, ana.calls, ana.cost_usd) == (str(house.ana), "Ana", 5, pytest.approx(0.53))
    assert (ben.label, ben.calls, ben.cost_usd, ben.cost_unknown) == ("Ben", 1, None, 1)


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("organisation", [("1", "Default", 6)]),
        ("source", [("chat", "chat", 5), ("compare", "compare", 1)]),
        ("day", [("2026-11-18", "2026-11-18", 6)]),
    ],
)
def test_usage_by_organisation_source_and_day(house, today, by, wanted):
    rows = house.usage.usage_table(today, by, "UTC")
    assert [(row.key, row.label, row.calls) for row in rows] == wanted


def test_usage_table_without_percentiles_has_none(house, today):
    rows = house.usage.usage_table(today, "model", "UTC", percentiles=False)
    assert [(row.calls, row.ttft_p50_ms) for row in rows] == [(5, None), (1, None)]


@pytest.mark.parametrize(
    ("metric", "wanted"),
    [
        ("ttft_ms", [(0.2, 0.9, 1000.0, 1, 1), (0.2, 1.0, None, 0, 1), (0.7, 1.0, 250.0, 4, 4)]),
        ("error_rate", [(0.2, 0.9, 0.0, 1, 1), (0.2, 1.0, 1.0, 1, 1), (0.7, 1.0, 0.0, 4, 4)]),
        ("cost_usd", [(0.2, 0.9, 0.5, 1, 1), (0.2, 1.0, None, 0, 1), (0.7, 1.0, pytest.approx(0.01), 3, 4)]),
    ],
)
@pytest.mark.parametrize("days_before", [0, 2])
def test_settings_map_is_the_mean_of_each_pair(house, metric, wanted, days_before):
    """A day is read from the rows; three days from the roll-up (two more are asked for after the calls)."""
    bounds = day()
    filter = house.everyone(bounds["start"], bounds["end"] + timedelta(days=days_before))
    cells = house.usage.settings_map(filter, "temperature", "top_p", metric)
    assert [(cell.x, cell.y, cell.value, cell.n, cell.calls) for cell in cells] == wanted


def test_settings_map_of_ones_own_joins_counted_weeks_with_the_days_around_them(house, today):
    house_filter = own(replace(today, start=NOON - timedelta(days=30), end=NOON + timedelta(days=30)), house.ana)
    whole = house.usage.settings_map(house_filter, "temperature", "top_p", "ttft_ms")
    assert [(cell.x, cell.y, cell.value, cell.n, cell.calls) for cell in whole] == [
        (0.2, 0.9, 1000.0, 1, 1),
        (0.2, 1.0, None, 0, 1),
        (0.7, 1.0, 275.0, 4, 4),
    ]
    until_now = replace(house_filter, end=NOON + 2 * HOUR)
    assert house.usage.settings_map(until_now, "temperature", "top_p", "ttft_ms") == whole


def test_settings_map_shows_a_parameter_that_was_not_sent_as_none(house, today):
    cells = house.usage.settings_map(today, "temperature", "presence_penalty", "ttft_ms")
    assert [(cell.x, cell.y, cell.calls) for cell in cells] == [(0.2, None, 2), (0.7, None, 4)]


def test_settings_map_of_one_setting_against_itself_is_refused(house, today):
    with pytest.raises(BadInput):
        house.usage.settings_map(today, "top_p", "top_p", "ttft_ms")


def test_hour_of_week_has_the_load_and_the_hours_without_any(house, today):
    cells = house.usage.hour_of_week(today, "UTC")
    assert [(cell.weekday, cell.hour) for cell in cells] == [(2, hour) for hour in range(24)]
    assert [(cell.hour, cell.calls, cell.failed, cell.hours) for cell in cells if cell.calls] == [
        (12, 4, 1, 1),
        (13, 2, 0, 1),
    ]


def test_choices_are_what_occurs_most_used_first(house, today):
    choices = house.usage.list_choices(today)
    assert (choices.models, choices.sources) == ((TINY, LARGE), ("chat", "compare"))
    assert house.usage.list_choices(own(today, house.ben)).models == (TINY,)


def test_experiments_to_choose_from_are_those_of_the_person_or_the_organisation(house):
    later, elsewhere = NOON + timedelta(days=400), 2
    for number, user, organisation_id in ((1, house.ana, 1), (2, house.ben, 1), (3, house.ben, elsewhere)):
        house.add(later, user=user, organisation_id=organisation_id, experiment_id=UUID(int=number), count=False)
    that_day = house.everyone(later - HOUR, later + HOUR)

    def found(filter):
        return {experiment.int for experiment in house.usage.list_choices(filter).experiments}

    assert found(that_day) == {1, 2, 3}
    assert found(own(that_day, house.ben)) == {2, 3}
    assert found(replace(that_day, organisation_id=elsewhere)) == {3}


# ---- whose ---------------------------------------------------------------------------------------


def test_two_people_never_see_each_others_numbers(house, today):
    assert house.usage.tiles(own(today, house.ana), "UTC").calls.value == 5
    assert house.usage.tiles(own(today, house.ben), "UTC").ttft_p50_ms.value == pytest.approx(400, **NEAR)
    assert [row.label for row in house.usage.usage_table(own(today, house.ben), "person", "UTC")] == ["Ben"]
    assert {row.user_id for row in house.usage.list_calls(own(today, house.ben)).rows} == {house.ben}


def test_restrict_gives_analysts_their_own_and_administrators_what_they_ask(house, today):
    person = Person(7, "x", "X", "analyst", 1, "Default", Preferences(), True, False, NOON, None)
    assert house.usage.restrict(replace(today, organisation_id=3), person) == replace(today, user_id=7)
    assert house.usage.restrict(today, replace(person, role="administrator")) == today


def test_call_of_another_person_does_not_exist(house, today):
    call = house.usage.list_calls(own(today, house.ben)).rows[0].generation_id
    assert house.usage.get_call(call, user_id=house.ben).call.person == "Ben"
    assert house.usage.get_call(call, user_id=None).call.person == "Ben"
    with pytest.raises(NotFound):
        house.usage.get_call(call, user_id=house.ana)


# ---- filters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter", "calls"),
    [
        ({"models": (LARGE,)}, 1),
        ({"models": (TINY, LARGE)}, 6),
        ({"sources": ("compare",)}, 1),
        ({"models": (TINY,), "sources": ("compare",)}, 0),
        ({"organisation_id": 1}, 6),
        ({"organisation_id": 2}, 0),
        ({"statuses": ("failed",)}, 1),
        ({"finish_reasons": ("length",)}, 1),
        ({"error_classes": ("rate_limited",)}, 1),
        ({"experiment_id": UUID(int=9)}, 0),
        ({"params": (ParamFilter("temperature", 0.1, 0.3),)}, 2),
        ({"params": (ParamFilter("temperature", 0.2, 0.2), ParamFilter("top_p", 0.9, 0.9))}, 1),
        ({"params": (ParamFilter("seed"),)}, 6),
        ({"params": (ParamFilter("temperature", text="0.7"),)}, 4),
        ({"figures": (FigureFilter("ttft_ms", 200, 400),)}, 2),
        ({"figures": (FigureFilter("context_tokens", 1000),)}, 1),
        ({"week_hour": WeekHour(2, 13, "UTC")}, 2),
        ({"week_hour": WeekHour(2, 14, "Europe/Berlin")}, 2),
    ],
)
def test_filter_leaves_the_calls_it_names(house, filter, calls):
    wanted = house.everyone(**day(**filter))
    assert house.usage.tiles(wanted, "UTC").calls.value == calls
    assert len(house.usage.list_calls(wanted).rows) == calls


def test_range_without_calls_has_no_figures_but_is_no_error(house):
    empty = house.everyone(NOON + 48 * HOUR, NOON + 49 * HOUR)
    tiles = house.usage.tiles(empty, "UTC")
    assert (tiles.calls.value, tiles.cost_usd.value) == (0, 0)
    assert (tiles.ttft_p50_ms.value, tiles.error_rate.value, tiles.prompts_per_chat.value) == (None,) * 3
    assert house.usage.percentiles_over_time(empty, "ttft_ms", "UTC") == ()
    assert house.usage.distribution(empty, "duration_ms") == ()
    assert house.usage.ttft_by_prompt_tokens(empty).bins == ()
    assert house.usage.usage_table(empty, "model", "UTC") == ()
    assert house.usage.settings_map(empty, "temperature", "top_p", "ttft_ms") == ()
    assert b"".join(house.usage.export(empty, "csv")).count(b"\n") == 1


def test_range_with_a_single_call_has_its_figures(house):
    tiles = house.usage.tiles(house.everyone(NOON - 24 * HOUR, NOON - 23 * HOUR), "UTC")
    assert (tiles.calls.value, tiles.prompts_per_chat.value) == (1, 1.0)
    assert tiles.ttft_p50_ms.value == tiles.ttft_p95_ms.value == pytest.approx(500, **NEAR)


def test_range_that_ends_before_it_begins_is_empty(house):
    assert house.usage.tiles(house.everyone(NOON, NOON - HOUR), "UTC").calls.n == 0


# ---- time zones ----------------------------------------------------------------------------------


def test_day_is_the_viewers(house):
    filter = house.everyone(NOON - 48 * HOUR, NOON + 48 * HOUR)
    rows = house.usage.usage_table(filter, "day", "Pacific/Auckland")  # 13 hours ahead: 12:00 is the next day
    assert [(row.key, row.calls) for row in rows] == [("2026-11-18", 1), ("2026-11-19", 6)]


def test_hour_of_week_of_a_half_hour_zone_says_where_its_hours_begin(house, today):
    busy = [cell for cell in house.usage.hour_of_week(today, "Asia/Kolkata") if cell.calls]
    assert [(cell.weekday, cell.hour, cell.minute, cell.calls) for cell in busy] == [(2, 17, 30, 4), (2, 18, 30, 2)]


def test_zone_that_does_not_exist_is_refused(house, today):
    with pytest.raises(BadInput, match="Mars"):
        house.usage.tiles(today, "Mars/Olympus")
