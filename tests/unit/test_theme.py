"""The colours of config.toml: what is written on them can be read."""

import tomllib
from pathlib import Path

import pytest

THEME = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text())["theme"]
READABLE = 4.5  # WCAG 2.2, contrast (minimum) of text


def luminance(colour):
    """WCAG's relative luminance of `#rrggbb`."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_white_can_be_read_on_a_primary_button(mode):
    assert contrast(THEME[mode]["primaryColor"], "#FFFFFF") >= READABLE


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])
@pytest.mark.parametrize("ink", ["textColor", "linkColor", "redTextColor", "orangeTextColor", "yellowTextColor"])
def test_text_can_be_read_on_each_ground(mode, ground, ink):
    assert contrast(THEME[mode][ink], THEME[mode][ground]) >= READABLE
