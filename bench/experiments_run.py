"""How many trials a second workers run, what memory they take, and how quickly 100,000 are read back.

    python -m bench.experiments_run                     # all of them
    python -m bench.experiments_run --only one --trials 2000

one      10,000 trials through one worker against a mock upstream that answers at once
two      the same upstream answering after 200 ms, 16 calls at once a worker: one worker, then two, in turns
timing   ttft and tok/s of trials beside the upstream's own stamps
results  100,000 trials: progress, results as arrays, the case table, exports; and the statistics of 20 arms

Workers are `python -m chatplay worker`, processes of their own, as is the upstream; the database is the embedded one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from uuid import UUID

import psutil
from sqlalchemy import text

from bench.programs import free_port, get_json
from chatplay import runtime
from chatplay.experiments.scoring import Contains
from chatplay.experiments.values import AxisText, CaseTable, ModelRef, Pace, Plan
from chatplay.logs import hush_import_chatter
from chatplay.settings import Settings
from db import accounts, reviews
from db.embedded import EmbeddedPostgres

MODEL = ModelRef("bench", "openai")
_CASES = 250


@contextmanager
def upstream() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.upstream", "--port", str(port)])
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait(timeout=10)


@contextmanager
def worker(environment: dict[str, str]) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "chatplay", "worker"]
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        while "Working" not in (line := process.stdout.readline()):
            assert line, "the worker ended"
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


class House:
    """The service, and the settings that workers share with it."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        server = EmbeddedPostgres(folder / "data", progress=lambda text: None)
        url = server.start()
        stack.callback(server.stop)
        self.environment = {
            "DATABASE_URL": url,
            "CHATPLAY_DATA_DIR": str(folder / "worker"),
            "USE_OPENAI": "true",
            "OPENAI_BASE_URL": stack.enter_context(upstream()),
            "OPENAI_CHAT_MODEL": "bench",
            "OPENAI_ALLOWED_MODELS": "bench",
            "EXPERIMENT_UPSTREAM_CALLS": "100",
        }
        values = self.environment | {"EXPERIMENT_WORKER": "false"}
        self.running = runtime.start(Settings.model_validate(values))
        stack.callback(self.running.close)
        self.service = self.running.experiments
        self.user_id = _person(self.running)

    def start(self, trials: int, order: str = "") -> UUID:
        """An experiment of `trials` trials: 4 arms, 250 cases, the rest repeats."""
        ordered = "n=2 gap=0 id={{word}}" + order
        prompt = self.service.save_prompt(user_id=self.user_id, name="order", prompt=ordered)
        plan = Plan(
            prompts=(prompt,),
            models=(MODEL,),
            axes=(AxisText("temperature", "0, 0.25, 0.5, 1"),),
            repeats=trials // 4 // _CASES,
            rules=(Contains("R"),),
        )
        cases = CaseTable(("word",), tuple((f"w{number}",) for number in range(_CASES)))
        draft = self.service.create(user_id=self.user_id, name="Bench", plan=plan, cases=cases)
        self.service.start(user_id=self.user_id, role="administrator", experiment_id=draft.id)
        return draft.id

    def run(self, workers: int, experiment_id: UUID) -> tuple[float, list[float]]:
        """Trials a second from the first claim to the last end, and the workers' memory (MB) once a second."""
        memory, mine = [], {"user_id": self.user_id, "experiment_id": experiment_id}
        self.service.pause(**mine)  # until all are there
        with ExitStack() as stack:
            processes = [stack.enter_context(worker(self.environment)) for _ in range(workers)]
            self.service.resume(**mine)
            while self.service.get_progress(**mine).state == "running":
                memory.append(max(process.memory_info().rss for process in processes) / 1e6)
                time.sleep(1)
            cpu_sec = sum(sum(process.cpu_times()[:2]) for process in processes)
        with self.running.store.reading() as conn:
            seconds, count = conn.execute(
                text(
                    "SELECT extract(epoch FROM max(ended_at) - min(started_at)), "
                    "count(*) FILTER (WHERE state = 'done') FROM experiment_trials WHERE experiment_id = :id"
                ),
                {"id": experiment_id},
            ).one()
        print(
            f"    {workers} worker(s): {count:,} done in {seconds:.1f} s, {cpu_sec / count * 1000:.1f} ms CPU a trial"
        )
        return count / float(seconds), memory


