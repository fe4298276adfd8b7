"""What the Demo model says when it is asked for a verdict: a demonstration, the same each time, that counts words.

So that a newcomer without a key can see what a judge is for; every verdict says that nothing was understood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from chatplay.providers.base import Message

_WORD = re.compile(r"[^\W\d_]{4,}")  # shorter ones are in every text
_PART = re.compile(r"<<<(PROMPT|ANSWER|ANSWER A|ANSWER B)\n(.*?)\n\1>>>", re.DOTALL)
_HONESTY = "a demonstration that counts words and understands nothing"


def find_verdict(messages: Sequence[Message]) -> str | None:
    """The verdict as JSON, when these are the messages that `experiments.judging.ask` makes; else None."""
    if len(messages) != 2 or messages[0].role != "system":
        return None
    task, material = messages[0].content, messages[1].content
    parts = dict(_PART.findall(material))
    wanted = _words(_PART.sub("", material)) | _words(parts.get("PROMPT", ""))
    if '{"score":' in task and "ANSWER" in parts:
        return _score(wanted, parts["ANSWER"])
    if '{"winner":' in task and {"ANSWER A", "ANSWER B"} <= parts.keys():
        return _winner(wanted, parts["ANSWER A"], parts["ANSWER B"])
    return None


def _score(wanted: set[str], answer: str) -> str:
    held = len(wanted & _words(answer))
    score = round(held / len(wanted), 2) if wanted else 0.0
    reason = f"It holds {held} of {len(wanted)} words of the rubric and the prompt: {_HONESTY}."
    return json.dumps({"score": score, "reason": reason})


def _winner(wanted: set[str], first: str, second: str) -> str:
    left, right = (len(wanted & _words(answer)) for answer in (first, second))
    winner = "tie" if left == right else "A" if left > right else "B"
    reason = f"A holds {left} and B {right} of {len(wanted)} words of the rubric and the prompt: {_HONESTY}."
    return json.dumps({"winner": winner, "reason": reason})


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}
