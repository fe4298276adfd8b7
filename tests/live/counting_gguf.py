"""Writes a model that counts tokens as real ones do and says nothing of sense: 9,000 pieces, no knowledge.

Its vocabulary is made by byte pair encoding of English documentation, code and our samples, as real ones are of
the web. So words are one token or several, and code, JSON and German cost more than English prose;
`bench/tokens.py` also measures with real vocabularies where they are at hand.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

from tests.live import gguf_file, samples
from tests.live.gguf_file import Shape

TAUGHT, CHECKED = (0, 1, 4, 5), (2, 3, 6, 7)  # which samples a calibration may learn from
_WIDTH = 64
_JOINS = 5_000
_BLANK = "\u2581"
_TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def build(path: Path) -> Path:
    """Write the model to `path`, unless it is there."""
    return gguf_file.build_once(path, _write)


def _write(path: Path) -> None:
    pieces = _pieces()
    special = ["<unk>", "<s>", "</s>"]
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = [*special, *raw, *pieces]
    kind = gguf.TokenType
    kinds = [kind.UNKNOWN, kind.CONTROL, kind.CONTROL] + [kind.BYTE] * 256 + [kind.NORMAL] * len(pieces)
    writer = gguf_file.begin(path, Shape("counting", len(tokens), _WIDTH, heads=1, rope=_WIDTH))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * (len(special) + 256) + [-float(rank) for rank in range(len(pieces))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(_TEMPLATE)
    for name, shape in _shapes(len(tokens)).items():
        values = np.ones(shape) if name.endswith("norm.weight") else np.zeros(shape)
        writer.add_tensor(name, values.astype(np.float32))
    gguf_file.finish(writer)


def _pieces() -> list[str]:
    """What byte pair encoding joins, in its order; then the characters that should have a token."""
    corpus = _corpus()
    words = Counter(re.findall(r" ?[^\W\d_]+| ?\d{1,3}| ?[^\w\s]+|_|\n+| +", corpus))
    joined = _joined({tuple(word.replace(" ", _BLANK)): times for word, times in words.items()})
    usual = (bytes((high, low)) for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF))
    hanzi = [code.decode("gb2312", "ignore") for code in usual]
    single = sorted({*corpus.replace(" ", _BLANK), *(char for char in hanzi if char)})
    return list(dict.fromkeys([*joined, *single]))


def _joined(words: dict[tuple[str, ...], int]) -> list[str]:
    """The `_JOINS` pairs that are the most frequent when their turn comes; counts are kept up, not taken anew."""
    parts, times = [list(word) for word in words], list(words.values())
    counts: Counter[tuple[str, str]] = Counter()
    places: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    heap: list[tuple[int, tuple[str, str]]] = []

    def note(place: int, sign: int) -> None:
        for pair in pairwise(parts[place]):
            counts[pair] += sign * times[place]
            places[pair].add(place)
            heapq.heappush(heap, (-counts[pair], pair))

    for place in range(len(parts)):
        note(place, 1)
    found: list[str] = []
    while len(found) < _JOINS:
        count, best = heapq.heappop(heap)
        if -count != counts[best]:
            continue  # it has changed since; the heap has the new count too
        found.append("".join(best))
        for place in places.pop(best):
            note(place, -1)
            parts[place] = _join(parts[place], best)
            note(place, 1)
        counts[best] = 0
    return found


def _join(word: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for part in word:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return out


def _corpus() -> str:
    import argparse
    import ast
    import inspect
    import pydoc_data.topics
    import tarfile

    prose = "\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))[:400_000]
    code = "\n".join(inspect.getsource(module) for module in (argparse, ast, tarfile))
    known = [text for kind in ("english", "german", "code", "json") for text in samples.texts(kind)]
    # A real vocabulary has seen more German and JSON than there is at hand. Chinese has a token for each character.
    return "\n".join([prose, code, *known * 6])


def _shapes(tokens: int) -> dict[str, tuple[int, ...]]:
    square, flat = (_WIDTH, _WIDTH), (_WIDTH,)
    return {
        "token_embd.weight": (tokens, _WIDTH),
        "output.weight": (tokens, _WIDTH),
        "output_norm.weight": flat,
        "blk.0.attn_norm.weight": flat,
        "blk.0.ffn_norm.weight": flat,
        "blk.0.attn_q.weight": square,
        "blk.0.attn_k.weight": square,
        "blk.0.attn_v.weight": square,
        "blk.0.attn_output.weight": square,
        "blk.0.ffn_gate.weight": (32, _WIDTH),
        "blk.0.ffn_up.weight": (32, _WIDTH),
        "blk.0.ffn_down.weight": (_WIDTH, 32),
    }
