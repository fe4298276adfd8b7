"""Stored rows of experiments as the values that people and workers read."""

from __future__ import annotations

from collections.abc import Sequence

from chatplay import params as parameters
from chatplay.experiments.plan import label_arms, params_from_json, plan_from_json
from chatplay.experiments.values import Arm, Case, Experiment, ModelRef, Plan, PromptVersion
from chatplay.store import Connection
from db import experiments as db
from db.experiments import ArmRow, ExperimentRow, PromptRow


def prompt_version(row: PromptRow) -> PromptVersion:
    return PromptVersion(row.id, row.name, row.number, row.prompt, row.system_prompt, row.created_at)


def load_plan(conn: Connection, row: ExperimentRow) -> Plan:
    """The plan with the texts of its prompts."""
    versions = db.list_prompts_by_id(conn, ids=row.plan["prompts"])
    return plan_from_json(row.plan, {version.id: prompt_version(version) for version in versions})


def load_arms(conn: Connection, row: ExperimentRow) -> tuple[Arm, ...]:
    """The arms that were laid out, with labels for what varies among them."""
    rows = db.list_arms(conn, experiment_id=row.id)
    versions = db.list_prompts_by_id(conn, ids={arm.prompt_version_id for arm in rows})
    by_id = {version.id: prompt_version(version) for version in versions}
    return label_arms([_arm(arm, by_id[arm.prompt_version_id]) for arm in rows])


def _arm(row: ArmRow, prompt: PromptVersion) -> Arm:
    return Arm(row.number, row.hash, prompt, ModelRef(row.model, row.upstream), params_from_json(row.params), {}, "")


def arm_row(arm: Arm) -> ArmRow:
    """The inverse, for storing."""
    params = parameters.to_json(arm.params)
    return ArmRow(arm.number, arm.hash, arm.prompt.id, arm.model.name, arm.model.upstream, params)


def case_of(number: int, columns: Sequence[str], cells: Sequence[str]) -> Case:
    return Case(number, dict(zip(columns, cells, strict=False)))


def experiment(
    row: ExperimentRow, *, plan: Plan, arms: tuple[Arm, ...], cases: int, is_mine: bool = True
) -> Experiment:
    return Experiment(
        id=row.id,
        name=row.name,
        state=row.state,  # type: ignore[arg-type]  # held to these words by the table
        plan=plan,
        arms=arms,
        cases=cases,
        case_columns=tuple(row.case_columns),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        paused_because=row.paused_because,
        revision=row.revision,
        is_mine=is_mine,
    )
