"""What the model files of the live tests have in common: one Llama block, written once, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gguf

CONTEXT_TOKENS = 32_768


@dataclass(frozen=True)
class Shape:
    """The head of a file. `width` is the embedding's length."""

    name: str
    tokens: int
    width: int
    heads: int
    rope: int


def build_once(path: Path, write: Callable[[Path], None]) -> Path:
    """`path`, written by `write` unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        write(part)
        part.rename(path)
    return path


def begin(path: Path, shape: Shape) -> gguf.GGUFWriter:
    """A writer with the head of a Llama of one block; tokenizer and tensors are to follow, then `finish`."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(shape.name)
    writer.add_vocab_size(shape.tokens)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(shape.rope)
    writer.add_layer_norm_rms_eps(1e-6)
    return writer


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
