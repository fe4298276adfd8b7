"""Our routes beside the upstream called directly: added wait for the first token, delay of chunks, CPU per 1,000.

    python -m bench.api                      # 30 answers by each way, then 100 streams at once
    python -m bench.api --runs 5 --crowd 20  # a quick look
    python -m bench.api --gateway URL --gateway-pid PID   # another gateway to the same upstream (--upstream-port)

Ways: `direct` (the upstream itself), `completions`, `sse` and `websocket` (ours). All readers are in this process,
all ways take turns, and the upstream stamps each chunk just before it sends it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from bench import ours, people
from bench.api_readers import Http, Reading, Socket, Target
from bench.programs import APPS, Program, get_json, own_processes, started, upstream
from chatplay.auth.access_tokens import AccessTokens
from chatplay.auth.person import person_of
from chatplay.store import Store
from db import accounts, chats
from db.embedded import EmbeddedPostgres
from db.engine import make_engine

WAYS = ("direct", "completions", "sse", "websocket")
_NO_LIMIT = {"API_REQUESTS_PER_MINUTE": "1000000", "API_ADDRESS_REQUESTS_PER_MINUTE": "1000000"}
APP = replace(APPS["ours"], env=lambda data_dir, port: {**ours.env(data_dir, port), **_NO_LIMIT})


@dataclass(frozen=True)
class Figures:
    """Of one way: milliseconds from the request to the first token and from each chunk's sending to its arrival."""

    first_ms: list[float]
    delay_ms: list[float]
    cpu_ms_per_1000: float | None = None

    def __str__(self) -> str:
        cpu = "      " if self.cpu_ms_per_1000 is None else f"{self.cpu_ms_per_1000:6.0f}"
        first = f"{_p(self.first_ms, 50):7.1f} {_p(self.first_ms, 95):7.1f}"
        return f"{first}   {_p(self.delay_ms, 50):7.2f} {_p(self.delay_ms, 95):7.2f} {max(self.delay_ms):7.1f}   {cpu}"


def _p(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


class Bench:
    """The upstream, our app, and the people with their chats and tokens."""

    def __init__(self, upstream_url: str, program: Program, targets: list[Target], gateway: Target | None) -> None:
        self.upstream_url = upstream_url
        self.program = program
        self.targets = targets
        self.gateway = gateway
        self._ids = iter(range(1, 1_000_000))
        self._stamps: dict[str, dict] = {}

    def reader(self, way: str, person: int) -> Http | Socket:
        own = self.targets[person]
        return {
            "direct": lambda: Http(Target(self.upstream_url)),
            "completions": lambda: Http(replace(own, chat_id="")),
            "sse": lambda: Http(own),
            "websocket": lambda: Socket(own),
            "gateway": lambda: Http(self.gateway or own),
        }[way]()

    async def ask(self, reader: Http | Socket, count: int, gap_ms: float) -> tuple[Reading, str]:
        answer_id = f"b{next(self._ids)}"
        return await reader.read(f"n={count} gap={gap_ms:g} id={answer_id}"), answer_id

    def figures(self, readings: list[tuple[Reading, str]], gap_ms: float, cpu_ms: float | None) -> Figures:
        self._stamps |= get_json(f"{self.upstream_url}/stamps")  # it tells of each answer once
        first, delays = [], []
        for reading, answer_id in readings:
            sent_ns = self._stamps[answer_id]["sent_ns"]
            assert len(reading.arrived_ns) == len(sent_ns), f"{len(reading.arrived_ns)} of {len(sent_ns)} tokens came"
            first.append((reading.arrived_ns[0] - reading.sent_ns) / 1e6 - gap_ms)
            delays += [(got - sent) / 1e6 for got, sent in zip(reading.arrived_ns, sent_ns, strict=True)]
        return Figures(first, delays, None if cpu_ms is None else cpu_ms / len(delays) * 1000)


async def one_by_one(bench: Bench, ways: list[str], runs: int, count: int, gap_ms: float, pids: dict[str, int]) -> None:
    found: dict[str, list[tuple[Reading, str]]] = {way: [] for way in ways}
    cpu = dict.fromkeys(ways, 0.0)
    async with AsyncExitStack() as stack:
        # A person each: a socket also hears what is asked in its chat in other ways.
        readers = {way: await stack.enter_async_context(bench.reader(way, who)) for who, way in enumerate(ways)}
        for run in range(runs + 1):
            for way in ways:
                before = _cpu_ms(pids.get(way))
                reading = await bench.ask(readers[way], count, gap_ms)
                if run:  # the first opens connections and imports what is imported late
                    found[way].append(reading)
                    cpu[way] += _cpu_ms(pids.get(way)) - before
                await asyncio.sleep(0.3)
    _table(f"One at a time, {count} tokens at {gap_ms:g} ms, {runs} runs")
    for way in ways:
        print(f"{way:12}", bench.figures(found[way], gap_ms, cpu[way] if way in pids else None))


async def crowd(bench: Bench, way: str, size: int, count: int, gap_ms: float, pid: int | None, page: bool) -> Figures:
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(bench.reader(way, person)) for person in range(size)]
        before = _cpu_ms(pid)
        asking = [asyncio.create_task(bench.ask(reader, count, gap_ms)) for reader in readers]
        if page:
            await asyncio.sleep(1.0)
            print(f"  a page load meanwhile: {await page_load_ms(bench):.0f} ms")
        readings = await asyncio.gather(*asking)
        return bench.figures(readings, gap_ms, _cpu_ms(pid) - before if pid else None)


