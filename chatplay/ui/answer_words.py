"""What is said of an answer that did not come to its end, in a chat and on Compare alike."""

from __future__ import annotations

import re

from chatplay.generation.values import NEVER_STREAMS, AnswerMetrics
from chatplay.ui import format

_KEPT = " What had come is kept."
_STOPPED, _INTERRUPTED = "You stopped this answer.", "The app was restarted while this answer came."


def unfinished(status: str, content: str) -> str:
    """Why an answer is not whole, and what is there of it; "" for one that is, or that failed."""
    if status == "stopped":
        return _STOPPED + _KEPT if content.strip() else "You stopped before the first token."
    if status == "interrupted":
        return _INTERRUPTED + (_KEPT if content.strip() else " Nothing had come yet.")
    return ""


def without_figures(status: str, metrics: AnswerMetrics) -> str:
    """What stands for the figures of an answer of which nothing came: how long it took to fail; "" for any other."""
    if metrics.ttft_ms is not None or status not in ("failed", "stopped", "interrupted"):
        return ""
    return status if metrics.duration_ms is None else f"{status} after {format.duration(metrics.duration_ms)}"


def failed_twice(metrics: AnswerMetrics) -> str:
    """Said of a failed answer that was asked for once more without streaming; "" for any other."""
    again = metrics.fallback_reason not in (None, NEVER_STREAMS)
    return "Asked again without streaming; that failed too." if again else ""


def names_its_model(metrics: AnswerMetrics) -> bool:
    """Whether the error says by itself which server and which model it is of."""
    said = metrics.error_message or ""
    return all(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", said) for name in (metrics.provider, metrics.model))
