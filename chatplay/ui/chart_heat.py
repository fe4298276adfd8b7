"""The colours of heat maps, and what can be read on each of their cells, in the light and in the dark alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from chatplay.ui.chart_style import NEUTRAL

SCHEME: Final = "blues"  # one hue, light to dark: readable in grey, too
# What Vega draws it with, from the least value to the greatest, and blends between them.
_COLOURS = (
    (0xCF, 0xE1, 0xF2),
    (0xBE, 0xD8, 0xEC),
    (0xA8, 0xCE, 0xE5),
    (0x8F, 0xC1, 0xDE),
    (0x74, 0xB2, 0xD7),
    (0x5B, 0xA3, 0xCF),
    (0x45, 0x92, 0xC6),
    (0x31, 0x81, 0xBD),
    (0x20, 0x6F, 0xB2),
    (0x12, 0x5C, 0xA4),
    (0x0A, 0x4A, 0x90),
)
_STEPS = len(_COLOURS) - 1
# The luminance on which black and white have the same contrast, 4.6. WCAG 2.2: (lighter + 0.05) / (darker + 0.05).
_BLACK_FROM = (0.05 * 1.05) ** 0.5 - 0.05


def inks(values: Sequence[float | None]) -> list[str]:
    """What a text on each cell is written with, "white" or "black"; a cell without a value is grey, so black."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    shares = [None if value is None else (value - low) / ((high - low) or 1.0) for value in values]
    return ["black" if share is None or _luminance(colour_of(share)) >= _BLACK_FROM else "white" for share in shares]


def without(base: alt.Chart, value: str) -> Any:
    """The layer of the cells that have no `value`. Vega leaves them out of the others, and a text would stand alone."""
    return base.transform_filter(f"!isValid(datum.{value})").mark_rect(color=NEUTRAL)


def ink_colour() -> alt.ColorValue:
    """Of texts whose rows say in `ink` what they are written with.

    Not a colour channel without a scale: Streamlit's theme stumbles over that in layered charts.
    """
    white = alt.when("datum.ink == 'white'").then(alt.value("#FFFFFF"))
    return alt.ColorValue(**white.otherwise(alt.value("#000000")))


def colour_of(share: float) -> tuple[float, float, float]:
    """Red, green and blue (0 to 255) of a cell at `share` of the way from the least value to the greatest."""
    step = min(int(share * _STEPS), _STEPS - 1)
    way = share * _STEPS - step
    red, green, blue = (
        one + (other - one) * way for one, other in zip(_COLOURS[step], _COLOURS[step + 1], strict=True)
    )
    return red, green, blue


def _luminance(colour: tuple[float, float, float]) -> float:
    """WCAG's relative luminance."""
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