async def page_load_ms(bench: Bench) -> float:
    """From nothing to the chat page's first whole run, as a browser asks for it; the middle one of three."""
    took = []
    visitor = bench.program.visitors()[0]
    for number in range(3):
        begun = time.perf_counter()
        person = people.Person(_job(bench), visitor, f"p{number}")
        await person.open()
        took.append((time.perf_counter() - begun) * 1000)
        await person.close()
    return statistics.median(took)


async def _until_calm(pid: int) -> None:
    """The app loads what charts need some seconds after its start, which is no part of any figure."""
    await asyncio.sleep(5)
    for _ in range(60):
        before = _cpu_ms(pid)
        await asyncio.sleep(1)
        if _cpu_ms(pid) - before < 50:
            return


def _job(bench: Bench) -> people.Job:
    program = bench.program
    return people.Job(pid=program.pid, base_url=program.base_url, upstream_url=bench.upstream_url)


def _cpu_ms(pid: int | None) -> float:
    if pid is None:
        return 0.0
    times = [process.cpu_times() for process in own_processes(pid)]
    return sum(one.user + one.system for one in times) * 1000


def _table(title: str) -> None:
    print(f"\n{title}")
    print(f"{'':12} first token, ms      chunk delay, ms         CPU ms")
    print(f"{'':12}     p50     p95       p50     p95     max   per 1,000")


def make_targets(data_dir: Path, base_url: str, count: int) -> list[Target]:
    """People with an access token and a chat with the bench's model each."""
    server = EmbeddedPostgres(data_dir)
    store = Store(make_engine(server.start(), pool_size=2))
    try:
        tokens = AccessTokens(store=store, clock=lambda: datetime.now(UTC))
        return [_target(store, tokens, base_url) for _ in range(count)]
    finally:
        store.engine.dispose()
        server.stop()


def _target(store: Store, tokens: AccessTokens, base_url: str) -> Target:
    user_id = ours.add_person(store)
    with store.transaction() as conn:
        found = accounts.find_user(conn, user_id=user_id)
        assert found is not None
        chat_id = ours.add_chat(conn, user_id)
        chats.update_chat(conn, chat_id=UUID(chat_id), locked_at=chats.NOW, title="Bench")
    made = tokens.create(actor=person_of(found), name="bench", scopes=("read", "chat"), days=None)
    return Target(base_url, made.secret, chat_id)


@contextmanager
def _upstream(port: int | None) -> Iterator[str]:
    with nullcontext(f"http://127.0.0.1:{port}") if port else upstream() as url:
        yield url


async def measure(bench: Bench, args: argparse.Namespace, pids: dict[str, int]) -> None:
    ways = [way for way in args.ways.split(",") if way] + (["gateway"] if args.gateway else [])
    await page_load_ms(bench)
    await _until_calm(bench.program.pid)
    print(f"page load, idle: {await page_load_ms(bench):.0f} ms; load of the machine: {os.getloadavg()[0]:.1f}")
    idle = _cpu_ms(bench.program.pid)
    await asyncio.sleep(3)
    print(f"CPU of the idle app: {(_cpu_ms(bench.program.pid) - idle) / 3:.0f} ms a second")
    await one_by_one(bench, ways, args.runs, args.tokens, args.gap_ms, pids)
    _table(f"{args.crowd} at once, {args.tokens} tokens at {args.crowd_gap_ms:g} ms")
    for way in ways:
        page = way in ("sse", "websocket")
        print(f"{way:12}", await crowd(bench, way, args.crowd, args.tokens, args.crowd_gap_ms, pids.get(way), page))
        await asyncio.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--gap-ms", type=float, default=10)
    parser.add_argument("--crowd", type=int, default=100)
    parser.add_argument("--crowd-gap-ms", type=float, default=10)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--gateway", default="", help="base address of another gateway, up to the /v1")
    parser.add_argument("--gateway-pid", type=int)
    parser.add_argument("--upstream-port", type=int, help="of a bench.upstream that runs already")
    args = parser.parse_args()
    with _upstream(args.upstream_port) as url, started(APP, url) as program:
        targets = make_targets(program.data_dir, program.own_url, args.crowd)
        bench = Bench(url, program, targets, Target(args.gateway) if args.gateway else None)
        pids = dict.fromkeys(("completions", "sse", "websocket"), program.pid)
        asyncio.run(measure(bench, args, pids | ({"gateway": args.gateway_pid} if args.gateway_pid else {})))


if __name__ == "__main__":
    main()
