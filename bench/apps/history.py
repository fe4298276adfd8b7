"""The earlier conversation a scenario starts with: question and answer in turn, about 600 characters an answer."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.text import tokens

ANSWER_TOKENS = 150


def messages(count):
    """`count` messages, the last one an answer."""
    return [
        {"role": "assistant", "content": "".join(tokens(ANSWER_TOKENS, f"old{index}"))}
        if index % 2
        else {"role": "user", "content": f"Question {index // 2 + 1}: how does a river carry its sand?"}
        for index in range(count)
    ]
