"""A plan as arms, each with what it asks; and as it is stored. Pure."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chatplay import params as parameters
from chatplay import templates
from chatplay.errors import BadInput
from chatplay.experiments.axes import Levels, label_of, parse_axis
from chatplay.experiments.scoring import rule_from_json, rule_to_json
from chatplay.experiments.values import (
    Arm,
    AxisText,
    Caps,
    ModelRef,
    Pace,
    Plan,
    PromptVersion,
    SeedPolicy,
)
from chatplay.params import Params
from chatplay.providers.base import Message

MAX_ARMS = 500

# ---- arms --------------------------------------------------------------------------------------


def lay_out_arms(plan: Plan) -> tuple[Arm, ...]:
    """The whole grid, prompts slowest and the last axis fastest. Raises BadInput for axes that can't be."""
    axes = [parse_axis(axis.param, axis.text) for axis in plan.axes]
    _check_axes(plan, axes)
    count = len(plan.prompts) * len(plan.models)
    for axis in axes:
        count *= len(axis.values)
    if count > MAX_ARMS:
        raise BadInput(
            f"The grid has {count:,} arms; the limit is {MAX_ARMS}.",
            param="axes",
            cure="Take out an axis or some values.",
        )
    settings = itertools.product(plan.prompts, plan.models, *(axis.values for axis in axes))
    names = [axis.param for axis in axes]
    return label_arms(
        [_arm(plan, prompt, model, dict(zip(names, rest, strict=True))) for prompt, model, *rest in settings]
    )


