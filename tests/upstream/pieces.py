"""What a scripted answer is made of, and the record of the request it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Head:
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "text/event-stream"),)
    chunked: bool = True


@dataclass(frozen=True)
class Body:
    data: bytes


@dataclass(frozen=True)
class Wait:
    sec: float


@dataclass(frozen=True)
class Gate:
    event: threading.Event


@dataclass(frozen=True)
class Hang:
    pass


@dataclass(frozen=True)
class Finish:
    pass


@dataclass(frozen=True)
class Cut:
    pass


@dataclass(frozen=True)
class Reset:
    pass


Step = Head | Body | Wait | Gate | Hang | Finish | Cut | Reset


@dataclass
class Recorded:
    """One request as it arrived, and what became of it."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int
    arrived_at: float
    sent_at: list[float] = field(default_factory=list)
    finished_at: float | None = None
    disconnected_at: float | None = None

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))


Script = Callable[[Recorded], Iterable[Step]]
