"""Everything known of one call: its token timeline, where the time went, the request as sent, ids worth knowing."""

from __future__ import annotations

import json
from uuid import UUID
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from chatplay.errors import NotFound
from chatplay.params import SPECS
from chatplay.ui import chart_style as style
from chatplay.ui import charts
from chatplay.ui import format as fmt
from chatplay.ui.markdown import message_markdown
from chatplay.usage.definitions import DEFINITIONS
from chatplay.usage.service import Usage
from chatplay.usage.values import FlightRecord

_ADDRESS = "call"


def draw_if_asked(usage: Usage, *, user_id: int | None, tz: ZoneInfo) -> None:
    """Opens the call that the address names (`?call=`), in a dialog over the page."""
    asked = st.query_params.get(_ADDRESS)
    if asked is None:
        return
    try:
        record = usage.get_call(UUID(asked), user_id=user_id)
    except (ValueError, NotFound):
        st.query_params.pop(_ADDRESS, None)
        st.toast("There is no such call, or it is not yours.", icon=":material/search_off:")
        return
    _dialog(record, tz)


def _close() -> None:
    st.query_params.pop(_ADDRESS, None)


@st.dialog("Flight recorder", width="large", on_dismiss=_close)
def _dialog(record: FlightRecord, tz: ZoneInfo) -> None:
    draw(record, tz)


def draw(record: FlightRecord, tz: ZoneInfo) -> None:
    call = record.call
    began = fmt.exact(call.created_at, tz=tz, seconds=True)
    st.text(f"{call.model} at {call.upstream}, {began}, from {_SOURCES[call.source]}")
    if call.error_message:
        st.error(message_markdown(call.error_message), icon=":material/error:")
    if call.fallback_reason:
        st.warning(f"Asked again without streaming: {message_markdown(call.fallback_reason)}", icon=":material/replay:")
    _draw_figures(record)
    _draw_timeline(record)
    left, right = st.columns(2)
    with left:
        st.markdown("**Request as sent**")
        st.code(_request(record), language="json")
    with right:
        st.markdown("**Details**")
        st.dataframe(_details(record, tz), hide_index=True, height="content")
    if call.chat_exists and call.session_id and call.source in ("chat", "rest", "websocket"):
        st.page_link("pages/chat.py", label="Open its chat", query_params={"chat": str(call.session_id)})


_SOURCES = {
    "chat": "the chat",
    "compare": "a comparison",
    "experiment": "an experiment",
    "rest": "REST",
    "websocket": "a WebSocket",
    "completions": "the completions endpoint",
}


def _draw_figures(record: FlightRecord) -> None:
    call = record.call
    with st.container(horizontal=True, gap="medium"):
        for label, name, value in (
            ("TTFT", "ttft_ms", fmt.duration(call.ttft_ms)),
            ("Speed", "tokens_per_second", fmt.speed(call.tokens_per_second)),
            ("Duration", "duration_ms", fmt.duration(call.duration_ms)),
            ("Prompt tokens", "prompt_tokens", fmt.count(call.prompt_tokens, estimated=call.tokens_estimated)),
            ("Answer tokens", "completion_tokens", fmt.count(call.completion_tokens, estimated=call.tokens_estimated)),
            ("Cost", "cost_usd", fmt.cost(call.cost_usd)),
        ):
            st.metric(label, value, width="content", help=DEFINITIONS[name])
    parts = (("queue", call.queue_ms), ("connect", call.connect_ms), ("prefill", call.ttft_ms))
    known = ", ".join(f"{name} {fmt.duration(value)}" for name, value in parts)
    st.caption(f"Before the first token: {known}. TTFT is the last of them: the request has then been sent.")


def _draw_timeline(record: FlightRecord) -> None:
    if not record.timeline and record.call.ttft_ms is None:
        st.caption("No delta arrived, so there is no timeline.")
        return
    call = record.call
    if not record.timeline:
        st.caption("The answer came in one piece, so there is no time between tokens to show.")
        return
    stalls = ""
    if record.stall_ms is not None:
        word = "is a stall" if record.stalls == 1 else "are stalls"
        longer = f"longer than {fmt.duration(record.stall_ms)}"
        stalls = f"; {record.stalls:,} of {len(record.timeline):,} {word} ({longer})"
    st.markdown(
        f"**Token timeline** Time between tokens: p50 {fmt.duration(call.itl_p50_ms)}, "
        f"p95 {fmt.duration(call.itl_p95_ms)}, longest {fmt.duration(call.itl_max_ms)}{stalls}."
    )
    style.draw(charts.timeline(record.timeline, ttft_ms=call.ttft_ms), key="flight_timeline", height=240)


def _request(record: FlightRecord) -> str:
    """The body as the upstream received it, without messages and key; for older calls the settings."""
    call = record.call
    if call.sent:
        return json.dumps(dict(call.sent), indent=2, ensure_ascii=False)
    known = {
        spec.name: call.params.get(spec.name) for spec in SPECS if call.params.get(spec.name) not in (None, "", [])
    }
    return json.dumps({"model": call.model, **known}, indent=2, ensure_ascii=False)


def _details(record: FlightRecord, tz: ZoneInfo) -> pd.DataFrame:
    call, price = record.call, record.price
    per_million = (
        f"{fmt.cost(price.input_usd)} in, {fmt.cost(price.output_usd)} out per million tokens" if price else fmt.UNKNOWN
    )
    rows = {
        "Status": call.status,
        "Finish reason": call.finish_reason,
        "Error": call.error_class,
        "Streamed": {True: "yes", False: "no", None: None}[call.streamed],
        "Model that answered": call.model_used,
        "Engine": call.engine_type,
        "Cached prompt tokens": None if call.cached_tokens is None else f"{call.cached_tokens:,}",
        "Reasoning tokens": None if call.reasoning_tokens is None else f"{call.reasoning_tokens:,}",
        "Price": per_million,
        "End-to-end speed": fmt.speed(call.end_to_end_tokens_per_second),
        "Received": None if call.bytes_received is None else f"{call.bytes_received:,} bytes",
        "Attempt": str(call.attempt),
        "Request id": call.request_id,
        "System fingerprint": call.system_fingerprint,
        "Request fingerprint": call.fingerprint and call.fingerprint[:16],
        "Ended": fmt.exact(call.ended_at, tz=tz, seconds=True) if call.ended_at else None,
        "Person": call.person,
        "Call id": str(call.generation_id),
    }
    return pd.DataFrame({"": list(rows), "Value": [value or fmt.UNKNOWN for value in rows.values()]})
