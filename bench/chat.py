"""`python -m bench.chat`: measure the playground beside two plain Streamlit programs and print the table.

Runs are interleaved (A B C A B C ...), so that whatever else the machine does meets all programs alike.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.browser import chromium
from bench.programs import APPS, Program, started, upstream
from bench.scenarios import SCENARIOS, Row, Scenario, Stage, warm_up

Results = dict[str, dict[str, list[float]]]
DEFAULT_RUNS = 7


def percentile(values: Sequence[float], percent: int) -> float:
    """By linear interpolation (Hyndman & Fan 1996, type 7)."""
    ordered = sorted(values)
    at = (len(ordered) - 1) * percent / 100
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def measure(scenarios: list[Scenario], apps: list[str], runs: int, wait_ms: int = 0) -> Results:
    """Samples by row key and program name."""
    results: Results = {}
    with contextlib.ExitStack() as stack:
        upstream_url = stack.enter_context(upstream())
        stage = Stage(stack.enter_context(chromium()), upstream_url, wait_ms)
        programs = [stack.enter_context(started(APPS[name], upstream_url)) for name in apps]
        for program in programs:
            warm_up(stage, program)
        for scenario in scenarios:
            for run in range(runs):
                for program in programs:
                    _note(f"{scenario.title}: run {run + 1} of {runs}, {program.app.name}")
                    _add(results, program, scenario.measure(stage, program))
    return results


def _add(results: Results, program: Program, samples: dict[str, list[float]]) -> None:
    for key, values in samples.items():
        results.setdefault(key, {}).setdefault(program.app.name, []).extend(values)


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(rows: list[Row], apps: list[str], results: Results) -> str:
    """The table as Markdown; "x" columns are the ratio to the tutorial app, below 1 is less."""
    compared = [name for name in apps if name != "tutorial" and "tutorial" in apps]
    head = ["", *apps, *(f"{name} x" for name in compared), "reach"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        sums = {name: _sum_up(row, results.get(row.key, {}).get(name, [])) for name in apps}
        figures = [_figure(sums[name], row.digits) for name in apps]
        ratios = [_figure(_ratio(sums[name], sums["tutorial"]), 2) for name in compared]
        lines.append(_line([row.label, *figures, *ratios, f"<= {row.reach:g}"]))
    return "\n".join(lines)


def _sum_up(row: Row, samples: list[float]) -> float | None:
    return percentile(samples, row.percentile) if samples else None


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def _figure(value: float | None, digits: int) -> str:
    return "n/a" if value is None else f"{value:,.{digits}f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _machine() -> str:
    return f"{os.cpu_count()} CPUs, Python {platform.python_version()}, Streamlit {version('streamlit')}"


def _names(known: dict[str, object]):
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(known)}")
        return names

    return parse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", type=_names(SCENARIOS), default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--apps", type=_names(APPS), default=list(APPS), help=", ".join(APPS))
    parser.add_argument("--runs", type=int, default=DEFAULT_RUNS)
    parser.add_argument("--wait-ms", type=int, default=0, help="the upstream's time to first token in the browser")
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    args = parser.parse_args()
    scenarios = [SCENARIOS[name] for name in args.scenarios]
    results = measure(scenarios, args.apps, args.runs, args.wait_ms)
    print(f"{_machine()}, {args.runs} runs, p50 unless the line says otherwise\n")
    print(table([row for scenario in scenarios for row in scenario.rows], args.apps, results))
    if args.json:
        args.json.write_text(json.dumps({"machine": _machine(), "runs": args.runs, "samples": results}, indent=1))


if __name__ == "__main__":
    main()
