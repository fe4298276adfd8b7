"""What the charts of results say in words: whole, and where there is room for it."""

import pytest

from chatplay.experiments.stats.values import Estimate
from chatplay.experiments.stats.verdicts import Evidence, judge
from chatplay.ui import chart_style as style
from chatplay.ui.experiments import charts
from chatplay.ui.experiments.charts import Mark, Place
from chatplay.ui.experiments.results import words

PHONE_CHARS = 50


def frontier(arms):
    names = [f"temperature {number}" for number in range(arms)]
    places = [Place(name, 1.0, 2.0, f"{number} %", True) for number, name in enumerate(names)]
    chart = charts.frontier(places, x_title="Cost", y_title="Score", names=names, formats=("~s", "~s"))
    looks = chart.to_dict()["encoding"]
    assert looks["fill"]["condition"]["legend"] == looks["color"]["legend"]
    return looks["color"]["legend"]


def test_arms_at_one_place_are_told_apart_by_the_legend_with_what_is_said_of_each():
    legend = frontier(3)
    assert legend["columns"] == 1
    assert all(f'"temperature {one}: {one} %"' in legend["labelExpr"] for one in range(3))


MARKS = [Mark("a", 1.0, 0.5, 1.5, "better", "1 [0.5, 1.5]", 9, True), Mark("b", None), Mark("c", 0.2)]


DRAWN = {
    "intervals": lambda: charts.intervals(MARKS, title="Difference", reference=0.0, names=["a", "b", "c"]),
    "shares": lambda: charts.shares(MARKS, title="Share"),
    "effect": lambda: charts.effect(MARKS, title="Score", x_title="top-p", low=0.0, high=2.0),
    "heat": lambda: charts.heat(
        [("0", "1", mark) for mark in MARKS], x_title="top-p", y_title="temperature", title="Score"
    ),
    "frontier": lambda: charts.frontier(
        [Place("a", 1.0, 2.0, "90 %", True)], x_title="Cost", y_title="Score", names=["a"], formats=("~s", "~s")
    ),
}


def test_text_on_a_middling_shade_is_black():
    cells = [("0", "1", Mark(name, value)) for name, value in (("a", 0.0), ("b", 0.6), ("c", 1.0), ("d", None))]
    drawn = charts.heat(cells, x_title="top-p", y_title="temperature", title="Score").to_dict()
    (rows,) = drawn["datasets"].values()
    assert [row["ink"] for row in rows] == ["black", "black", "white", "black"]


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_chart_is_drawn_as_the_whole_schema_would_have_it(draw):
    drawn = draw().properties(height=style.HEIGHT_PX, config=style.CONFIG)
    assert style.Unchecked(drawn).to_dict() == drawn.to_dict()


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_no_channel_has_to_be_looked_for_in_the_schema(draw, schema_stays_closed):
    draw()


def test_more_arms_than_colours_have_no_legend_that_would_mix_them_up():
    assert frontier(len(style.PALETTE) + 1) is None


@pytest.mark.parametrize(
    ("difference", "p", "chance"),
    [(0.2, 0.3, 0.1), (0.2, 0.3, 1e-9), (0.001, 0.9, 0.1), (0.2, 0.3, None), (0.9, 0.01, 0)],
)
def test_every_verdict_has_a_short_form_that_fits_a_phone(difference, p, chance):
    text = judge(Evidence("score", 12, difference, 0.19, p, p, chance, 2.0)).text
    short = words.brief(text)
    assert len(short) <= PHONE_CHARS
    assert short.startswith(text[:10])


def test_difference_that_rounds_to_nothing_has_no_sign():
    assert words.difference("score", Estimate(-2.8e-18, -0.06, 0.06, 9, 3)) == "0 [-0.06, +0.06]"
    assert words.difference("passed", Estimate(-1e-9, -0.5, 0.25, 9, 3)) == "0 points [-50.0, +25.0]"
    assert words.difference("score", Estimate(-0.006, -0.06, 0.06, 9, 3)) == "-0.01 [-0.06, +0.06]"


def test_times_on_an_axis_are_in_the_unit_they_are_told_in():
    marks = [Mark("a", 1500.0, 900.0, 2100.0, n=9)]
    chart = charts.effect(marks, title="Duration", x_title="Model", low=900.0, high=2100.0, fmt="ms").to_dict()
    (label,) = {
        layer["encoding"]["y"]["axis"]["labelExpr"] for layer in chart["layer"] if "axis" in layer["encoding"]["y"]
    }
    assert "/ 1000" in label
    assert "' s'" in label
    assert "' ms'" in label
