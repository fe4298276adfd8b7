"""Models have one name and one look on a page; the most used stand out, the others lie in grey behind them."""

from chatplay.ui.chart_models import Cast, model_labels, relabel
from chatplay.ui.chart_style import NEUTRAL, PALETTE
from chatplay.usage.values import ModelKey, UsageRow

TINY = ModelKey("local", "tiny")
MANY = tuple(ModelKey("box", f"m{number:02d}") for number in range(20))  # most used first


def used(key, label):
    return UsageRow(key, label, 1, 0, 0, 1, 1, 0, 0, 0, None, 1, None, None, None, 1)


def test_model_name_is_enough_where_it_is_the_only_one():
    labels = model_labels([TINY, ModelKey("a", "big"), ModelKey("b", "big")])
    assert list(labels.values()) == ["big @ a", "big @ b", "tiny"]


def test_rows_of_usage_name_models_as_charts_do():
    rows = relabel([used("a/org/big", "a/org/big"), used("b/org/big", "b/org/big"), used("b/tiny", "b/tiny")])
    assert [row.label for row in rows] == ["org/big @ a", "org/big @ b", "tiny"]
    assert [row.label for row in relabel([used("b/tiny", "b/tiny")], known=[TINY])] == ["tiny @ b"]


def test_most_used_models_have_a_colour_each_and_the_rest_one_grey_entry():
    looks = Cast(MANY).looks(MANY)
    assert list(looks.legend) == [key.model for key in MANY[: len(PALETTE)]] + ["13 others"]
    assert len(set(looks.legend.values())) == len(PALETTE) + 1
    assert (looks.legend["13 others"], looks.group(MANY[10])) == (NEUTRAL, "13 others")


def test_single_other_is_called_by_its_name():
    looks = Cast(MANY[:8]).looks(MANY[:8])
    assert looks.legend[looks.group(MANY[7])] == NEUTRAL
    assert looks.group(MANY[7]) == "m07"


def test_model_looks_the_same_in_a_chart_that_holds_few():
    whole, few = Cast(MANY).looks(MANY), Cast(MANY).looks([MANY[2], MANY[15]])
    assert few.legend == {"m02": whole.legend["m02"], "m15": NEUTRAL}


def test_models_left_by_a_filter_have_the_colours():
    looks = Cast(MANY, chosen=(MANY[15],)).looks([MANY[15]])
    assert looks.legend["m15"] in PALETTE


def test_model_keeps_its_colour_when_a_filter_leaves_few():
    whole = Cast(MANY).looks(MANY).legend
    for chosen in (MANY[2:3], MANY[1:4], (MANY[6], MANY[15], MANY[16])):
        legend = Cast(MANY, chosen=tuple(chosen)).looks(chosen).legend
        assert {name: legend[name] for name in legend if name in whole} == {
            name: whole[name] for name in legend if name in whole
        }
        assert len(set(legend.values())) == len(chosen)


def test_what_is_grey_is_drawn_behind():
    rows = [(MANY[0], "named"), (MANY[19], "grey"), (MANY[1], "named, too"), (MANY[18], "grey, too")]
    looks = Cast(MANY).looks(MANY)
    assert looks.named_last(rows) == ["grey", "grey, too", "named", "named, too"]
