"""From a plan to arms, and from arms, cases and repeats to trials in randomised, interleaved order. Pure."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chatplay import params as parameters
from chatplay import templates
from chatplay.catalog import ModelInfo
from chatplay.errors import BadInput
from chatplay.experiments.axes import Levels, label_of, parse_axis
from chatplay.experiments.scoring import parse_rule, rule_to_json
from chatplay.experiments.values import (
    EXPECTED,
    Arm,
    AxisText,
    Caps,
    ModelRef,
    Pace,
    Plan,
    Problem,
    PromptVersion,
    SeedPolicy,
)
from chatplay.params import Params
from chatplay.providers.base import Message

MAX_ARMS = 500
MAX_REPEATS = 1_000
MAX_TRIALS = 200_000
LOT_TRIALS = 16  # the least a job takes on; whole blocks, so that a case meets all arms in one job
MAX_LOT_TRIALS = 64
_SEEDS = 2**31
_MOST_CAP = 1_000_000_000
_MOST_AT_ONCE = 10_000
_SLOWEST, _FASTEST = 0.01, 1_000_000.0  # calls per minute: the time of the next call must be one a clock can tell


@dataclass(frozen=True)
class Place:
    """Where a trial stands in the table of arm x case x repeat, all 0-based."""

    arm: int
    case: int
    repeat: int


@dataclass(frozen=True)
class Planned:
    """A trial in the randomised order; trials of one `lot` are one job."""

    place: Place
    lot: int
    position: int


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


# ---- trials ------------------------------------------------------------------------------------


def list_missing(arms: Iterable[int], *, cases: int, repeats: int, have: Collection[Place] = ()) -> list[Place]:
    """All places of the table that no trial stands at yet."""
    wanted = (Place(arm, case, repeat) for case in range(cases) for repeat in range(repeats) for arm in arms)
    return [place for place in wanted if place not in have] if have else list(wanted)


def order_trials(places: Iterable[Place], *, seed: int, first_lot: int = 0, first_position: int = 0) -> list[Planned]:
    """Blocks of one case and repeat with all their arms, shuffled inside and among each other, cut into lots.

    A drift of a server in time meets all arms alike: a randomised block design.
    """
    draw = random.Random(seed)
    blocks: dict[tuple[int, int], list[Place]] = {}
    for place in places:
        blocks.setdefault((place.case, place.repeat), []).append(place)
    order = list(blocks.values())
    draw.shuffle(order)
    planned: list[Planned] = []
    for lot, members in enumerate(_lots(order, draw), start=first_lot):
        start = first_position + len(planned)
        planned += [Planned(place, lot, position) for position, place in enumerate(members, start=start)]
    return planned


def _lots(blocks: Iterable[list[Place]], draw: random.Random) -> Iterator[list[Place]]:
    lot: list[Place] = []
    for block in blocks:
        draw.shuffle(block)
        lot += block
        while len(lot) > MAX_LOT_TRIALS:
            yield lot[:MAX_LOT_TRIALS]
            lot = lot[MAX_LOT_TRIALS:]
        if len(lot) >= LOT_TRIALS:
            yield lot
            lot = []
    if lot:
        yield lot


def seed_for(policy: SeedPolicy, arm_seed: int | None, plan_seed: int, case: int, repeat: int) -> int | None:
    """The seed of one trial. `varied`: the same for all arms at this case and repeat, so that they compare like
    with like (common random numbers).
    """
    if policy != "varied":
        return arm_seed
    digest = hashlib.sha256(f"{plan_seed}:{case}:{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _SEEDS


def messages_for(arm: Arm, values: Mapping[str, str]) -> tuple[Message, ...]:
    """What the arm asks about one case: both templates filled. Raises BadInput for a variable without a column."""
    system = templates.fill(arm.params.system_prompt, values, where="system prompt")
    prompt = Message("user", templates.fill(arm.prompt.prompt, values))
    return (Message("system", system), prompt) if system.strip() else (prompt,)


# ---- checks ------------------------------------------------------------------------------------


def list_problems(
    plan: Plan, *, columns: Sequence[str], cases: int, models: Mapping[ModelRef, ModelInfo | None]
) -> list[Problem]:
    """Everything that keeps the plan from starting; `models` has what the catalog knows, None for one that is gone."""
    found = [*_empty(plan, cases), *_models_gone(models), *_unpriced(plan, models), *_no_expected(plan, columns)]
    try:
        arms = lay_out_arms(plan)
    except BadInput as error:
        return [*found, Problem(error.param, error.message, error.cure)]
    running = chosen_of(plan, arms)
    if arms and not running:
        found.append(Problem("chosen", "No arm of the grid is chosen.", "Choose at least one."))
    if (trials := len(running) * cases * plan.repeats) > MAX_TRIALS:
        found.append(
            Problem(
                "repeats", f"These are {trials:,} trials; the limit is {MAX_TRIALS:,}.", "Take fewer repeats or arms."
            )
        )
    return [*found, *_bad_settings(running, models), *_missing_columns(running, columns)]


def _empty(plan: Plan, cases: int) -> Iterator[Problem]:
    if not plan.prompts:
        yield Problem("prompts", "There is no prompt.", "Write one, or choose one of your templates.")
    for version in plan.prompts:
        if not version.prompt.strip():
            yield Problem("prompts", f"The prompt of `{version.label}` is empty.", "Write one.")
    if not plan.models:
        yield Problem("models", "There is no model.", "Choose at least one.")
    if not cases:
        yield Problem("cases", "There are no cases.", "Paste or upload some.")
    if not 1 <= plan.repeats <= MAX_REPEATS:
        yield Problem("repeats", f"Repeats must be from 1 to {MAX_REPEATS:,}, not {plan.repeats}.")
    yield from _bad_limits(plan)


def _bad_limits(plan: Plan) -> Iterator[Problem]:
    caps, pace = plan.caps, plan.pace
    for field, value in (("max_calls", caps.max_calls), ("max_cost_usd", caps.max_cost_usd)):
        if value is not None and not 0 < value <= _MOST_CAP:
            yield Problem(field, f"A cap must be above 0 and at most {_MOST_CAP:,}.", "Leave it empty for no cap.")
    if pace.calls_at_once is not None and not 1 <= pace.calls_at_once <= _MOST_AT_ONCE:
        yield Problem("calls_at_once", f"This must be from 1 to {_MOST_AT_ONCE:,}.", "Leave it empty for no limit.")
    if pace.calls_per_minute is not None and not _SLOWEST <= pace.calls_per_minute <= _FASTEST:
        yield Problem(
            "calls_per_minute", f"This must be from {_SLOWEST:g} to {_FASTEST:,.0f}.", "Leave it empty for no limit."
        )
    if not 1 <= pace.max_attempts <= 10:
        yield Problem("max_attempts", "Attempts must be from 1 to 10.")


def _models_gone(models: Mapping[ModelRef, ModelInfo | None]) -> Iterator[Problem]:
    for model, info in models.items():
        if info is None:
            yield Problem(
                "models", f"`{model.name}` at `{model.upstream}` is not there, or not open to you.", "Choose another."
            )


def _unpriced(plan: Plan, models: Mapping[ModelRef, ModelInfo | None]) -> Iterator[Problem]:
    for model, info in models.items():
        if plan.caps.max_cost_usd is not None and info is not None and info.price is None:
            yield Problem(
                "max_cost_usd",
                f"The price of `{model.name}` is not known, so a cap on cost can't hold.",
                "Set a cap on calls instead, or let an administrator enter the price.",
            )


def _no_expected(plan: Plan, columns: Sequence[str]) -> Iterator[Problem]:
    for rule in plan.rules:
        for name in templates.variables(getattr(rule, "value", ""), getattr(rule, "pattern", "")):
            if name not in columns:
                hint = "Add it to your cases." if name == EXPECTED else "Correct its name."
                yield Problem("rules", f"A rule uses the column `{name}`, which the cases do not have.", hint)


def _bad_settings(arms: Iterable[Arm], models: Mapping[ModelRef, ModelInfo | None]) -> Iterator[Problem]:
    said: set[str] = set()
    for arm in arms:
        info = models.get(arm.model)
        try:
            parameters.validate(arm.params, overrides=info.ranges if info else None)
        except BadInput as error:
            text = f"{arm.model.name}: {error.message}"
            if text not in said:
                said.add(text)
                yield Problem(error.param, text, error.cure)


def _missing_columns(arms: Iterable[Arm], columns: Sequence[str]) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for arm in arms:
        texts = (arm.prompt.prompt, arm.params.system_prompt)
        if texts in seen:
            continue
        seen.add(texts)
        for name in templates.missing(texts, dict.fromkeys(columns, "")):
            yield Problem(
                "cases",
                f"`{arm.prompt.label}` uses {{{{{name}}}}}, but the cases have no column `{name}`.",
                "Add the column, or correct the name in the prompt.",
            )


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
        rules=tuple(parse_rule(rule) for rule in stored["rules"]),
        caps=Caps(*stored["caps"]),
        pace=Pace(*stored["pace"]),
    )


def params_from_json(stored: Mapping[str, Any]) -> Params:
    """Stored settings, unchecked: they were checked when they were planned. Unknown names are passed over."""
    known = {spec.name for spec in parameters.SPECS}
    values = {name: value for name, value in stored.items() if name in known}
    return Params(**{**values, "stop": tuple(stored.get("stop", ()))})
