"""What a command found out about one part of the playground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of an answer; `text` holds the cure when there is something to cure."""

    grade: Grade
    part: str
    text: str
