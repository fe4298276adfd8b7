"""The plan of an experiment that has started, or that somebody shared: to be read."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from chatplay import params as parameters
from chatplay.experiments.scoring import describe_rule
from chatplay.experiments.values import Experiment, Plan
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import state, text_diff
from chatplay.ui.experiments import words
from chatplay.ui.experiments.plan.draft import text_of, varied_specs
from chatplay.ui.experiments.plan.outlook import arms_frame
from chatplay.ui.markdown import plain_markdown
from chatplay.ui.tables import table_height

_POLICIES = {"fixed": "the same for every call", "varied": "another for each case and repeat", "none": "none sent"}


def draw(experiment: Experiment, token: str | None) -> None:
    plan = experiment.plan
    if experiment.is_mine:
        st.caption("It has started, so its plan stays. Extend it on the Run tab, or clone it to plan anew.")
    left, right = st.columns([3, 2], gap="large")
    with left:
        _draw_prompts(plan)
        _draw_cases(experiment, token)
    with right:
        st.subheader("Settings", anchor=False)
        st.html(words.facts_html(facts(plan)))
        if plan.rules:
            st.subheader("Scoring", anchor=False)
            st.markdown("\n".join(f"- {plain_markdown(describe_rule(rule))}" for rule in plan.rules))
        st.subheader("Arms", anchor=False)
        if experiment.arms:
            st.dataframe(
                arms_frame(experiment.arms), hide_index=True, height=table_height(len(experiment.arms), most=10)
            )
        else:
            st.caption("It has not started: there are no arms yet.")


def facts(plan: Plan) -> list[tuple[str, str]]:
    """Everything but prompts, cases and rules, in pairs of name and value."""
    varied = {axis.param: axis.text for axis in plan.axes}
    settings = [
        (spec.label, varied.get(spec.name) or text_of(getattr(plan.base, spec.name)))
        for spec in varied_specs(plan)
        if spec.name in varied or getattr(plan.base, spec.name) != parameters.get_spec(spec.name).default
    ]
    caps, pace = plan.caps, plan.pace
    limits = [
        ("Cap on calls", caps.max_calls and f"{caps.max_calls:,}"),
        ("Cap on cost", caps.max_cost_usd and fmt.cost(caps.max_cost_usd)),
        ("Calls at once", pace.calls_at_once and f"{pace.calls_at_once:,}"),
        ("Calls per minute", pace.calls_per_minute and parameters.number_text(pace.calls_per_minute)),
    ]
    return [
        ("Models", ", ".join(model.name for model in plan.models) or fmt.UNKNOWN),
        *settings,
        ("Repeats", f"{plan.repeats:,}"),
        ("Seeds", _POLICIES[plan.seed_policy]),
        *((name, text) for name, text in limits if text),
        ("Attempts", f"{pace.max_attempts}"),
    ]


def _draw_prompts(plan: Plan) -> None:
    st.subheader("Prompt" if len(plan.prompts) == 1 else "Prompts", anchor=False)
    for place, version in enumerate(plan.prompts):
        st.caption(plain_markdown(version.label))
        st.code(version.prompt, language=None, wrap_lines=True)
        if version.system_prompt:
            st.caption("System prompt")
            st.code(version.system_prompt, language=None, wrap_lines=True)
        if place:
            with st.expander(f"Differences to {plain_markdown(plan.prompts[0].label)}"):
                text_diff.draw(plan.prompts[0].prompt, version.prompt)
                if version.system_prompt != plan.prompts[0].system_prompt:
                    st.caption("System prompt")
                    text_diff.draw(plan.prompts[0].system_prompt, version.system_prompt)


def _draw_cases(experiment: Experiment, token: str | None) -> None:
    st.subheader(f"Cases ({experiment.cases:,})", anchor=False)
    table = get_runtime().experiments.get_cases(user_id=state.person().id, experiment_id=experiment.id, token=token)
    frame = pd.DataFrame(list(table.rows), columns=list(table.columns), dtype="object")
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="Case")
    st.dataframe(frame, height=table_height(len(frame), most=10))
