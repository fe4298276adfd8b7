"""Counts, figures and facts of experiments in words; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

from chatplay import params as parameters
from chatplay.experiments.values import Arm, Figure
from chatplay.ui import format as fmt

_NAMES = {"prompt": "Prompt", "model": "Model", "arm": "Arm"}
_LABELS = {spec.name: spec.label for spec in parameters.SPECS}


def other_number(now: int, shown: int) -> str:
    """That a change made together with a press comes to another number of trials than its button said."""
    return f"With the last change these are {fmt.many(now, 'trial')}, not {shown:,}."


def level_name(name: str) -> str:
    """What varies, as its column is called."""
    return _NAMES.get(name) or _LABELS.get(name, name)


def arm_names(arms: Sequence[Arm]) -> list[str]:
    """`Temperature 0.5, Top-p 1`: what people call the arms, settings as on all pages (`Arm.label` has the names that
    programs use); those that would be called the same are numbered.
    """
    return tell_apart([_arm_name(arm) for arm in arms])


def tell_apart(names: Sequence[str]) -> list[str]:
    """Names of arms, numbered where several are the same."""
    return [name if names.count(name) == 1 else f"{name} (arm {place + 1})" for place, name in enumerate(names)]


def _arm_name(arm: Arm) -> str:
    parts = [level if name in _NAMES else f"{level_name(name)} {level}" for name, level in arm.levels.items()]
    return ", ".join(parts) or arm.label


def amount(value: float) -> str:
    """Three digits are as many as an expectation has: `1,230`."""
    return f"{float(f'{value:.3g}'):,.0f}"


def cost(value: float | None) -> str:
    """Expected money, to three digits."""
    return fmt.cost(None if value is None else float(f"{value:.3g}"))


def span(seconds: float) -> str:
    """`8 s`, `4 min`, `1 h 20 min`: how long something will take, as exactly as that can be known."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours:,} h {rest:02d} min" if hours < 48 else f"{hours / 24:,.1f} days"


def figure(value: Figure | None, write: Callable[[float], str]) -> str:
    """`1,230 [980, 1,480]`; an exact one without its interval, and said so where nothing bounds it."""
    if value is None:
        return fmt.UNKNOWN
    if math.isinf(value.high):
        return f"about {write(value.value)}, may be far more"
    low, high = write(value.low), write(value.high)
    return write(value.value) if low == high else f"{write(value.value)} [{low}, {high}]"


def facts_html(facts: Iterable[tuple[str, str]]) -> str:
    """Names and figures below each other, for st.html."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    return f'<dl class="experiments-facts">{items}</dl>'
