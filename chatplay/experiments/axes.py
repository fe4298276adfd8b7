"""Axes written as text: `0, 0.5, 1` or `0:1:0.25`, checked against the ranges of the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_LEVELS = 50


@dataclass(frozen=True)
class Levels:
    """The values of one axis with their labels, equally long."""

    param: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]


def parse_axis(param: str, text: str) -> Levels:
    """The levels that `text` names. Raises BadInput with `param` set.

    Numbers: a list of values, of ranges `start:stop:step` (both ends in, when the step meets them), of both. `unset`
    leaves a parameter to the server. Stop sequences: a JSON list of lists (`[[], ["END"]]`), or plain texts, each a
    level of its own. System prompts: one per line.
    """
    raise NotImplementedError
