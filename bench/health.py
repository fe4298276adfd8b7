"""How long a round of checks takes when servers hang, and whether anybody who reads the catalog waits for it.

    python -m bench.health [--servers 20] [--hanging 5] [--models 50] [--limit-sec 3]

Twenty model servers in a process of their own, five of which accept and never answer. While one round of checks runs
on an event loop, as in the app, a second thread reads the catalog as a page does.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import threading
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from statistics import median

from chatplay.models.catalog import ModelCatalog, build_catalog
from chatplay.providers.openai import Limits
from chatplay.providers.registry import Upstream
from tests.upstream import SCRIPTS
from tests.upstream import Upstream as Server

_MOST_READS = 2_000_000


def serve(pipe: Connection, servers: int, hanging: int, models: int) -> None:
    """Runs the servers until the pipe is closed; sends their addresses first."""
    rows = [{"id": f"model-{number}", "owned_by": "vllm", "max_model_len": 4096} for number in range(models)]
    with ExitStack() as stack:
        running = [stack.enter_context(Server(models=rows)) for _ in range(servers)]
        for server in running[:hanging]:
            server.routes["GET /v1/models"] = SCRIPTS["hang-before-headers"]
        pipe.send([server.base_url for server in running])
        pipe.recv()


def read_meanwhile(catalog: ModelCatalog, over: threading.Event, pause_sec: float) -> list[float]:
    """Seconds each read took, one every `pause_sec`."""
    took = []
    while not over.is_set() and len(took) < _MOST_READS:
        began = time.perf_counter()
        catalog.list_running("analyst")
        took.append(time.perf_counter() - began)
        time.sleep(pause_sec)
    return took


def measure(addresses: list[str], limit_sec: float, *, rounds: int = 2) -> None:
    upstreams = [Upstream(f"server-{number}", "openai", base_url=url) for number, url in enumerate(addresses)]
    catalog = build_catalog(upstreams, Limits(connect_sec=limit_sec), ttl_sec=60)
    over, took = threading.Event(), []
    reader = threading.Thread(target=lambda: took.extend(read_meanwhile(catalog, over, 0.001)))

    async def poll() -> list[float]:
        lengths = []
        for _ in range(rounds):
            began = time.perf_counter()
            await catalog.refresh(limit_sec)
            lengths.append(time.perf_counter() - began)
        await catalog.aclose()
        return lengths

    reader.start()
    try:
        lengths = asyncio.run(poll())
    finally:
        over.set()
        reader.join()
    report(catalog, lengths, sorted(took), limit_sec)


def report(catalog: ModelCatalog, lengths: list[float], took: list[float], limit_sec: float) -> None:
    well = sum(catalog.find_status(upstream.name).standing == "healthy" for upstream in catalog.upstreams)
    print(f"servers {len(catalog.upstreams)}, healthy {well}, models offered {len(catalog.list_running('analyst'))}")
    print(f"round of checks: {', '.join(f'{sec:.2f} s' for sec in lengths)} (limit {limit_sec:g} s)")
    p99 = took[int(len(took) * 0.99)]
    print(
        f"list_running meanwhile: {len(took)} reads, median {median(took) * 1000:.3f} ms, "
        f"p99 {p99 * 1000:.3f} ms, longest {took[-1] * 1000:.3f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--hanging", type=int, default=5)
    parser.add_argument("--models", type=int, default=50, help="models each server lists")
    parser.add_argument("--limit-sec", type=float, default=3.0)
    args = parser.parse_args()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, args.servers, args.hanging, args.models), daemon=True
    )
    process.start()
    try:
        measure(ours.recv(), args.limit_sec)
    finally:
        ours.send("stop")
        process.join(timeout=10)


if __name__ == "__main__":
    main()
