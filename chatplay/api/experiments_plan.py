"""How programs write down an experiment, and how it becomes a plan with cases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, Field, StringConstraints

from chatplay import params as parameters
from chatplay.api.shapes import Body, Title
from chatplay.errors import BadInput
from chatplay.experiments import cases as reader
from chatplay.experiments.scoring import Rule, parse_rule
from chatplay.experiments.values import (
    AxisText,
    Caps,
    CaseTable,
    Forecast,
    ModelRef,
    Pace,
    Plan,
    Preview,
    PromptVersion,
    SeedPolicy,
)
from chatplay.params import Params
from chatplay.runtime import Runtime

Limits = TypeVar("Limits", Caps, Pace)
_Cell = str | int | float | bool | None
_Whole = Annotated[int, Field(ge=1, le=1_000_000_000)]
_CASES = Field(description="One object a case; its fields fill the variables, `expected` is for the rules.")
_AXES = Field(
    description="The values of each parameter that varies: a list, a range with its step, or `unset`.",
    examples=[{"temperature": "0, 0.5, 1", "top_p": "0.5:1:0.25"}],
)


class PromptIn(Body):
    """A template with {{variables}}. The same texts under the same name are the same version."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "Prompt"
    prompt: str = Field(min_length=1, examples=["Say {{word}}"])
    system_prompt: str = ""


class ModelIn(Body):
    """A model; `upstream` where several servers have one of this name."""

    name: str = Field(examples=["demo-small"])
    upstream: str | None = None


class LimitsIn(Body):
    """Where it pauses by itself, and how hard each model server is asked; null is no limit of its own."""

    max_calls: _Whole | None = None
    max_cost_usd: float | None = None
    calls_at_once: _Whole | None = None
    calls_per_minute: float | None = None
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3

    def over(self, plan: Plan) -> Plan:
        """`plan` with the limits that were given, null among them; what was left out stays."""
        given = self.model_dump(exclude_unset=True)
        return replace(plan, caps=_given_of(plan.caps, given), pace=_given_of(plan.pace, given))


class NewExperiment(Body):
    """Prompts x models x axes are the arms; each asks every case, `repeats` times."""

    name: Title = Field(examples=["Greetings"])
    prompts: list[PromptIn] = Field(min_length=1, max_length=50)
    models: list[ModelIn] = Field(min_length=1, max_length=50)
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings that do not vary.",
        json_schema_extra=parameters.json_schema(),
    )
    axes: Annotated[dict[str, str], _AXES] = Field(default_factory=dict)
    cases: Annotated[list[dict[str, _Cell]], _CASES] = Field(
        min_length=1, max_length=reader.MAX_ROWS, examples=[[{"word": "hello", "expected": "hello"}]]
    )
    repeats: Annotated[int, Field(ge=1, le=1000)] = 3
    seed_policy: SeedPolicy = "varied"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
    rules: list[dict[str, Any]] = Field(
        default_factory=list, max_length=50, examples=[[{"kind": "contains", "value": "{{expected}}"}]]
    )
    limits: LimitsIn = Field(default_factory=LimitsIn)


class Extension(Body):
    """What is to be different; what is left out stays, of `limits` each one. Only trials that are missing run; no arm
    is taken away.

    `revision`, as the experiment told it, makes sure that nobody has changed it meanwhile.
    """

    repeats: Annotated[int, Field(ge=1, le=1000)] | None = Field(None, examples=[5])
    models: list[ModelIn] | None = Field(None, min_length=1, max_length=50)
    axes: Annotated[dict[str, str], _AXES] | None = None
    cases: Annotated[list[dict[str, _Cell]], _CASES] = Field(default_factory=list, max_length=reader.MAX_ROWS)
    limits: LimitsIn | None = None
    revision: int | None = Field(None, ge=0)


class Range(BaseModel):
    """An expected total, and where it would lie in 95 of 100 such runs."""

    value: float
    low: float
    high: float


