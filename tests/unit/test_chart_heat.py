"""What is written on the cells of heat maps can be read."""

import pytest

from chatplay.ui import chart_heat
from chatplay.ui.chart_style import NEUTRAL
from tests.unit.test_theme import READABLE, contrast

INKS = {"white": "#FFFFFF", "black": "#000000"}
SHARES = [step / 200 for step in range(201)]


@pytest.mark.parametrize("low", [-5.0, 0.0, 1e6])
def test_text_can_be_read_on_every_shade(low):
    inks = chart_heat.inks([low + 3.0 * share for share in SHARES])
    assert set(inks) == {"white", "black"}
    for share, ink in zip(SHARES, inks, strict=True):
        shade = "#" + "".join(f"{round(part):02x}" for part in chart_heat.colour_of(share))
        assert contrast(INKS[ink], shade) >= READABLE


def test_cell_that_is_unknown_or_alone_is_written_in_black():
    assert chart_heat.inks([None, 7.0]) == ["black", "black"]
    assert contrast(INKS["black"], NEUTRAL) >= READABLE


def test_colours_are_those_of_the_ends_at_the_ends():
    assert chart_heat.colour_of(0.0) == (0xCF, 0xE1, 0xF2)
    assert chart_heat.colour_of(1.0) == (0x0A, 0x4A, 0x90)
