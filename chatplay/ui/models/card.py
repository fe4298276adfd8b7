"""One model server as everyone sees it: how it is, what it serves, what is wrong and what to do. No address, no key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape
from typing import Literal
from zoneinfo import ZoneInfo

import streamlit as st

from chatplay.auth.person import Person
from chatplay.models.catalog import ModelInfo, UpstreamStatus
from chatplay.models.status import lack_of
from chatplay.prices import Price
from chatplay.ui import format as fmt
from chatplay.ui.markdown import message_markdown
from chatplay.ui.people import plain
from db.health import Day

ENGINE_NAMES = {
    "openai": "OpenAI",
    "vllm": "vLLM",
    "llama.cpp": "llama.cpp",
    "ollama": "Ollama",
    "lm-studio": "LM Studio",
    "sglang": "SGLang",
    "echo": "Echo",
    "demo": "Demo",
    "unknown": "unknown engine",
}
Color = Literal["green", "red", "gray", "orange"]
_STANDINGS: dict[str, tuple[str, str, Color]] = {
    "healthy": ("Healthy", ":material/check_circle:", "green"),
    "unhealthy": ("Down", ":material/error:", "red"),
    "not checked yet": ("Not checked yet", ":material/hourglass_empty:", "gray"),
    "stale": ("Not checked lately", ":material/history:", "orange"),
}
_SHOWN_MODELS = 5
_SPARK_CHECKS = 60
_FOR_EVERYBODY = ("silent", "rate_limited")  # problems that pass with time: there is nothing but to wait


def draw(
    status: UpstreamStatus,
    day: Day | None,
    viewer: Person,
    *,
    now: datetime,
    tz: ZoneInfo,
    small: bool = False,
    searched: bool = False,
) -> None:
    """One card; `day` is None where no checks are kept. A small one folds its models away, unless one of them was
    searched for.
    """
    with st.container(border=True, height="stretch", gap="xsmall"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"**{plain(status.name)}**", width="content")
            label, icon, color = standing(status)
            st.badge(label, icon=icon, color=color)
        st.html(_facts(status, now=now, tz=tz))
        _draw_trouble(status, viewer)
        if status.source != "built in":
            _draw_figures(status, day, wide=not small)
        st.html(_models(status.models, shown=0 if small else _SHOWN_MODELS, unfolded=searched))


def standing(status: UpstreamStatus) -> tuple[str, str, Color]:
    """Label, icon and colour of how a server is."""
    if status.breaker == "open":
        return f"Paused, next try in {wait(status)}", ":material/pause_circle:", "orange"
    label, icon, color = _STANDINGS[status.standing]
    again = status.standing == "not checked yet" and status.checked_at is not None  # just enabled, or a fresh start
    return "Being asked again" if again else label, icon, color


def wait(status: UpstreamStatus) -> str:
    """`12 s` until the next try."""
    return f"{max(status.wait_sec, 1):.0f} s"


def _facts(status: UpstreamStatus, *, now: datetime, tz: ZoneInfo) -> str:
    engine = ENGINE_NAMES[status.engine_type]
    if status.source == "built in":
        return f'<div class="models-facts">{engine} · built in, needs no server and no key</div>'
    parts = [escape(engine), _moment("checked", status.checked_at, now=now, tz=tz)]
    if status.standing == "unhealthy":
        parts.append(_moment("last well", status.healthy_at, now=now, tz=tz))
    return f'<div class="models-facts">{" · ".join(part for part in parts if part)}</div>'


def _moment(what: str, moment: datetime | None, *, now: datetime, tz: ZoneInfo) -> str:
    if moment is None:
        return ""
    return f'<span title="{fmt.exact(moment, tz=tz)}">{what} {fmt.ago(moment, now=now, tz=tz)}</span>'


def _draw_trouble(status: UpstreamStatus, viewer: Person) -> None:
    problem = status.problem or (lack_of(status) if status.breaker != "open" else None)
    parts = []
    if problem is not None:
        parts.append(f"**{message_markdown(problem.message)}**")
        is_theirs = problem.code not in _FOR_EVERYBODY and not viewer.is_administrator
        parts.append(message_markdown(f"For an administrator: {problem.cure}" if is_theirs else problem.cure))
    if status.breaker == "open":
        parts.append(
            f"It failed several times in a row, so no message is sent there for {wait(status)}; then it is tried again."
        )
    elif status.standing == "stale":
        parts.append("Nobody has asked it for a while. It may be well; this page says so once it was asked.")
    if parts:
        box = st.error if status.standing == "unhealthy" and status.breaker != "open" else st.warning
        box(" ".join(parts))


def _draw_figures(status: UpstreamStatus, day: Day | None, *, wide: bool) -> None:
    recent = [check.latency_ms for check in day.recent if check.latency_ms is not None] if day else []
    uptime = st.container()
    if status.latency_ms is not None or recent:
        latency, uptime = st.columns([3, 2] if wide else [1, 1], gap="medium" if wide else "small")
        latency.metric(
            "Latency of a check, last hour" if wide else "Latency, last hour",
            fmt.duration(status.latency_ms),
            chart_data=recent[-_SPARK_CHECKS:] if len(recent) > 1 else None,
            chart_type="line",
            height="stretch",
        )
    well = round(day.uptime * day.checks) if day else None
    uptime.metric(
        "Uptime, last day",
        fmt.rate(well, day.checks if day else None),
        delta=f"{well:,} of {day.checks:,}" if day else None,
        delta_color="off",
        delta_arrow="off",
        help="Of all checks, those that found it well." if wide else None,
        height="stretch",
    )


# ---- models ------------------------------------------------------------------------------------


def _models(models: tuple[ModelInfo, ...], *, shown: int, unfolded: bool) -> str:
    """A table that grows on demand: the browser opens the rest by itself."""
    if not models:
        return '<div class="models-facts">No models known.</div>'
    table, rest = _table(models[:shown]) if shown else "", models[shown:]
    if rest:
        what = f"{len(rest):,} more" if shown else f"{len(rest):,} {'model' if len(rest) == 1 else 'models'}"
        more = f'<div class="models-rest">{_table(rest, with_head=not shown)}</div>'
        table += f"<details{' open' if unfolded else ''}><summary>{what}</summary>{more}</details>"
    return f'<div class="models-list">{table}</div>'


def _table(models: Iterable[ModelInfo], *, with_head: bool = True) -> str:
    head = "<thead><tr><th>Model</th><th>Context</th></tr></thead>" if with_head else ""
    rows = "".join(f"<tr><td>{escape(info.name)}{_notes(info)}</td><td>{_window(info)}</td></tr>" for info in models)
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def _window(info: ModelInfo) -> str:
    if info.context_tokens is None:
        return f'<span title="The server does not say.">{fmt.UNKNOWN}</span>'
    return escape(fmt.tokens(info.context_tokens))


def _notes(info: ModelInfo) -> str:
    notes = [
        price_note(info.price) if info.price and (info.price.input_usd or info.price.output_usd) else "",
        "" if info.supports_streaming else "no streaming",
        "" if info.supports_system_prompt else "no system prompt",
        "administrators only" if info.roles == ("administrator",) else "",
        f"takes no {', '.join(info.refused_params)}" if info.refused_params else "",
    ]
    said = " · ".join(note for note in notes if note)
    return f"<small>{escape(said)}</small>" if said else ""


def price_note(price: Price) -> str:
    """`$0.15 in, $0.60 out per million tokens`."""
    return f"{fmt.cost(price.input_usd)} in, {fmt.cost(price.output_usd)} out per million tokens"