def _check_axes(plan: Plan, axes: Sequence[Levels]) -> None:
    names = [axis.param for axis in axes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadInput(f"`{twice}` is an axis twice.", param=twice, cure="Join the two into one.")
    if "seed" in names and plan.seed_policy != "none":
        raise BadInput(
            "Seeds can't be an axis and follow a policy.", param="seed", cure="Choose the seed policy `none`."
        )


def _arm(plan: Plan, prompt: PromptVersion, model: ModelRef, varied: Mapping[str, Any]) -> Arm:
    fixed = {"seed": plan.seed if plan.seed_policy == "fixed" else None, "system_prompt": prompt.system_prompt}
    params = replace(plan.base, **{**fixed, **varied})
    return Arm(0, arm_hash(prompt, model, params, plan.seed_policy, plan.seed), prompt, model, params, {}, "")


def arm_hash(prompt: PromptVersion, model: ModelRef, params: Params, policy: SeedPolicy, seed: int) -> str:
    """The same for the same settings, whatever they are called and in whichever plan they stand: 32 hex digits."""
    settings = {
        "model": [model.upstream, model.name],
        "prompt": prompt.prompt,
        "params": parameters.to_json(params),  # the system prompt among them
        "seeds": [policy, seed] if policy == "varied" else [policy],
    }
    canonical = json.dumps(settings, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def label_arms(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """The arms numbered in this order, each with the levels of whatever varies among them all."""
    names = ["prompt", "model", *(spec.name for spec in parameters.SPECS)]
    found = {name: [_level(arm, name, arms) for arm in arms] for name in names}
    varying = [name for name in names if len({_setting(arm, name) for arm in arms}) > 1]
    if "prompt" in varying and "system_prompt" in varying and _prompts_explain(arms):
        varying.remove("system_prompt")
    return tuple(
        _labelled(arm, number, {name: found[name][number] for name in varying}) for number, arm in enumerate(arms)
    )


def _labelled(arm: Arm, number: int, levels: Mapping[str, str]) -> Arm:
    parts = [level if name in ("prompt", "model") else f"{name} {level}" for name, level in levels.items()]
    return replace(arm, number=number, levels=levels, label=", ".join(parts) or arm.model.name)


def _setting(arm: Arm, name: str) -> object:
    if name == "prompt":
        return arm.prompt.id
    return arm.model if name == "model" else getattr(arm.params, name)


def _level(arm: Arm, name: str, arms: Sequence[Arm]) -> str:
    if name == "prompt":
        return arm.prompt.label
    if name != "model":
        return label_of(getattr(arm.params, name))
    alike = {other.model.upstream for other in arms if other.model.name == arm.model.name}
    return arm.model.name if len(alike) == 1 else f"{arm.model.name} @ {arm.model.upstream}"


def _prompts_explain(arms: Sequence[Arm]) -> bool:
    """Whether each template came with one system prompt: then it is no axis of its own."""
    return len({(arm.prompt.id, arm.params.system_prompt) for arm in arms}) == len({arm.prompt.id for arm in arms})


def merge_arms(known: Sequence[Arm], wanted: Iterable[Arm]) -> tuple[Arm, ...]:
    """The known arms at their places, then the wanted ones that are new."""
    hashes = {arm.hash for arm in known}
    return label_arms([*known, *(arm for arm in wanted if arm.hash not in hashes)])


def chosen_of(plan: Plan, arms: Iterable[Arm]) -> tuple[Arm, ...]:
    """The arms of the grid that are to run."""
    return tuple(arm for arm in arms if plan.chosen is None or arm.hash in plan.chosen)


def messages_for(arm: Arm, values: Mapping[str, str], *, system: bool) -> tuple[Message, ...]:
    """What the arm asks about one case: both templates filled, or the prompt alone of a model that takes no system
    prompt (`system=False`). Raises BadInput for a variable without a column.
    """
    told = templates.fill(arm.params.system_prompt, values, where="system prompt") if system else ""
    prompt = Message("user", prompt_for(arm, values))
    return (Message("system", told), prompt) if told.strip() else (prompt,)


def prompt_for(arm: Arm, values: Mapping[str, str]) -> str:
    """The arm's prompt about one case. Raises BadInput for a variable without a column."""
    return templates.fill(arm.prompt.prompt, values)


# ---- as it is stored ---------------------------------------------------------------------------


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """JSON-ready; prompts by the ids of their versions, which never change."""
    return {
        "prompts": [version.id for version in plan.prompts],
        "models": [[model.name, model.upstream] for model in plan.models],
        "base": parameters.to_json(plan.base),
        "axes": [[axis.param, axis.text] for axis in plan.axes],
        "repeats": plan.repeats,
        "seed_policy": plan.seed_policy,
        "seed": plan.seed,
        "chosen": None if plan.chosen is None else sorted(plan.chosen),
        "rules": [rule_to_json(rule) for rule in plan.rules],
        "caps": [plan.caps.max_calls, plan.caps.max_cost_usd],
        "pace": [plan.pace.calls_at_once, plan.pace.calls_per_minute, plan.pace.max_attempts],
    }


def plan_from_json(stored: Mapping[str, Any], versions: Mapping[int, PromptVersion]) -> Plan:
    """The inverse of `plan_to_json`; `versions` has all that it names."""
    chosen = stored["chosen"]
    return Plan(
        prompts=tuple(versions[number] for number in stored["prompts"] if number in versions),
        models=tuple(ModelRef(name, upstream) for name, upstream in stored["models"]),
        base=params_from_json(stored["base"]),
        axes=tuple(AxisText(param, text) for param, text in stored["axes"]),
        repeats=stored["repeats"],
        seed_policy=stored["seed_policy"],
        seed=stored["seed"],
        chosen=None if chosen is None else frozenset(chosen),
        rules=tuple(rule_from_json(rule) for rule in stored["rules"]),
        caps=Caps(*stored["caps"]),
        pace=Pace(*stored["pace"]),
    )


def params_from_json(stored: Mapping[str, Any]) -> Params:
    """Stored settings, unchecked: they were checked when they were planned. Unknown names are passed over."""
    known = {spec.name for spec in parameters.SPECS}
    values = {name: value for name, value in stored.items() if name in known}
    return Params(**{**values, "stop": tuple(stored.get("stop", ()))})