class Planned(BaseModel):
    """What a draft comes to, from stored measurements; null where too little is known. It starts without `problems`;
    `warnings` keep it from nothing.
    """

    trials: int
    cost_usd: Range | None
    most_cost_usd: float | None
    duration_sec: Range | None
    problems: list[str]
    warnings: list[str]

    @classmethod
    def of(cls, preview: Preview) -> Self:
        ahead: Forecast | None = preview.forecast
        return cls(
            trials=preview.trials,
            cost_usd=_range(ahead.cost_usd) if ahead else None,
            most_cost_usd=ahead.most_cost_usd if ahead else None,
            duration_sec=_range(ahead.duration_sec) if ahead else None,
            problems=[f"{one.message} {one.cure}".strip() for one in preview.problems],
            warnings=[f"{one.message} {one.cure}".strip() for one in preview.warnings],
        )


def _range(figure: object) -> Range | None:
    return None if figure is None else Range.model_validate(figure, from_attributes=True)


# ---- as the service takes it -------------------------------------------------------------------


def plan_of(rt: Runtime, body: NewExperiment, *, user_id: int, role: str) -> tuple[Plan, CaseTable]:
    """Keeps the templates. Raises BadInput naming the field, ModelUnknown."""
    cases = _cases(body.cases)
    base, rules = _base(body.params), _rules(body.rules)
    models = _models(rt, body.models, role)
    prompts = tuple(_prompt(rt, one, user_id) for one in body.prompts)
    plan = Plan(
        prompts=prompts,
        models=models,
        base=base,
        axes=_axes(body.axes),
        repeats=body.repeats,
        seed_policy=body.seed_policy,
        seed=body.seed,
        rules=rules,
    )
    return body.limits.over(plan), cases


def extended(rt: Runtime, plan: Plan, body: Extension, *, role: str) -> tuple[Plan, CaseTable | None]:
    """`plan` as the body would have it, and the cases to add."""
    if body.models is not None or body.axes is not None:
        plan = replace(plan, chosen=None)  # it named arms of another grid
    if body.models is not None:
        plan = replace(plan, models=_models(rt, body.models, role))
    if body.axes is not None:
        plan = replace(plan, axes=_axes(body.axes))
    if body.limits is not None:
        plan = body.limits.over(plan)
    plan = replace(plan, repeats=body.repeats or plan.repeats)
    return plan, _cases(body.cases) if body.cases else None


def _given_of(limits: Limits, given: Mapping[str, Any]) -> Limits:
    return replace(limits, **{field.name: given[field.name] for field in fields(limits) if field.name in given})


def _prompt(rt: Runtime, one: PromptIn, user_id: int) -> PromptVersion:
    return rt.experiments.save_prompt(
        user_id=user_id, name=one.name, prompt=one.prompt, system_prompt=one.system_prompt
    )


def _models(rt: Runtime, named: Sequence[ModelIn], role: str) -> tuple[ModelRef, ...]:
    found = (rt.catalog.get(one.name, role=role, upstream=one.upstream) for one in named)
    return tuple(ModelRef(model.name, model.upstream) for model in found)


def _axes(texts: Mapping[str, str]) -> tuple[AxisText, ...]:
    return tuple(AxisText(param, text) for param, text in texts.items())


def _base(values: Mapping[str, Any]) -> Params:
    if unfit := next((name for name in ("seed", "system_prompt") if name in values), None):
        raise BadInput(
            f"`{unfit}` is no setting of all arms.",
            param=unfit,
            cure="A system prompt stands with its prompt, a seed beside.",
        )
    return parameters.parse(values, base=Params())


def _rules(raw: Sequence[Mapping[str, object]]) -> tuple[Rule, ...]:
    try:
        return tuple(parse_rule(one) for one in raw)
    except BadInput as error:
        raise BadInput(error.message, param=f"rules.{error.param}", cure=error.cure) from None


def _cases(rows: Sequence[Mapping[str, _Cell]]) -> CaseTable:
    """Held to the same limits as pasted ones."""
    return reader.read_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
