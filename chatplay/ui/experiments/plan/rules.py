"""The scoring rules of a plan: a small form for each kind, and the list of those that are in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from chatplay.errors import BadInput
from chatplay.experiments.scoring import Rule, describe_rule, parse_rule
from chatplay.ui import state
from chatplay.ui.experiments.plan.draft import Draft
from chatplay.ui.experiments.plan.fields import draw_error, draw_errors
from chatplay.ui.markdown import plain_markdown

_KINDS = {
    "contains": "Contains a text",
    "equals": "Equals a text",
    "regex": "Matches a pattern",
    "json": "Is JSON",
    "json_schema": "Fits a JSON schema",
    "length": "Has a length",
    "latency": "Is fast enough",
}
_TIMES = {"duration_ms": "Duration", "ttft_ms": "Time to first token"}
_Fields = dict[str, Any]


def draw(draft: Draft) -> None:
    st.subheader("Scoring", anchor=False)
    if not draft.plan.rules:
        st.caption(
            "Without a rule, answers are scored by hand or by a judge model after the run. A score is the share of "
            "rules that an answer keeps."
        )
    for place, rule in enumerate(draft.plan.rules):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(plain_markdown(describe_rule(rule)), width="stretch")
            st.button(
                "Remove",
                key=draft.key(f"rule_remove_{place}"),
                type="tertiary",
                icon=":material/delete:",
                on_click=_remove,
                args=(draft, place),
            )
    draw_errors(draft, "rules")
    with st.popover("Add a rule", icon=":material/add:", key=draft.key("rule_popover")):
        _draw_form(draft)


def _draw_form(draft: Draft) -> None:
    kind = st.selectbox("Rule", list(_KINDS), format_func=_KINDS.__getitem__, key=draft.key("rule_kind"))
    fields = _FORMS[kind](draft)
    draw_error(draft.rule_error)
    st.button("Add", key=draft.key("rule_add"), type="primary", on_click=_add, args=(draft, kind, fields))


def _text_form(draft: Draft) -> tuple[str, ...]:
    st.text_input(
        "Text",
        "{{expected}}",
        key=draft.key("rule_value"),
        help="{{expected}} and other columns are filled in for each case.",
    )
    st.checkbox("Capitals do not matter", key=draft.key("rule_ignore_case"))
    return ("value", "ignore_case")


def _pattern_form(draft: Draft) -> tuple[str, ...]:
    st.text_input("Regular expression", key=draft.key("rule_pattern"), placeholder=r"\b\d{4}\b")
    st.checkbox("Capitals do not matter", key=draft.key("rule_ignore_case"))
    return ("pattern", "ignore_case")


def _json_form(_draft: Draft) -> tuple[str, ...]:
    st.caption("The answer is one JSON value, alone or in one fenced block.")
    return ()


def _schema_form(draft: Draft) -> tuple[str, ...]:
    st.text_area("JSON schema", key=draft.key("rule_schema"), height=160, placeholder='{"type": "object"}')
    return ("schema",)


def _length_form(draft: Draft) -> tuple[str, ...]:
    left, right = st.columns(2)
    left.number_input("At least", 0, value=None, step=1, key=draft.key("rule_least"), placeholder="Any")
    right.number_input("At most", 0, value=None, step=1, key=draft.key("rule_most"), placeholder="Any")
    st.segmented_control(
        "Of", ["characters", "words", "tokens"], default="words", required=True, key=draft.key("rule_unit")
    )
    return ("least", "most", "unit")


def _latency_form(draft: Draft) -> tuple[str, ...]:
    st.segmented_control(
        "Time", list(_TIMES), default="duration_ms", format_func=_TIMES.__getitem__, required=True,
        key=draft.key("rule_of"),
    )  # fmt: skip
    st.number_input("At most, ms", 1, value=2000, step=100, key=draft.key("rule_limit_ms"))
    return ("of", "limit_ms")


_FORMS: dict[str, Callable[[Draft], tuple[str, ...]]] = {
    "contains": _text_form,
    "equals": _text_form,
    "regex": _pattern_form,
    "json": _json_form,
    "json_schema": _schema_form,
    "length": _length_form,
    "latency": _latency_form,
}


# ---- what the buttons do -----------------------------------------------------------------------


def _add(draft: Draft, kind: str, names: tuple[str, ...]) -> None:
    raw: _Fields = {name: state.widget_value(draft.key(f"rule_{name}")) for name in names}
    try:
        rule: Rule = parse_rule({"kind": kind, **raw})
    except BadInput as error:
        draft.rule_error = str(error)
        return
    draft.rule_error = ""
    if rule not in draft.plan.rules:
        draft.plan = replace(draft.plan, rules=(*draft.plan.rules, rule))


def _remove(draft: Draft, place: int) -> None:
    rules = draft.plan.rules
    draft.plan = replace(draft.plan, rules=(*rules[:place], *rules[place + 1 :]))
