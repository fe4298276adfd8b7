"""The figures on top of the metrics page: value, target, trend, and from how many calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from chatplay.ui import charts
from chatplay.ui import format as fmt
from chatplay.usage.definitions import DEFINITIONS
from chatplay.usage.values import Tile, Tiles

_FEW = 5  # below it a percentile or a rate says little, and the tile says so


def draw(tiles: Tiles) -> None:
    """Two rows: what was promised, then how much there was; on a narrow screen two figures a row."""
    with st.container(key="metrics_tiles"):
        _draw_rows(tiles)


def _draw_rows(tiles: Tiles) -> None:
    first, second, third, fourth, fifth = st.columns(5, gap="small")
    with first:
        _draw("TTFT p50", "ttft_p50_ms", tiles.ttft_p50_ms, fmt.duration)
    with second:
        _draw("TTFT p95", "ttft_p95_ms", tiles.ttft_p95_ms, fmt.duration)
    with third:
        _draw_rate("Error rate", "error_rate", tiles.error_rate)
    with fourth:
        _draw_rate("Fallback rate", "fallback_rate", tiles.fallback_rate)
    with fifth:
        _draw("Answers per chat", "prompts_per_chat", tiles.prompts_per_chat, lambda value: f"{value:.1f}", of=" chats")
    first, second, third, fourth = st.columns(4, gap="small")
    with first:
        _draw("Calls", "calls", replace(tiles.calls, value=tiles.calls.n), _whole, counted="in this range", chart="bar")
    with second:
        _draw("Prompt tokens", "prompt_tokens", tiles.prompt_tokens, _whole, chart="bar")
    with third:
        _draw("Answer tokens", "completion_tokens", tiles.completion_tokens, _whole, chart="bar")
    with fourth:
        _draw("Cost", "cost_usd", tiles.cost_usd, fmt.cost, chart="bar")


def _draw_rate(label: str, name: str, tile: Tile) -> None:
    counted = f"{tile.k or 0:,} of {tile.n:,}" if tile.n else ""
    _draw(
        label,
        name,
        tile,
        lambda value: f"{100 * value:.1f} %",
        goal=lambda value: f"{100 * value:g} %",
        counted=counted,
    )


def _draw(
    label: str,
    name: str,
    tile: Tile,
    show: Callable[[float], str],
    *,
    goal: Callable[[float], str] | None = None,
    of: str = "",
    counted: str = "",
    chart: str = "line",
) -> None:
    """`show` words the value, `goal` its target where that is worded differently."""
    goal = goal or show
    delta, colour = _against_target(tile, goal)
    trend = charts.sparkline(tile)
    seen = [value for value in trend if value] if chart == "bar" else trend  # a bar of nothing is not there
    st.metric(
        label,
        fmt.UNKNOWN if tile.value is None else show(tile.value),
        delta=delta,
        delta_color=colour,  # type: ignore[arg-type]
        delta_arrow="off",
        delta_description=_basis(tile, counted or f"n = {tile.n:,}{of if tile.n != 1 else of.removesuffix('s')}"),
        help=DEFINITIONS[name] + _target(tile, goal) + _left_out(tile),
        border=True,
        chart_data=trend if len(seen) > 1 else None,
        chart_type=chart,  # type: ignore[arg-type]
        width="stretch",
    )


def _against_target(tile: Tile, show: Callable[[float], str]) -> tuple[str | None, str]:
    if tile.target is None or tile.value is None:
        return None, "off"
    words = f"{'meets' if tile.is_met else 'misses'} {show(tile.target.value)}"
    if tile.n < _FEW:
        return words, "off"
    return words, "green" if tile.is_met else "red"


def _basis(tile: Tile, counted: str) -> str:
    if tile.n == 0:
        return "nothing to count yet"
    return f"only {counted}" if tile.n < _FEW and counted.startswith("n") else counted


def _target(tile: Tile, show: Callable[[float], str]) -> str:
    if tile.target is None:
        return ""
    return f" Target: {'at most' if tile.target.at_most else 'at least'} {show(tile.target.value)}."


def _left_out(tile: Tile) -> str:
    return f" Unknown of {tile.unknown:,} calls, which are not in it." if tile.unknown else ""


def _whole(value: float) -> str:
    return f"{value:,.0f}"
