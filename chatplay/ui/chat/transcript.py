"""Messages on the page: what a person typed as typed, answers as safe Markdown with their figures and actions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

import streamlit as st

from chatplay.chats.values import MessageRecord
from chatplay.generation.values import AnswerMetrics
from chatplay.params import SPECS, Params, get_spec, number_text
from chatplay.ui import format, state
from chatplay.ui.answer_words import failed_twice, names_its_model, unfinished, without_figures
from chatplay.ui.chat import turn_actions
from chatplay.ui.markdown import message_markdown, plain_markdown, quoted, safe_markdown

_AVATARS = {"user": ":material/person:", "assistant": ":material/neurology:"}
Place = st.delta_generator.DeltaGenerator
_LONG_CHARS = 20_000
_LONG_ANSWER_CHARS = 60_000  # as plain text in a box of its own: no browser draws so much Markdown quickly
_MENUS = {
    "user": {"edit": "Edit and resend", "copy": "Copy", "compare": "Compare from here"},
    "assistant": {
        "copy": "Copy",
        "regenerate": "Regenerate",
        "branch": "Continue in a new chat from here",
        "compare": "Compare from here",
        "code": "Get code",
    },
}


@dataclass(frozen=True)
class NextStep:
    """A button under a failed answer."""

    label: str
    action: str


_RETRY = NextStep("Retry", "regenerate")
_OTHER_MODEL = NextStep("Choose another model", "other_model")
_STEPS = {
    "provider_auth_failed": (_OTHER_MODEL, _RETRY),
    "model_unknown": (_OTHER_MODEL, _RETRY),
    "context_overflow": (NextStep("Shorten the message", "shorten"), _OTHER_MODEL),
    "parameter_refused": (_RETRY, _OTHER_MODEL),
}


def bubble(role: str) -> st.delta_generator.DeltaGenerator:
    """The frame of one message."""
    return st.chat_message(role, avatar=_AVATARS[role])


def draw_message(message: MessageRecord, *, before: MessageRecord | None = None) -> None:
    """One message with its actions; `before`: the prompt an answer belongs to."""
    with bubble(message.role):
        if message.role == "user":
            draw_prompt(message)
        else:
            draw_answer(message, before)


def draw_answer(message: MessageRecord, prompt: MessageRecord | None) -> None:
    """An answer that is over: its text, how it ended, its figures and actions."""
    if len(message.content) > _LONG_ANSWER_CHARS:
        with st.container(height=600, border=False):
            st.text(message.content)
    elif message.content.strip():
        st.markdown(safe_markdown(message.content), anchors=False)
    draw_outcome(message, prompt)


def draw_prompt(message: MessageRecord) -> None:
    """What a person sent, letter by letter, with its actions; or the field to word it anew."""
    if state.chat().editing == message.id:
        _draw_editor(message)
        return
    draw_prompt_actions(message, draw_prompt_text(message))


def draw_prompt_text(message: MessageRecord) -> Place:
    """Only the text; returns the place of the actions, for later: on Enter each element costs time."""
    row = f"chat_said_{message.id}"  # the stylesheet keeps room in it for the actions
    with st.container(key=row, horizontal=True, vertical_alignment="top", gap="small", wrap=False):
        if len(message.content) > _LONG_CHARS:
            with st.container(height=400, border=False):
                st.text(message.content)
        else:
            st.text(message.content, width="stretch")
        return st.empty()


def draw_prompt_actions(message: MessageRecord, place: Place) -> None:
    """The other wordings and the menu."""
    with place, st.container(horizontal=True, gap="xxsmall", width="content", vertical_alignment="center", wrap=False):
        _draw_variants(message)
        _draw_menu(message)


def draw_outcome(message: MessageRecord, prompt: MessageRecord | None) -> None:
    """Under an answer: how it ended if not well, its figures, and what can be done with it."""
    metrics = message.metrics
    if message.status == "failed":
        _draw_failure(message, prompt)
    elif words := unfinished(message.status, message.content):
        st.caption(words)
    elif not message.content.strip():
        st.caption("The model sent an empty answer. Regenerate asks again.")
    if metrics is not None and metrics.omitted_messages:
        st.caption(f":material/content_cut: {_left_out(metrics)}")
    if metrics is not None and metrics.fallback_reason and message.status != "failed":
        st.badge(
            "Fallback used", icon=":material/undo:", color="orange", help=message_markdown(metrics.fallback_reason)
        )
    if metrics is not None and metrics.ignored_params:
        st.caption(_without_effect(metrics))
    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall", key=f"chat_foot_{message.id}"):
        if metrics is not None:
            _draw_figures(message, metrics)
        _draw_variants(message)
        _draw_menu(message)


def draw_folded(messages: Iterable[MessageRecord]) -> None:
    """Earlier messages as one element, so that a long chat stays quick."""
    parts = []
    for message in messages:
        if message.role == "user":
            parts.append(f"**You**  \n{plain_markdown(message.content)}")
        else:
            parts.append(quoted(safe_markdown(message.content) or "*No answer came.*"))
    st.markdown("\n\n".join(parts), anchors=False)


def draw_cut() -> None:
    """Between the messages that the last prompt left out and those that were sent."""
    st.divider()
    st.caption(":material/content_cut: What stands above was left out of the last prompt to fit the context window.")


def _left_out(metrics: AnswerMetrics) -> str:
    messages = metrics.omitted_messages
    what = "The oldest message was" if messages == 1 else f"The oldest {messages:,} messages were"
    about = f", about {format.tokens(metrics.omitted_tokens)}," if metrics.omitted_tokens else ""
    return f"{what}{about} left out of this prompt to fit the context window."


# ---- parts -------------------------------------------------------------------------------------


def _draw_editor(message: MessageRecord) -> None:
    key = turn_actions.edit_key(message.id)
    if key not in st.session_state:
        state.set_widget_value(key, message.content)
    with st.form(f"{key}_form", border=False):  # Ctrl+Enter sends
        st.text_area("Your message, worded anew", key=key, height="content")
        with st.container(horizontal=True):
            st.form_submit_button(
                "Send", type="primary", key=f"{key}_send", on_click=turn_actions.resend, args=(message, key)
            )
            st.form_submit_button("Cancel", key=f"{key}_cancel", on_click=turn_actions.cancel_edit)


def _draw_menu(message: MessageRecord) -> None:
    key, labels = f"chat_icon_menu_{message.id}", _MENUS[message.role]
    st.menu_button(
        "Message actions",
        list(labels),
        key=key,
        type="tertiary",
        icon=":material/more_horiz:",
        format_func=lambda name: labels.get(name, name),
        on_click=turn_actions.from_menu,
        args=(message, key),
    )


def _draw_variants(message: MessageRecord) -> None:
    """`< 1/2 >`: earlier answers, or earlier wordings, are never lost."""
    if message.variants < 2:
        return
    _draw_step(message, "Earlier version", "chevron_left", message.previous_id)
    st.caption(f"{message.variant}/{message.variants}", width="content")
    _draw_step(message, "Later version", "chevron_right", message.next_id)


def _draw_step(message: MessageRecord, label: str, icon: str, target: int | None) -> None:
    st.button(
        label,
        key=f"chat_icon_{icon}_{message.id}",
        type="tertiary",
        icon=f":material/{icon}:",
        disabled=target is None,
        on_click=turn_actions.show_variant,
        args=(target,),
    )


def _draw_failure(message: MessageRecord, prompt: MessageRecord | None) -> None:
    metrics = message.metrics
    what = (metrics and metrics.error_message) or "The answer could not be had."
    cure = (metrics and metrics.error_cure) or ""
    source = f"Server: {metrics.provider}, model: {metrics.model}." if metrics and not names_its_model(metrics) else ""
    again = failed_twice(metrics) if metrics else ""
    lines = [f"**{message_markdown(what)}**", again, message_markdown(cure), plain_markdown(source)]
    if message.content.strip():
        lines.append("What had come is kept above.")
    st.error("  \n".join(line for line in lines if line), icon=":material/error:")
    with st.container(horizontal=True, gap="small"):
        for step in _STEPS.get((metrics and metrics.error_code) or "", (_RETRY, _OTHER_MODEL)):
            st.button(
                step.label,
                key=f"chat_{step.action}_{message.id}",
                on_click=turn_actions.next_step,
                args=(step.action, message, prompt),
            )


def _draw_figures(message: MessageRecord, metrics: AnswerMetrics) -> None:
    """One line of figures that opens into all of them."""
    with st.popover(
        without_figures(message.status, metrics) or _figures_line(metrics),
        type="tertiary",
        key=f"chat_figures_{message.id}",
        help="Tokens were estimated: the server reported none." if metrics.tokens_estimated else None,
    ):
        st.html(_details(message, metrics))


def _without_effect(metrics: AnswerMetrics) -> str:
    """Which settings did nothing: `Seed and Top-p had no effect`."""
    labels = [get_spec(name).label for name in metrics.ignored_params]
    named = " and ".join(part for part in (", ".join(labels[:-1]), labels[-1]) if part)
    return f"{named} had no effect: the server takes none for {message_markdown(f'`{metrics.model}`')}."


def _figures_line(metrics: AnswerMetrics) -> str:
    parts = [
        f"TTFT {format.duration(metrics.ttft_ms)}",
        f"{format.UNKNOWN} tok/s" if metrics.tokens_per_second is None else format.speed(metrics.tokens_per_second),
        format.tokens(metrics.completion_tokens, estimated=metrics.tokens_estimated),
        format.duration(metrics.duration_ms),
        "cut off" if metrics.is_cut_off else metrics.finish_reason or "",
        format.cost(metrics.cost_usd) if metrics.cost_usd else "",
    ]
    return plain_markdown(" · ".join(part for part in parts if part))


def _details(message: MessageRecord, metrics: AnswerMetrics) -> str:
    estimated = metrics.tokens_estimated
    rows = [
        ("Model used", metrics.model_used or metrics.model),
        ("Server", metrics.provider),
        ("Ended", f"{message.status}, {metrics.finish_reason or format.UNKNOWN}"),
        ("Reasoning", format.reasoning(metrics.reasoning_ms, metrics.reasoning_tokens)),
        ("Time to first token", format.duration(metrics.ttft_ms)),
        (
            "Time between tokens, p50 / p95",
            f"{format.duration(metrics.itl_p50_ms)} / {format.duration(metrics.itl_p95_ms)}",
        ),
        ("Speed", format.speed(metrics.tokens_per_second)),
        ("End-to-end speed", format.speed(metrics.end_to_end_tokens_per_second)),
        ("Duration", format.duration(metrics.duration_ms)),
        ("Prompt tokens", format.count(metrics.prompt_tokens, estimated=estimated)),
        ("Answer tokens", format.count(metrics.completion_tokens, estimated=estimated)),
        ("Cost", format.cost(metrics.cost_usd)),
        ("Streamed", {True: "yes", False: "no", None: format.UNKNOWN}[metrics.streamed]),
    ]
    if metrics.fallback_reason:
        rows.append(("Fallback", metrics.fallback_reason))
    rows += _settings_rows(metrics.params)
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows if value)
    return f'<dl class="chat-details">{items}</dl>'


def _settings_rows(params: Params | None) -> list[tuple[str, str]]:
    if params is None:
        return []
    rows = []
    for spec in SPECS:
        value = getattr(params, spec.name)
        if value in (None, "", ()):
            continue
        shown = (
            ", ".join(value) if isinstance(value, tuple) else value if isinstance(value, str) else number_text(value)
        )
        rows.append((spec.label, shown if len(shown) <= 200 else f"{shown[:200]}…"))
    return rows
