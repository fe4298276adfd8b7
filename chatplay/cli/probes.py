"""Short questions to servers from the terminal: plain HTTP, a few seconds at most, never an exception."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

_LIMIT_SEC = 5.0
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a company's proxy can't reach this machine


@dataclass(frozen=True)
class Answer:
    """`status` None: no answer, and `problem` says why."""

    status: int | None
    problem: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def get(url: str, headers: Mapping[str, str] | None = None) -> Answer:
    """One GET. Every failure comes back as an Answer."""
    try:
        request = urllib.request.Request(url, headers=dict(headers or {}))
        with _direct.open(request, timeout=_LIMIT_SEC) as answer:
            return Answer(answer.status, headers=dict(answer.headers), body=answer.read(1_000_000))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, problem=f"HTTP {error.code}", headers=dict(error.headers))
    except (OSError, ValueError) as error:
        return Answer(None, problem=str(getattr(error, "reason", error)))
