"""What a worker knows of a running experiment: arms, rules, judges; and the calls it makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from chatplay.errors import NotAllowed, NotFound
from chatplay.experiments import judging
from chatplay.experiments.blocks import seed_for
from chatplay.experiments.judging import judge_from_json
from chatplay.experiments.plan import messages_for, prompt_for
from chatplay.experiments.records import load_arms, load_plan
from chatplay.experiments.values import Arm, JudgePlan, ModelRef, Plan
from chatplay.models.catalog import ModelCatalog, ModelInfo
from chatplay.params import Params
from chatplay.prices import Price, cost_usd
from chatplay.providers.base import Message, Usage
from chatplay.store import Connection
from chatplay.tokens.estimate import estimate_message
from db import experiments, judgements
from db.trial_claims import WaitingTrial

_ESTIMATE_SPARE = 1.25  # a cap on cost reserves this much more than the estimate of a prompt
_ANSWER_TOKENS = 4_096  # reserved for an answer without max tokens, of a model whose window is not known


@dataclass(frozen=True)
class Blueprint:
    """An experiment as of one `revision`."""

    id: UUID
    user_id: int
    revision: int
    columns: Sequence[str]
    plan: Plan
    arms: tuple[Arm, ...]
    judges: Mapping[int, JudgePlan]


@dataclass(frozen=True)
class Question:
    """One call as it is to be made, at the price in force; None: not known."""

    model: ModelInfo
    messages: tuple[Message, ...]
    params: Params
    price: Price | None = None

    @property
    def reserve_usd(self) -> float | None:
        """What is held back of a cap on cost for it: its prompt, estimated with something to spare, and as long an
        answer as it may be. None without a price.
        """
        prompt = sum(estimate_message(message.content) for message in self.messages) * _ESTIMATE_SPARE
        answer = self.params.max_tokens or self.model.context_tokens or _ANSWER_TOKENS
        return cost_usd(Usage(math.ceil(prompt), answer), self.price)


def load_blueprint(conn: Connection, experiment_id: UUID) -> Blueprint | None:
    """None when the experiment is gone."""
    row = experiments.find_experiment(conn, experiment_id=experiment_id)
    if row is None:
        return None
    judges = {judge.number: judge_from_json(judge.plan) for judge in judgements.list_judges(conn, experiment_id=row.id)}
    return Blueprint(
        row.id, row.user_id, row.revision, row.case_columns, load_plan(conn, row), load_arms(conn, row), judges
    )


def values_of(blueprint: Blueprint, trial: WaitingTrial) -> dict[str, str]:
    """The columns of the trial's case."""
    return dict(zip(blueprint.columns, trial.cells, strict=False))


def question_of(
    blueprint: Blueprint, trial: WaitingTrial, *, catalog: ModelCatalog, answers: Mapping[int, str]
) -> Question:
    """The trial's call, or the judge's; `answers` has the judged texts by trial. Raises NotFound for a model that is
    gone or lacks its key, BadInput for a template that can't be filled.
    """
    arm, values = blueprint.arms[trial.arm], values_of(blueprint, trial)
    if trial.judge is None:
        model = _info(catalog, arm.model)
        messages = messages_for(arm, values, system=model.supports_system_prompt)
        seed = seed_for(blueprint.plan.seed_policy, arm.params.seed, blueprint.plan.seed, trial.case_no, trial.repeat)
        # The settings are kept with the answer: they say whether it was asked with the system prompt.
        system_prompt = arm.params.system_prompt if model.supports_system_prompt else ""
        return Question(model, messages, replace(arm.params, seed=seed, system_prompt=system_prompt))
    judge = blueprint.judges[trial.judge]
    subjects = [subject for subject in (trial.subject_id, trial.against_id) if subject is not None]
    texts = [answers[subject] for subject in subjects]
    shown = tuple(reversed(texts)) if trial.swapped else tuple(texts)
    model = _info(catalog, judge.model)
    asked = judging.ask(
        judge, values=values, prompt=prompt_for(arm, values), answers=shown, system=model.supports_system_prompt
    )
    return Question(model, asked, judge.params)


def check_open_to(role: str, model: ModelInfo) -> None:
    """Raises NotAllowed when the owner of the experiment may not use the model any more."""
    if role not in model.roles:
        raise NotAllowed(
            f"`{model.name}` is no longer open to the owner of this experiment.",
            cure="An administrator can open it to their role on the Models page; then resume.",
        )


def _info(catalog: ModelCatalog, model: ModelRef) -> ModelInfo:
    info = catalog.find_info(model.name, upstream=model.upstream)
    if info is None:
        raise NotFound(
            f"`{model.name}` at `{model.upstream}` is not there any more.",
            cure="Add the server again where it was: on the Models page, in models.toml or in the environment.",
        )
    missing = catalog.missing_here(model.upstream)
    if missing is not None:
        raise NotFound(f"`{model.name}` at `{model.upstream}` cannot be asked. {missing.message}", cure=missing.cure)
    return info
