"""What is measured: each scenario measures one program once and returns plain numbers by row name."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from playwright.sync_api import Browser

from bench.browser import Turn, opened, take_turn
from bench.people import Job
from bench.programs import ROOT, Program

Samples = dict[str, list[float]]
PEOPLE_TIMEOUT_SEC = 300


@dataclass(frozen=True)
class Row:
    """One line of the table: its samples are summed up at `percentile`; `reach` is what ours has to keep."""

    key: str
    label: str
    reach: float
    percentile: int = 50
    digits: int = 0


@dataclass(frozen=True)
class Stage:
    """What the scenarios share: the browser, the mock upstream's address, and how long it waits (0: one gap)."""

    browser: Browser
    upstream_url: str
    wait_ms: int = 0


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    rows: tuple[Row, ...]
    measure: Callable[[Stage, Program], Samples]


def _turn(stage: Stage, program: Program, *, count: int, gap_ms: float, history: int = 0) -> Turn:
    with opened(stage.browser, program, program.visitors(1, history)[0]) as page:
        return take_turn(page, program, stage.upstream_url, count=count, gap_ms=gap_ms, wait_ms=stage.wait_ms)


def _people(stage: Stage, program: Program, *, people: int, history: int = 0, **job: float) -> dict:
    order = Job(
        pid=program.pid,
        base_url=program.base_url,
        upstream_url=stage.upstream_url,
        visitors=program.visitors(people, history),
        **job,
    )
    command = [sys.executable, "-m", "bench.people", json.dumps(asdict(order))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PEOPLE_TIMEOUT_SEC, check=False)
    if done.returncode:
        raise RuntimeError(f"The raw clients failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def warm_up(stage: Stage, program: Program) -> None:
    """One short unmeasured prompt: first imports and first connections are no part of any figure."""
    _turn(stage, program, count=20, gap_ms=5)


def _one(stage: Stage, program: Program) -> Samples:
    count = 500
    turn = _turn(stage, program, count=count, gap_ms=10)
    return {
        "request_ms": [turn.request_ms],
        "first_ms": [turn.first_ms],
        "last_ms": [turn.last_ms],
        "bytes": [turn.bytes_down / count],
        "server_cpu_ms": [turn.server_cpu_ms / count * 1000],
        "page_cpu_ms": [turn.page_cpu_ms / count * 1000],
    }


def _fast(stage: Stage, program: Program) -> Samples:
    return {"fast_last_ms": [_turn(stage, program, count=2000, gap_ms=1).last_ms]}


def _history(stage: Stage, program: Program) -> Samples:
    return {"history_first_ms": [_turn(stage, program, count=100, gap_ms=10, history=100).first_ms]}


def _crowd(stage: Stage, program: Program) -> Samples:
    crowd = _people(stage, program, people=25, count=500, gap_ms=10)
    return {
        "crowd_last_ms": crowd["last_ms"],
        "crowd_first_ms": crowd["first_ms"],
        "memory_mb": [crowd["memory_mb"]],
    }


def _rerun(stage: Stage, program: Program) -> Samples:
    return {"rerun_cpu_ms": [_people(stage, program, people=1, history=50, reruns=20)["rerun_cpu_ms"]]}


def _tick(stage: Stage, program: Program) -> Samples:
    cost = _people(stage, program, people=10, ticks_sec=10)["tick_cpu_ms"]
    return {"tick_cpu_ms": [] if cost is None else [cost]}


SCENARIOS = {
    s.name: s
    for s in (
        Scenario(
            "one",
            "500 tokens at 10 ms, one person",
            (
                Row("request_ms", "Enter -> request at the upstream, ms", 40),
                Row("first_ms", "first upstream chunk sent -> painted, ms", 20),
                Row("last_ms", "last upstream chunk sent -> final text painted, ms", 20),
                Row("bytes", "bytes to the browser per token", 20),
                Row("server_cpu_ms", "server CPU ms per 1,000 tokens (Postgres not counted)", 900),
                Row("page_cpu_ms", "page CPU ms per 1,000 tokens", 2000),
            ),
            _one,
        ),
        Scenario(
            "fast",
            "2,000 tokens at 1 ms, one person",
            (Row("fast_last_ms", "2,000 tokens at 1 ms: end lag, ms", 30),),
            _fast,
        ),
        Scenario(
            "history",
            "100 messages of history",
            (Row("history_first_ms", "with 100 messages of history: first token painted, ms", 60),),
            _history,
        ),
        Scenario(
            "crowd",
            "25 people at once in one process",
            (
                Row("crowd_last_ms", "25 people at once: end lag p95, ms", 60, percentile=95),
                Row("crowd_first_ms", "25 people at once: first token p95, ms", 100, percentile=95),
                Row("memory_mb", "memory added per person streaming, MB", 1, digits=2),
            ),
            _crowd,
        ),
        Scenario(
            "rerun",
            "reruns of a page with 50 messages",
            (Row("rerun_cpu_ms", "rerun of the page with 50 messages, server CPU ms", 30),),
            _rerun,
        ),
        Scenario("tick", "idle open pages", (Row("tick_cpu_ms", "fragment tick, server CPU ms", 10),), _tick),
    )
}
