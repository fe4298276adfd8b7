"""A run of a comparison that others followed: its answers to read again, and all of them as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from chatplay.compare.tally import PastRun, Setup, setup_of
from chatplay.compare.values import PaneAnswer
from chatplay.ui.compare import figures as compare_figures
from chatplay.ui.markdown import message_markdown, plain_markdown, safe_markdown

_LONG_CHARS = 60_000  # as plain text: no browser draws so much Markdown quickly


def draw_past(past: PastRun, labels: Mapping[Setup, str]) -> None:
    """The prompt and the answers side by side, each under the settings that made it."""
    with st.container(key="compare_past", gap="small"):
        st.markdown(f"**Prompt**  \n{plain_markdown(past.run.prompt)}", anchors=False)
        for column, answer in zip(st.columns(max(len(past.answers), 1), gap="medium"), past.answers, strict=False):
            with column:
                mark = compare_figures.outcome_text(past.outcome_of(answer))
                st.markdown(f"**{plain_markdown(labels[setup_of(answer)])}**{f'  {mark}' if mark else ''}")
                _draw_text(answer)
                if answer.metrics is not None:
                    st.caption(compare_figures.figures_line(answer.metrics))


def _draw_text(answer: PaneAnswer) -> None:
    if len(answer.content) > _LONG_CHARS:
        st.text(answer.content)
    elif answer.content.strip():
        st.markdown(safe_markdown(answer.content), anchors=False)
    else:
        failed = (answer.problem and answer.problem.message) or (answer.metrics and answer.metrics.error_message)
        st.caption(message_markdown(failed or "There is no text."))


def frame_of_answers(runs: Sequence[PastRun], labels: Mapping[Setup, str]) -> pd.DataFrame:
    """A row for each answer, oldest run first: what was asked with which settings, what came, what the vote said."""
    return pd.DataFrame([_row(past, answer, labels) for past in reversed(runs) for answer in past.answers])


def _row(past: PastRun, answer: PaneAnswer, labels: Mapping[Setup, str]) -> dict[str, object]:
    vote, metrics, setup = past.vote, answer.metrics, setup_of(answer)
    return {
        "run": str(past.run.id),
        "asked_at": past.run.created_at.isoformat(),
        "prompt": past.run.prompt,
        "settings": labels.get(setup, ""),
        **compare_figures.setup_columns(answer.model_name, answer.upstream, answer.params),
        "vote": past.outcome_of(answer) or "",
        "vote_is_blind": vote.is_blind if vote else None,
        "voted_at": vote.created_at.isoformat() if vote else "",
        "answer": answer.content,
        "status": answer.status,
        "finish_reason": metrics and metrics.finish_reason,
        "ttft_ms": metrics and metrics.ttft_ms,
        "tokens_per_second": metrics and metrics.tokens_per_second,
        "duration_ms": metrics and metrics.duration_ms,
        "prompt_tokens": metrics and metrics.prompt_tokens,
        "completion_tokens": metrics and metrics.completion_tokens,
        "tokens_estimated": metrics and metrics.tokens_estimated,
        "cost_usd": metrics and metrics.cost_usd,
        "sent_as_shown": answer.check.state,
        "not_taken": ", ".join(answer.check.fields) if answer.check.state == "without" else "",
        "fingerprint": metrics and metrics.fingerprint,
    }
