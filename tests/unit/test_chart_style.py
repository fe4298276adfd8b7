"""Names keep their colour; as many names as there are colours have one each."""

from hypothesis import given
from hypothesis import strategies as st

from chatplay.ui.chart_style import PALETTE, colour, colours, legend_height


@given(st.sets(st.text(min_size=1, max_size=12), min_size=1, max_size=len(PALETTE)))
def test_as_many_names_as_colours_have_a_colour_each(names):
    assert len(set(colours(names).values())) == len(names)


def test_name_alone_has_the_colour_it_has_beside_others():
    names = {"tiny", "llama-3", "gpt-5"}
    first = min(names)
    assert colours({first}) == {first: colours(names)[first]}


def test_order_of_names_does_not_matter():
    assert colours(["b", "a", "c"]) == colours(["c", "b", "a"])


def test_name_has_the_same_colour_in_every_chart_of_a_page():
    page = ["a", "b", "c", "d", "e"]
    for names in (["b", "e"], ["e"], page):
        scale = colour("model", names, among=page).to_dict()["scale"]
        assert dict(zip(scale["domain"], scale["range"], strict=True)) == {name: colours(page)[name] for name in names}


def test_a_legend_of_many_rows_takes_no_room_from_the_plot():
    few, many = ["tiny", "small"], [f"a-model-of-number-{number}" for number in range(8)]
    assert legend_height(few) == 0
    assert legend_height(many) >= 2 * 20
