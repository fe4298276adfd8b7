"""Writes a tiny Llama model that really runs: 0.4 million parameters that hold a word chain, set, not trained.

The embedding of token i is the unit vector i and attention and feed-forward add nothing, so the output
matrix is the table of what follows what. It speaks readable English without end, its likeliest path is known,
and every byte of it is the same on every machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

from tests.live import gguf_file
from tests.live.gguf_file import Shape

SENTENCE = " the rain falls on the old road and a small lamp is lit in every house by the sea ."
WORDS = [f" {word}" for word in dict.fromkeys(SENTENCE.split())]
END, BEGIN = "<|end|>", "<|begin|>"
_WIDTH = 320  # as many dimensions as tokens: each token has one of its own
_LIKELY, _END_LOGIT = 6.0, 3.0
_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}:{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def build(path: Path) -> Path:
    """Write the model to `path`, unless it is there."""
    return gguf_file.build_once(path, _write)


def _write(path: Path) -> None:
    tokens, kinds = _vocabulary()
    writer = gguf_file.begin(path, Shape("tiny", len(tokens), _WIDTH, heads=5, rope=64))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["h e"])
    writer.add_bos_token_id(tokens.index(BEGIN))
    writer.add_eos_token_id(tokens.index(END))
    writer.add_add_bos_token(False)
    writer.add_chat_template(_TEMPLATE)
    for name, values in _tensors(tokens).items():
        writer.add_tensor(name, values.astype(np.float32))
    gguf_file.finish(writer)


def _vocabulary() -> tuple[list[str], list[int]]:
    """All bytes in GPT-2's printable spelling, one merge, the words as they are, and the two control tokens."""
    tokens = [*_byte_letters(), "he", *WORDS, END, BEGIN]
    kinds = [gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.USER_DEFINED] * len(WORDS) + [gguf.TokenType.CONTROL] * 2
    spare = _WIDTH - len(tokens)
    return tokens + [f"<|spare{n}|>" for n in range(spare)], kinds + [gguf.TokenType.UNUSED] * spare


def _byte_letters() -> list[str]:
    """GPT-2's letter for each byte: itself where it prints, else one from U+0100 on."""
    prints = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in prints else chr(next(others)) for byte in range(256)]


def _tensors(tokens: list[str]) -> dict[str, np.ndarray]:
    zeros = np.zeros
    return {
        "token_embd.weight": np.eye(_WIDTH),
        "output.weight": _followers(tokens).T / np.sqrt(_WIDTH),
        "output_norm.weight": np.ones(_WIDTH),
        "blk.0.attn_norm.weight": np.ones(_WIDTH),
        "blk.0.ffn_norm.weight": np.ones(_WIDTH),
        "blk.0.attn_q.weight": zeros((_WIDTH, _WIDTH)),
        "blk.0.attn_k.weight": zeros((64, _WIDTH)),
        "blk.0.attn_v.weight": zeros((64, _WIDTH)),
        "blk.0.attn_output.weight": zeros((_WIDTH, _WIDTH)),
        "blk.0.ffn_gate.weight": zeros((32, _WIDTH)),
        "blk.0.ffn_up.weight": zeros((32, _WIDTH)),
        "blk.0.ffn_down.weight": zeros((_WIDTH, 32)),
    }


def _followers(tokens: list[str]) -> np.ndarray:
    """Row i: the logits after token i. Words follow words, the sentence's own order is likeliest."""
    dice = np.random.default_rng(7)
    first, end = tokens.index(WORDS[0]), tokens.index(END)
    words = slice(first, first + len(WORDS))
    logits = np.full((_WIDTH, _WIDTH), -20.0)
    logits[:, words] = dice.uniform(0.0, 3.0, (_WIDTH, len(WORDS)))
    logits[:, first] += 2.0
    for number in range(first, first + len(WORDS)):
        follower = number + 1 if number + 1 < first + len(WORDS) else first
        logits[number, follower] = _LIKELY
    logits[tokens.index(" ."), end] = _END_LOGIT
    return logits


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
