"""The address of the metrics page and what it shows are the same thing, written two ways."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay.errors import BadInput
from chatplay.ui.usage_view import PRESETS, STATUSES, View, param_text, parse_param, read, write
from chatplay.usage.values import ModelKey, ParamFilter

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=20)
keys = st.builds(ModelKey, words.filter(lambda name: "/" not in name), words)
numbers = st.integers(-20, 20).map(lambda tenths: tenths / 10) | st.floats(allow_nan=False, allow_infinity=False)
params = st.one_of(
    st.builds(ParamFilter, st.sampled_from(["temperature", "top_p"]), low=numbers, high=numbers),
    st.builds(ParamFilter, st.sampled_from(["seed", "temperature"])),
)


@given(
    st.builds(
        View,
        span=st.sampled_from(list(PRESETS)),
        everybody=st.booleans(),
        models=st.lists(keys, max_size=3).map(tuple),
        sources=st.lists(words, max_size=3).map(tuple),
        statuses=st.lists(st.sampled_from(STATUSES), max_size=3).map(tuple),
        params=st.lists(params, max_size=2).map(tuple),
        experiment_id=st.none() | st.uuids(),
    )
)
def test_view_survives_its_address(view):
    assert read(write(view)) == view


def test_custom_range_survives_its_address():
    view = View(span="custom", first=date(2026, 11, 1), last=date(2026, 11, 3))
    assert read(write(view)) == view


def test_custom_range_holds_whole_days_of_the_viewers_zone():
    berlin = ZoneInfo("Europe/Berlin")
    start, end = View(span="custom", first=date(2026, 10, 25), last=date(2026, 10, 25)).bounds(NOW, berlin)
    assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=25)  # the day summer time ends


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("2026-11-20", "2026-11-22", (date(2026, 11, 20), date(2026, 11, 21))),
        ("2026-11-22", "2026-11-22", (date(2026, 11, 21), date(2026, 11, 21))),
        ("0001-01-01", "9999-12-31", (date(2000, 1, 1), date(2026, 11, 21))),
    ],
)
def test_custom_range_has_only_days_that_have_begun_for_the_viewer(first, last, days):
    view = read({"from": [first], "to": [last]})
    start, end = view.bounds(NOW, ZoneInfo("UTC"))
    assert (start.date(), (end - timedelta(days=1)).date()) == days
    assert view.days(NOW.date()) == days


def test_preset_range_ends_now():
    assert View(span="24h").bounds(NOW, ZoneInfo("UTC")) == (NOW - timedelta(hours=24), NOW)


@pytest.mark.parametrize(
    "query",
    [
        {"range": ["no such"]},
        {"from": ["2026-13-01"], "to": ["x"]},
        {"from": ["2026-11-03"], "to": ["2026-11-01"]},
        {"model": ["box/a\0"], "source": ["a\0", "\ud800"], "param": ["stop:a\0", "stop:\udfff"]},
        {"model": ["no-slash", "/", "a/"], "status": ["streaming"], "experiment": ["x"], "param": ["x", "top_p:a"]},
    ],
)
def test_address_that_cannot_be_read_shows_everything(query):
    assert read(query) == View()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("temperature:0.2", ParamFilter("temperature", low=0.2, high=0.2)),
        ("temperature = 0.2..1", ParamFilter("temperature", low=0.2, high=1.0)),
        ("max_tokens:..512", ParamFilter("max_tokens", high=512.0)),
        ("seed:1234567", ParamFilter("seed", low=1234567.0, high=1234567.0)),
        ("seed:not set", ParamFilter("seed")),
        ("stop:END", ParamFilter("stop", text="END")),
    ],
)
def test_parameter_is_read_as_typed(text, wanted):
    assert parse_param(text) == wanted
    assert parse_param(param_text(wanted)) == wanted


@pytest.mark.parametrize(
    "text", ["temperature", "temperature:", "temperature:warm", "warmth:1", "temperature:1..x", "seed:..inf"]
)
def test_parameter_that_cannot_be_read_names_the_cure(text):
    with pytest.raises(BadInput) as caught:
        parse_param(text)
    assert caught.value.cure


def test_experiment_is_part_of_the_filter():
    experiment = UUID(int=5)
    asked = View(experiment_id=experiment).filter(user_id=7, now=NOW, tz=ZoneInfo("UTC"))
    assert (asked.experiment_id, asked.user_id) == (experiment, 7)