def _person(running: runtime.Runtime) -> int:
    with running.store.transaction() as conn:
        user_id = accounts.add_user(
            conn,
            organisation_id=accounts.get_or_add_organisation(conn, name="Default"),
            username="bench",
            display_name="Bench",
            password_hash="x",
            role="administrator",
            must_change_password=False,
        )
    assert user_id is not None
    return user_id


def measure_one(house: House, trials: int) -> None:
    rate, memory = house.run(1, house.start(trials))
    quarters = [memory[max(len(memory) * part // 4, 1) - 1] for part in (1, 2, 3, 4)]  # ended calls stay for 30 s
    print(f"one: {rate:.0f} trials a second; MB after each quarter:", *(f"{size:.0f}" for size in quarters))


def measure_two(house: House, trials: int, rounds: int, wait_ms: int) -> None:
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers in (1, 2):
            rates[workers].append(house.run(workers, house.start(trials, f" wait={wait_ms}"))[0])
    one, two = (sum(rates[workers]) / rounds for workers in (1, 2))
    print(f"two: one worker {one:.0f}, two {two:.0f} trials a second: x {two / one:.2f}, ", end="")
    print(f"of {16_000 / wait_ms:.0f} that 16 calls of {wait_ms} ms allow each")


FILL = """
UPDATE experiment_trials SET state = 'done', score = random(), passed = random() < 0.5, ttft_ms = 50 + random() * 20,
  tokens_per_second = 30 + random(), prompt_tokens = 20, completion_tokens = 40, cost_usd = random() / 1000,
  duration_ms = 500 + random() * 100, answer_hash = (random() * 5)::bigint, ended_at = now() WHERE experiment_id = :id
"""


def measure_results(house: House, trials: int) -> None:
    began = time.perf_counter()
    experiment_id = house.start(trials)
    print(f"results: {trials:,} trials laid out in {time.perf_counter() - began:.2f} s")
    with house.running.store.transaction() as conn:
        conn.execute(text(FILL), {"id": experiment_id})
        conn.execute(text("UPDATE experiments SET state = 'done' WHERE id = :id"), {"id": experiment_id})
        conn.execute(text("DELETE FROM procrastinate_jobs"))
    with house.running.store.reading() as conn:
        conn.execute(text("VACUUM ANALYZE experiment_trials"))
    mine = {"user_id": house.user_id, "experiment_id": experiment_id}
    service = house.service
    asked = {
        "progress": lambda: service.get_progress(**mine),
        "results as arrays": lambda: service.get_results(**mine),
        "case table, first page": lambda: service.list_cells(**mine, limit=25),
        "case table, where arms differ": lambda: service.list_cells(**mine, only="arms_differ", limit=25),
        "next pair to vote on": lambda: _next_pair(house, experiment_id),
        "CSV": lambda: sum(map(len, service.export(**mine, fmt="csv"))),
        "Parquet": lambda: sum(map(len, service.export(**mine, fmt="parquet"))),
    }
    for name, ask in asked.items():
        ask()
        began = time.perf_counter()
        ask()
        print(f"    {name}: {(time.perf_counter() - began) * 1000:,.0f} ms")


def _next_pair(house: House, experiment_id: UUID) -> None:
    """By the query: the trials laid out here have no texts."""
    with house.running.store.reading() as conn:
        reviews.next_pair(conn, experiment_id=experiment_id, user_id=house.user_id, skip=())


_MEASURED = """
SELECT c.cells[1], t.ttft_ms, t.tokens_per_second FROM experiment_trials t
JOIN experiment_cases c ON c.experiment_id = t.experiment_id AND c.number = t.case_no
WHERE t.experiment_id = :id AND t.state = 'done'
"""


def measure_timing(house: House) -> None:
    """Stored ttft and decode rate beside the upstream's stamps of the same 250 answers of 40 tokens, 10 ms apart."""
    prompt = house.service.save_prompt(user_id=house.user_id, name="timed", prompt="n=40 gap=10 id={{word}}")
    plan = Plan(prompts=(prompt,), models=(MODEL,), repeats=1, pace=Pace(calls_at_once=4))
    cases = CaseTable(("word",), tuple((f"t{number}",) for number in range(_CASES)))
    mine = {"user_id": house.user_id}
    draft = house.service.create(**mine, name="Timing", plan=plan, cases=cases)
    house.service.start(**mine, role="administrator", experiment_id=draft.id)
    house.run(1, draft.id)
    stamps = get_json(house.environment["OPENAI_BASE_URL"].removesuffix("/v1") + "/stamps")
    with house.running.store.reading() as conn:
        rows = conn.execute(text(_MEASURED), {"id": draft.id}).all()
    ttft, rate = [], []
    for word, ttft_ms, tokens_per_second in rows:
        sent, received = stamps[word]["sent_ns"], stamps[word]["received_ns"]
        ttft.append(abs(ttft_ms - (sent[0] - received) / 1e6))
        if tokens_per_second is None:
            continue  # the worker stood still so long that the answer came as one packet
        rate.append(abs(tokens_per_second * (sent[-1] - sent[0]) / 1e9 / (len(sent) - 1) - 1) * 100)
    print(f"timing: ttft of {len(ttft):,} off by {median(ttft):.2f} ms, ", end="")
    print(f"tok/s of {len(rate):,} by {median(rate):.2f} % (medians)")


def measure_statistics() -> None:
    """What the Results tab computes of 20 arms x 250 cases x 20 repeats; the bootstraps among it are named."""
    import numpy as np

    from chatplay.experiments.stats import compare_with_baseline, explain_variance, find_frontier, summarise_arms
    from chatplay.experiments.stats.table import Axis, build_table

    rng = np.random.default_rng(6)
    arm, case, repeat = (one.ravel() for one in np.indices((20, _CASES, 20)))
    names = ("ttft_ms", "tokens_per_second", "completion_tokens", "cost_usd", "duration_ms")
    figures = {name: rng.lognormal(0, 0.5, len(arm)) for name in names}
    passed, answer = (rng.random(len(arm)) < 0.5).astype(float), rng.integers(0, 5, len(arm))
    place = {"arms": 20, "cases": _CASES, "arm": arm, "case": case, "repeat": repeat}
    table = build_table(**place, score=passed, passed=passed, answer=answer, **figures)
    axes = (
        Axis("temperature", tuple("0123"), tuple(number // 5 for number in range(20))),
        Axis("top_p", tuple("01234"), tuple(number % 5 for number in range(20))),
    )
    asked = {
        "arms": lambda: summarise_arms(table),
        "differences to a baseline": lambda: compare_with_baseline(table, baseline=0),
        "variance shares, 1,000 bootstrap samples": lambda: explain_variance(
            table, axes=axes, metric="score", rng=np.random.default_rng(1)
        ),
        "frontier, 2,000 bootstrap samples": lambda: find_frontier(table, rng=np.random.default_rng(1)),
    }
    for name, ask in asked.items():
        began, cpu = time.perf_counter(), time.process_time()
        ask()
        spent = (time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000
        print(f"    20 arms, {name}: {spent[0]:,.0f} ms, {spent[1]:,.0f} ms CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("one", "two", "timing", "results"))
    parser.add_argument("--trials", type=int, help="how many, a multiple of 1,000")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--wait-ms", type=int, default=200, help="of the upstream, in `two`")
    args = parser.parse_args()
    hush_import_chatter()
    with tempfile.TemporaryDirectory(prefix="cp-") as name, ExitStack() as stack:
        os.chmod(name, 0o755)  # the server's own user must pass
        house = House(stack, Path(name))
        if args.only in (None, "one"):
            measure_one(house, args.trials or 10_000)
        if args.only in (None, "two"):
            measure_two(house, args.trials or 2_000, args.rounds, args.wait_ms)
        if args.only in (None, "timing"):
            measure_timing(house)
        if args.only in (None, "results"):
            measure_results(house, args.trials or 100_000)
            measure_statistics()


if __name__ == "__main__":
    main()
