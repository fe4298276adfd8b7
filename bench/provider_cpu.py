"""CPU per chunk of our provider against the SDK's own iteration, same upstream, interleaved rounds.

    python -m bench.provider_cpu [--chunks 3000] [--rounds 7] [--delay-ms 0]

The upstream runs in its own process, so that only the reader's CPU is counted. Also measured: how soon
after a close the upstream sees the connection end.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time

import openai

from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.openai import OpenAIProvider
from tests import upstream as mock


async def ours(provider: OpenAIProvider) -> int:
    request = Request(mock.MODEL, (Message("user", "Hi"),), Params())
    return len([chunk async for chunk in provider.stream(request)])


async def sdk(client: openai.AsyncOpenAI) -> int:
    stream = await client.chat.completions.create(
        model=mock.MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    return len([chunk async for chunk in stream])


async def compare(base_url: str, chunks: int, rounds: int) -> None:
    provider, client = OpenAIProvider(base_url=base_url), openai.AsyncOpenAI(base_url=base_url, api_key="none")
    took: dict[str, list[float]] = {"ours": [], "sdk": []}
    for _ in range(rounds + 1):
        for name, run in (("ours", lambda: ours(provider)), ("sdk", lambda: sdk(client))):
            started = time.process_time()
            await run()
            took[name].append((time.process_time() - started) / chunks * 1e6)
    medians = {name: statistics.median(values[1:]) for name, values in took.items()}
    print(f"us of CPU per chunk, median of {rounds}: {medians}, ratio {medians['sdk'] / medians['ours']:.1f}")
    await provider.aclose()
    await client.close()


async def closing(rounds: int) -> None:
    waits = []
    with mock.Upstream() as upstream:
        provider = OpenAIProvider(base_url=upstream.base_url)
        for number in range(1, rounds + 1):
            stream = provider.stream(Request("hang-mid-stream", (Message("user", "Hi"),), Params()))
            await anext(stream)
            record, closed = upstream.wait_for_request(number), time.monotonic()
            await stream.aclose()
            await asyncio.to_thread(upstream.wait_until, lambda record=record: record.disconnected_at is not None)
            waits.append((record.disconnected_at - closed) * 1000)
        await provider.aclose()
    print(f"close to upstream noticing, ms: median {statistics.median(waits):.1f}, longest {max(waits):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--delay-ms", type=float, default=0.0, help="0 sends many chunks in one piece")
    args = parser.parse_args()
    command = [sys.executable, "-m", "tests.upstream", "--tokens", str(args.chunks), "--delay-ms", str(args.delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            asyncio.run(compare(server.stdout.readline().strip(), args.chunks, args.rounds))
        finally:
            server.terminate()
    asyncio.run(closing(20))


if __name__ == "__main__":
    main()
