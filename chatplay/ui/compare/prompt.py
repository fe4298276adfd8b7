"""What all panes are asked: the shared prompt, the values of its variables, the messages before it, and Run."""

from __future__ import annotations

import re

import streamlit as st

from chatplay import templates
from chatplay.compare.values import MAX_PANES, ComparisonView
from chatplay.ui import state
from chatplay.ui.compare import actions as compare_actions
from chatplay.ui.markdown import message_markdown, plain_markdown, quoted, safe_markdown

_VALUES_IN_A_ROW = 3
_INERT_NAME = re.compile(r"\w+|[^\W_]+(?:[ -][^\W_]+)*")
_WHAT = (
    "Every pane answers the same prompt with its own model and settings; what differs between them is bold. "
    "Run all asks them together."
)
_KINDS = {"error": st.error, "warning": st.warning, "info": st.info}


def draw(view: ComparisonView, *, can_run: bool) -> None:
    """The part above the panes."""
    comparison = view.comparison
    with st.container(key="compare_ask", gap="small"):
        _draw_history(view)
        key = state.synced(state.compare_key("prompt", comparison.id), comparison.prompt)
        st.text_area(
            "Prompt",
            key=key,
            height=96,
            placeholder="What every pane is asked. Write {{name}} where a value is to stand.",
            on_change=compare_actions.save_prompt,
            args=(comparison.id, key),
        )
        _draw_values(view)
        _draw_bar(view, can_run=can_run)
        _draw_notice()
        st.caption(_WHAT)  # also after the first run: without it the panes would jump


def used_variables(view: ComparisonView) -> tuple[str, ...]:
    """Names used by the prompt and the system prompts."""
    return templates.variables(view.comparison.prompt, *(pane.params.system_prompt for pane in view.panes))


def _draw_history(view: ComparisonView) -> None:
    messages = view.comparison.history
    place = st.empty()
    if not messages:
        return
    many = "1 message" if len(messages) == 1 else f"{len(messages):,} messages"
    with place.container(), st.expander(f"Begins with {many} of a chat", icon=":material/forum:"):
        for message in messages:
            if message.role == "user":
                st.markdown(f"**You**  \n{plain_markdown(message.content)}", anchors=False)
            else:
                st.markdown(quoted(safe_markdown(message.content)), anchors=False)


def _draw_values(view: ComparisonView) -> None:
    comparison, names = view.comparison, used_variables(view)
    place = st.empty()
    if not names:
        return
    with place.container(key="compare_values", gap="small"):
        for start in range(0, len(names), _VALUES_IN_A_ROW):
            row = names[start : start + _VALUES_IN_A_ROW]
            for column, name in zip(st.columns(_VALUES_IN_A_ROW), row, strict=False):
                key = state.compare_key("value", comparison.id, name)
                column.text_area(
                    _label(name),
                    key=state.synced(key, comparison.variables.get(name, "")),
                    height=68,
                    placeholder="Value",
                    on_change=compare_actions.save_variable,
                    args=(comparison.id, name, key),
                )


def _label(name: str) -> str:
    """Screen readers read a label as it is written: where nothing in a name could act, without backslashes."""
    label = f"{{{{{name}}}}}"
    return label if _INERT_NAME.fullmatch(name) else plain_markdown(label)


def _draw_bar(view: ComparisonView, *, can_run: bool) -> None:
    comparison, blind = view.comparison, state.compare_key("blind", view.comparison.id)
    with st.container(key="compare_bar", horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Run all",
            key="compare_run",
            type="primary",
            icon=":material/play_arrow:",
            shortcut="Mod+Enter",
            disabled=view.is_running or not can_run,
            on_click=compare_actions.run,
            args=(view,),
        )
        st.button(
            "Stop all",
            key="compare_stop",
            icon=":material/stop:",
            shortcut="Esc",
            disabled=not view.is_running,
            on_click=compare_actions.stop,
            args=(comparison.id,),
        )
        st.button(
            "Add a pane",
            key="compare_add",
            icon=":material/add:",
            disabled=len(view.panes) >= MAX_PANES or view.is_running or view.is_veiled,
            on_click=compare_actions.add_pane,
            args=(comparison.id,),
        )
        st.toggle(
            "Blind",
            key=state.synced(blind, comparison.is_blind),
            help="The next run shows its answers in random order, without models, settings and figures, "
            "until you have voted.",
            on_change=compare_actions.set_blind,
            args=(comparison.id, blind),
        )
        st.button(
            "Make it an experiment",
            key="compare_experiment",
            type="tertiary",
            icon=":material/science:",
            on_click=compare_actions.make_experiment,
            args=(view,),
        )


def _draw_notice() -> None:
    notice, place = state.compare().notice, st.empty()
    if notice is not None:
        with place.container():
            _KINDS[notice.kind](f"**{message_markdown(notice.text)}** {message_markdown(notice.cure)}")
