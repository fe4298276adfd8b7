"""A comparison made into the draft of an experiment: its panes are the arms that are ticked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from chatplay import templates
from chatplay.compare.values import Comparison, ComparisonView, Pane
from chatplay.experiments.plan import lay_out_arms
from chatplay.experiments.values import EXPECTED, AxisText, CaseTable, Experiment, ModelRef, Plan, PromptVersion
from chatplay.params import SPECS, Params
from chatplay.runtime import Runtime
from chatplay.ui.experiments.plan.draft import text_of, unused_name

_NAME_CHARS = 150


def create(runtime: Runtime, *, user_id: int, comparison_id: UUID) -> tuple[Experiment, str]:
    """The draft, and what could not be taken over ("" for all). Raises NotFound."""
    view = runtime.compare.get(user_id=user_id, comparison_id=comparison_id)
    versions = _store_prompts(runtime, view, user_id)
    experiment = runtime.experiments.create(
        user_id=user_id,
        name=f"From compare: {view.comparison.title}"[:_NAME_CHARS].strip(),
        plan=plan_from(view.panes, versions),
        cases=cases_from(view.comparison, view.panes),
    )
    return experiment, _left_out(view.comparison)


def _store_prompts(runtime: Runtime, view: ComparisonView, user_id: int) -> dict[str, PromptVersion]:
    """A version for each system prompt, by its text; none while there is no prompt."""
    service, prompt = runtime.experiments, view.comparison.prompt
    if not prompt.strip():
        return {}
    name = unused_name({version.name for version in service.list_prompts(user_id=user_id)})
    systems = dict.fromkeys(pane.params.system_prompt for pane in view.panes)
    return {
        system: service.save_prompt(user_id=user_id, name=name, prompt=prompt, system_prompt=system)
        for system in systems
    }


def plan_from(panes: Sequence[Pane], versions: dict[str, PromptVersion]) -> Plan:
    """A grid that holds every pane; only those are chosen. Seeds of panes are an axis like any other setting."""
    first = panes[0].params
    varied = [spec.name for spec in SPECS if spec.sampling and len(_values(panes, spec.name)) > 1]
    plan = Plan(
        prompts=tuple(versions.values()),
        models=tuple(dict.fromkeys(_model(pane) for pane in panes)),
        base=replace(first, system_prompt="", **{name: getattr(Params(), name) for name in varied}),
        axes=tuple(AxisText(name, axis_text(_values(panes, name))) for name in varied),
    )
    if "seed" in varied:
        plan = replace(plan, seed_policy="none")
    elif first.seed is not None:
        plan = replace(plan, seed_policy="fixed", seed=first.seed)
    return _with_panes_chosen(plan, panes, varied)


def _with_panes_chosen(plan: Plan, panes: Sequence[Pane], varied: Sequence[str]) -> Plan:
    arms = lay_out_arms(plan)
    wanted = {(_model(pane), pane.params.system_prompt, *_settings(pane.params, varied)) for pane in panes}
    chosen = frozenset(
        arm.hash for arm in arms if (arm.model, arm.prompt.system_prompt, *_settings(arm.params, varied)) in wanted
    )
    return plan if len(chosen) == len(arms) else replace(plan, chosen=chosen)


def _settings(params: Params, names: Sequence[str]) -> list[Any]:
    return [getattr(params, name) for name in names]


def axis_text(values: Sequence[Any]) -> str:
    """Several values as one field of the plan reads them."""
    if any(isinstance(value, tuple) for value in values):
        return "[" + ", ".join(text_of(value)[1:-1] for value in values) + "]"
    return ", ".join(map(text_of, values))


def cases_from(comparison: Comparison, panes: Sequence[Pane]) -> CaseTable:
    """One case: the values its variables have there."""
    names = templates.variables(comparison.prompt, *(pane.params.system_prompt for pane in panes))
    columns = tuple(dict.fromkeys((*names, EXPECTED)))
    return CaseTable(columns, (tuple(comparison.variables.get(name, "") for name in columns),))


def _values(panes: Sequence[Pane], name: str) -> list[Any]:
    return list(dict.fromkeys(getattr(pane.params, name) for pane in panes))


def _model(pane: Pane) -> ModelRef:
    return ModelRef(pane.model_name, pane.upstream)


def _left_out(comparison: Comparison) -> str:
    if not comparison.history:
        return ""
    return "Experiments ask each prompt on its own: the messages before it were left out."
