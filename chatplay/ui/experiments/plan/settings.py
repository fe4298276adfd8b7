"""Models, parameters, repeats, seeds and limits of a plan. Which parameters there are, `params.SPECS` says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, cast, get_args

import streamlit as st

from chatplay.errors import BadInput
from chatplay.experiments.values import Caps, ModelRef, Pace, Plan, SeedPolicy
from chatplay.models.catalog import ModelInfo
from chatplay.params import Spec, get_spec
from chatplay.ui import state
from chatplay.ui.experiments.plan.draft import Draft, errors_of, plan_of, reading, varied_specs
from chatplay.ui.experiments.plan.fields import draw_error, draw_errors
from chatplay.ui.markdown import message_markdown

_POLICIES: dict[SeedPolicy, tuple[str, str]] = {
    "varied": ("Varied", "Another seed for each case and repeat, the same for every arm: arms meet the same luck."),
    "fixed": ("Fixed", "One seed for all calls: shows whether a server repeats itself."),
    "none": ("None", "No seed is sent, or those below."),
}
_FIELDS_IN_A_ROW = 3
_LIST_HELP = (
    'Here each text is a value to try. One with a comma in it stands in quotation marks: `"a,b", c` are two. Several '
    'that hold together are a list: `[["a", "b"]]` is one value.'
)
LabelVisibility = Literal["visible", "collapsed"]


# ---- what was typed ----------------------------------------------------------------------------


def collect(draft: Draft) -> Plan:
    """The plan with what the widgets hold; those not drawn yet change nothing."""
    for spec in varied_specs(draft.plan):
        typed = state.widget_value(draft.key(f"param_{spec.name}"))
        if typed is not None:
            draft.texts[spec.name] = typed
    held = {name: _held(draft, name, getattr(draft.plan, name)) for name in ("repeats", "seed_policy", "seed")}
    held = {name: getattr(draft.plan, name) if value is None else value for name, value in held.items()}
    return plan_of(
        draft,
        models=tuple(_held(draft, "models", draft.plan.models)),
        caps=caps_of(draft.key, draft.plan),
        pace=pace_of(draft.key, draft.plan),
        **held,
    )


def _held(draft: Draft, name: str, default: Any) -> Any:
    key = draft.key(name)
    return state.widget_value(key) if key in st.session_state else default


# ---- models and parameters ---------------------------------------------------------------------


def draw_models(draft: Draft, models: Sequence[ModelInfo], *, label: LabelVisibility = "visible") -> None:
    running = [ModelRef(model.name, model.upstream) for model in models]
    st.multiselect(
        "Models",
        [*running, *(model for model in draft.plan.models if model not in running)],
        draft.plan.models,
        format_func=lambda model: model_label(model, running),
        key=draft.key("models"),
        placeholder="Choose one or more",
        label_visibility=label,
    )
    if draft.plan.models:
        draw_errors(draft, "models")


def model_label(model: ModelRef, running: Sequence[ModelRef]) -> str:
    """The name; with its upstream where two serve the same name, and said when it does not run."""
    alike = sum(other.name == model.name for other in running) > 1
    name = f"{model.name} at {model.upstream}" if alike else model.name
    return name if model in running else f"{name} (not running)"


def draw_params(draft: Draft) -> None:
    """One value is the same for all calls; several make an axis."""
    st.subheader("Settings", anchor=False)
    st.caption("One value holds for all calls. Several, as `0, 0.5, 1` or `0:1:0.25`, make an axis of the experiment.")
    specs = [spec for spec in varied_specs(draft.plan) if spec.name != "seed"]
    for start in range(0, len(specs), _FIELDS_IN_A_ROW):
        row = specs[start : start + _FIELDS_IN_A_ROW]
        for column, spec in zip(st.columns(_FIELDS_IN_A_ROW, gap="small"), row, strict=False):
            with column:
                draw_param(draft, spec)
    draw_errors(draft, "axes", "base")


def draw_param(draft: Draft, spec: Spec) -> None:
    """A field, and how it is understood."""
    text = draft.texts.get(spec.name, "")
    st.text_input(
        spec.label,
        text,
        key=draft.key(f"param_{spec.name}"),
        live="0.5s",
        placeholder="" if spec.default in (None, ()) else f"{spec.default:g}",
        help=f"{spec.help} {_LIST_HELP}" if spec.kind == "list" else spec.help,
    )
    try:
        understood = reading(spec, text)
    except BadInput as error:
        draw_error(_at_field(spec, str(error)))
        return
    found = errors_of(draft.preview).get(spec.name, [])
    draw_error(*(_at_field(spec, text) for text in found[:3]))
    if not found:
        st.caption(message_markdown(understood))


def _at_field(spec: Spec, text: str) -> str:
    """Under its field the name of the field is not said again."""
    short = text.removeprefix(f"{spec.label}: ")
    return short if short == text else short[:1].upper() + short[1:]


# ---- repeats and seeds -------------------------------------------------------------------------


def draw_repeats(draft: Draft) -> None:
    plan = draft.plan
    left, middle, right = st.columns([1, 2, 1], gap="small")
    left.number_input(
        "Repeats",
        min_value=1,
        max_value=1000,
        value=plan.repeats,
        key=draft.key("repeats"),
        help="How often each arm answers each case. Repeats show how much an arm differs from itself.",
    )
    middle.segmented_control(
        "Seeds",
        list(get_args(SeedPolicy)),
        default=plan.seed_policy,
        format_func=lambda name: _POLICIES[cast(SeedPolicy, name)][0],
        required=True,
        key=draft.key("seed_policy"),
    )
    middle.caption(_POLICIES[plan.seed_policy][1])
    with right:
        if plan.seed_policy == "none":
            draw_param(draft, get_spec("seed"))
        else:
            label = "Seed" if plan.seed_policy == "fixed" else "Drawn from"
            st.number_input(label, min_value=0, value=plan.seed, key=draft.key("seed"))
    draw_errors(draft, "repeats")
    if plan.seed_policy != "none":
        draw_errors(draft, "seed")


# ---- limits ------------------------------------------------------------------------------------


def draw_limits(key: Any, plan: Plan) -> None:
    """Caps and pace; `key` makes widget keys of names. Empty is no limit."""
    left, right = st.columns(2, gap="small")
    left.number_input(
        "Cap on calls", 1, value=None, step=1, key=_filled(key("max_calls"), plan.caps.max_calls), placeholder="None",
        help="It pauses before it makes more calls than this. Retries and a judge's calls count, too.",
    )  # fmt: skip
    right.number_input(
        "Cap on cost, $", 0.0, value=None, step=0.1, format="%.4f",
        key=_filled(key("max_cost_usd"), plan.caps.max_cost_usd), placeholder="None",
        help="It pauses before it spends more than this.",
    )  # fmt: skip
    left, middle, right = st.columns(3, gap="small")
    left.number_input(
        "Calls at once", 1, value=None, step=1, key=_filled(key("calls_at_once"), plan.pace.calls_at_once),
        placeholder="As allowed", help="To each model server, by all workers together.",
    )  # fmt: skip
    middle.number_input(
        "Calls per minute", 0.0, value=None, step=10.0, format="%g",
        key=_filled(key("calls_per_minute"), plan.pace.calls_per_minute), placeholder="No limit",
        help="To each model server.",
    )  # fmt: skip
    right.number_input(
        "Attempts", 1, 10, value=plan.pace.max_attempts, step=1, key=key("max_attempts"),
        help="How often a call that failed is made in all. Retries never mix into latency.",
    )  # fmt: skip


def _filled(key: str, value: float | None) -> str:
    """`key`, its widget holding `value` at first. A field that has a value by default could never be emptied."""
    if key not in st.session_state:
        state.set_widget_value(key, value)
    return key


def caps_of(key: Any, plan: Plan) -> Caps:
    """As the widgets of `draw_limits` hold them."""
    return replace(plan.caps, **_drawn(key, "max_calls", "max_cost_usd"))


def pace_of(key: Any, plan: Plan) -> Pace:
    held = _drawn(key, "calls_at_once", "calls_per_minute", "max_attempts")
    return replace(plan.pace, **{**held, "max_attempts": held.get("max_attempts") or plan.pace.max_attempts})


def _drawn(key: Any, *names: str) -> dict[str, Any]:
    return {name: state.widget_value(key(name)) for name in names if key(name) in st.session_state}


def draw_limit_errors(draft: Draft) -> None:
    draw_errors(draft, "max_calls", "max_cost_usd", "calls_at_once", "calls_per_minute", "max_attempts")
