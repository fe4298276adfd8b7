"""What scores and votes share on the Review tab: the case that was asked, the way through the queue, its end."""

from __future__ import annotations

from typing import Any

import streamlit as st

from chatplay.experiments.values import Case
from chatplay.ui import format as fmt
from chatplay.ui import state
from chatplay.ui.experiments.review.queue import Queue
from chatplay.ui.markdown import plain_markdown

_FACT_CHARS = 300


def draw_case(case: Case, prompt: str) -> None:
    """Its columns, and the prompt for who wants to see it."""
    draw_facts(case)
    with st.expander("What was asked"):
        st.text(prompt)


def draw_facts(case: Case) -> None:
    """A case by its number and columns; those that are empty are left out."""
    facts = [f"{_one_line(name)}: **{_one_line(text)}**" for name, text in case.values.items() if text.strip()]
    st.markdown("  \n".join([f"**Case {case.number + 1:,}**", *facts]))


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return plain_markdown(line if len(line) <= _FACT_CHARS else f"{line[: _FACT_CHARS - 3]}...")


def draw_steps(queue: Queue[Any], item: Any) -> None:
    """Skip and back, by key or by click."""
    st.button(
        "Skip",
        shortcut="s",
        icon=":material/skip_next:",
        on_click=queue.skip,
        args=(item,),
        key=state.experiments_key("review_skip"),
    )
    st.button(
        "Back",
        shortcut="b",
        icon=":material/undo:",
        on_click=queue.back,
        disabled=not queue.place,
        key=state.experiments_key("review_back"),
    )


def draw_end(queue: Queue[Any], text: str) -> None:
    """`text` says what there is to do next."""
    if queue.skipped:
        st.caption(f"{fmt.many(len(queue.skipped), 'skipped item')} left.")
        st.button("Show the skipped ones", on_click=queue.unskip, key=state.experiments_key("review_unskip"))
    else:
        st.caption(text)
    if queue.place:
        st.button("Back", shortcut="b", on_click=queue.back, key=state.experiments_key("review_back"))
