"""How far token estimates are off, before and after a model's answers taught them.

    python -m bench.tokens                   # against llama-server's own count
    python -m bench.tokens --ranks FOLDER    # and against OpenAI's vocabularies kept there as TIKTOKEN_CACHE_DIR

Twenty answers teach, four of each kind of text; the error is that of the sum of four other texts of the kind.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from chatplay.providers.base import Message
from chatplay.providers.openai import OpenAIProvider
from chatplay.providers.token_count import count_prompt
from chatplay.tokens.estimate import Calibration, estimate, shape_of
from chatplay.tokens.ranks import estimate_tokens
from tests.live import counting_gguf, samples
from tests.live.conftest import serving
from tests.live.counting_gguf import CHECKED, TAUGHT

Counter = Callable[[str], int]
_ENCODINGS = ("cl100k_base", "o200k_base")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--ranks", type=Path, help="folder with tiktoken's rank files")
    asked = parser.parse_args()
    print("| counted by | kind | tokens | 4 characters a token | estimate, untaught | after 20 answers |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        model = counting_gguf.build(Path(folder) / "counting.gguf")
        with serving(model) as server:
            _measure("llama-server", lambda text: asyncio.run(_count(server.base_url, text)))
    for name in _ENCODINGS if asked.ranks else ():
        _measure(name, _tiktoken(name, asked.ranks))


def _measure(name: str, count: Counter) -> None:
    known = Calibration()
    for place in TAUGHT:
        for kind in samples.KINDS:
            text = samples.texts(kind)[place]
            known = known.learn(shape_of(text), count(text))
    for kind in samples.KINDS:
        texts = [samples.texts(kind)[place] for place in CHECKED]
        real = sum(map(count, texts))
        ways = (
            sum(map(estimate_tokens, texts)),
            sum(estimate(shape_of(text)) for text in texts),
            sum(estimate(shape_of(text), known.weights()) for text in texts),
        )
        print(f"| {name} | {kind} | {real:,} | {' | '.join(_errors(ways, real))} |", flush=True)
    print(f"| {name} | shown on the page | | | | ±{known.error_share:.1%} |", flush=True)


def _errors(ways: Iterable[float], real: int) -> list[str]:
    return [f"{way / real - 1:+.1%}" for way in ways]


async def _count(base_url: str, text: str) -> int:
    provider = OpenAIProvider("bench", base_url=base_url)
    try:
        tokens = await count_prompt(provider, "llama.cpp", "tiny", [Message("user", text)])
    finally:
        await provider.aclose()
    if tokens is None:
        raise SystemExit("llama-server did not count.")
    return tokens


def _tiktoken(name: str, folder: Path) -> Counter:
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    import tiktoken

    encoding = tiktoken.get_encoding(name)
    return lambda text: len(encoding.encode_ordinary(text)) + 5  # about what a chat template adds


if __name__ == "__main__":
    main()
