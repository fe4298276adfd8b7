"""Experiments as they are planned: prompt versions, the experiments themselves, their cases, arms and links."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as add

from db.call_ends import hold_calls
from db.schema import (
    experiment_arms,
    experiment_cases,
    experiment_links,
    experiments,
    prompt_versions,
)


@dataclass(frozen=True)
class PromptRow:
    """One immutable version of a template."""

    id: int
    user_id: int
    name: str
    number: int
    prompt: str
    system_prompt: str
    created_at: datetime


@dataclass(frozen=True)
class ExperimentRow:
    """An experiment without its cases and arms."""

    id: UUID
    user_id: int
    name: str
    state: str
    plan: Mapping[str, Any]
    case_columns: Sequence[str]
    revision: int
    order_seed: int
    paused_because: str | None
    calls: int
    retries: int
    cost_usd: float
    reserved_usd: float
    unknown_costs: int
    max_calls: int | None
    max_cost_usd: float | None
    calls_at_once: int | None
    calls_per_minute: float | None
    max_attempts: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class ExperimentSummary:
    """One line of the list; counts are of trials."""

    id: UUID
    name: str
    state: str
    arms: int
    cases: int
    trials: int
    ended: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ArmRow:
    """An arm's settings; `number` is its place."""

    number: int
    hash: str
    prompt_version_id: int
    model: str
    upstream: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class LinkRow:
    id: int
    created_at: datetime


NOW = func.clock_timestamp()  # for values that callers set
_PROMPT = [prompt_versions.c[field.name] for field in fields(PromptRow)]
_EXPERIMENT = [experiments.c[field.name] for field in fields(ExperimentRow)]
_ARM = [experiment_arms.c[field.name] for field in fields(ArmRow)]

# ---- prompts -----------------------------------------------------------------------------------


def find_newest_prompt(conn: Connection, *, user_id: int, name: str) -> PromptRow | None:
    query = select(*_PROMPT).where(prompt_versions.c.user_id == user_id, prompt_versions.c.name == name)
    row = conn.execute(query.order_by(prompt_versions.c.number.desc()).limit(1)).one_or_none()
    return PromptRow(*row) if row else None


def insert_prompt(
    conn: Connection, *, user_id: int, name: str, number: int, prompt: str, system_prompt: str
) -> PromptRow | None:
    """None when another tab made this version in the same moment."""
    query = text(
        "INSERT INTO prompt_versions (user_id, name, number, prompt, system_prompt) "
        "VALUES (:user_id, :name, :number, :prompt, :system_prompt) ON CONFLICT DO NOTHING RETURNING id"
    )
    values = {"user_id": user_id, "name": name, "number": number, "prompt": prompt, "system_prompt": system_prompt}
    new_id = conn.execute(query, values).scalar_one_or_none()
    return None if new_id is None else next(iter(list_prompts_by_id(conn, ids=[new_id])))


_REVISE = """
UPDATE prompt_versions p SET prompt = :prompt, system_prompt = :system_prompt
WHERE p.id = :id AND p.user_id = :user_id
  AND (p.prompt, p.system_prompt) = (:seen_prompt, :seen_system_prompt)
  AND NOT EXISTS (SELECT FROM experiment_arms a WHERE a.prompt_version_id = p.id)
  AND NOT EXISTS (SELECT FROM experiments e
                  WHERE e.id <> :experiment_id AND e.plan -> 'prompts' @> to_jsonb(CAST(:id AS bigint)))
"""


def revise_prompt(
    conn: Connection,
    *,
    version_id: int,
    user_id: int,
    experiment_id: UUID,
    seen: tuple[str, str],
    prompt: str,
    system_prompt: str,
) -> PromptRow | None:
    """Other texts for a version that at most this draft names and whose texts still are those `seen`; None, and
    nothing is done, for any other.
    """
    values = {"id": version_id, "user_id": user_id, "experiment_id": experiment_id}
    texts = {"prompt": prompt, "system_prompt": system_prompt, "seen_prompt": seen[0], "seen_system_prompt": seen[1]}
    found = conn.execute(text(_REVISE), values | texts)
    return next(iter(list_prompts_by_id(conn, ids=[version_id]))) if found.rowcount else None


def list_prompts(conn: Connection, *, user_id: int, name: str | None = None) -> list[PromptRow]:
    """All versions of one template, newest first; without `name` the newest of each, last made first."""
    query = select(*_PROMPT).where(prompt_versions.c.user_id == user_id)
    if name is not None:
        rows = conn.execute(query.where(prompt_versions.c.name == name).order_by(prompt_versions.c.number.desc()))
        return [PromptRow(*row) for row in rows]
    newest = select(func.max(prompt_versions.c.id)).where(prompt_versions.c.user_id == user_id)
    rows = conn.execute(query.where(prompt_versions.c.id.in_(newest.group_by(prompt_versions.c.name))))
    return sorted((PromptRow(*row) for row in rows), key=lambda row: (row.created_at, row.id), reverse=True)


def list_prompts_by_id(conn: Connection, *, ids: Collection[int]) -> list[PromptRow]:
    """These versions, whoever's: callers know that they may be read."""
    return [PromptRow(*row) for row in conn.execute(select(*_PROMPT).where(prompt_versions.c.id.in_(ids)))]


# ---- experiments -------------------------------------------------------------------------------


def insert_experiment(
    conn: Connection, *, experiment_id: UUID, user_id: int, name: str, plan: Mapping[str, Any], order_seed: int
) -> bool:
    """False when there is one of this id already."""
    values = {"id": experiment_id, "user_id": user_id, "name": name, "plan": dict(plan), "order_seed": order_seed}
    made = conn.execute(add(experiments).values(values).on_conflict_do_nothing().returning(experiments.c.id))
    return made.one_or_none() is not None


def find_experiment(conn: Connection, *, experiment_id: UUID, for_update: bool = False) -> ExperimentRow | None:
    """The experiment, whoever's it is: callers compare `user_id` or hold a link."""
    query = select(*_EXPERIMENT).where(experiments.c.id == experiment_id)
    row = conn.execute(query.with_for_update() if for_update else query).one_or_none()
    return ExperimentRow(*row) if row else None


def update_experiment(conn: Connection, *, experiment_id: UUID, **values: Any) -> int:
    """Sets columns and moves the revision, so that workers and other tabs read it anew. Returns the new one."""
    moved: int = conn.execute(
        update(experiments)
        .where(experiments.c.id == experiment_id)
        .values(updated_at=func.clock_timestamp(), revision=experiments.c.revision + 1, **values)
        .returning(experiments.c.revision)
    ).scalar_one()
    return moved


def rename_experiment(conn: Connection, *, experiment_id: UUID, name: str) -> None:
    """The plan stays as it is, and so does its revision."""
    here = update(experiments).where(experiments.c.id == experiment_id)
    conn.execute(here.values(name=name, updated_at=func.clock_timestamp()))


_LIST = """
SELECT e.id, e.name, e.state, (SELECT count(*) FROM experiment_arms a WHERE a.experiment_id = e.id),
       (SELECT count(*) FROM experiment_cases c WHERE c.experiment_id = e.id), t.trials, t.ended,
       e.created_at, e.updated_at
FROM (SELECT * FROM experiments WHERE user_id = :user_id
      AND (CAST(:at AS timestamptz) IS NULL OR (updated_at, id) < (:at, CAST(:id AS uuid)))
      ORDER BY updated_at DESC, id DESC LIMIT :limit) e
CROSS JOIN LATERAL (
  SELECT count(*) AS trials, count(*) FILTER (WHERE state IN ('done', 'failed', 'cancelled')) AS ended
  FROM experiment_trials WHERE experiment_id = e.id AND judge IS NULL) t
ORDER BY e.updated_at DESC, e.id DESC
"""


def list_experiments(
    conn: Connection, *, user_id: int, limit: int, before: tuple[datetime, UUID] | None = None
) -> list[ExperimentSummary]:
    """Touched last first; `before` is `updated_at` and id of the last one of the page before."""
    at, id = before or (None, None)
    rows = conn.execute(text(_LIST), {"user_id": user_id, "limit": limit, "at": at, "id": id})
    return [ExperimentSummary(*row) for row in rows]


_COMING_IN = """
SELECT g.id FROM usage u JOIN generations g ON g.id = u.generation_id
WHERE u.experiment_id = :id AND g.status = 'streaming'
"""


def delete_experiment(conn: Connection, *, experiment_id: UUID) -> None:
    """With its trials and their answers; the usage rows stay.

    Its row is locked last, as by the ends of its trials. Callers have seen to it that no more of them begin.
    """
    coming = conn.execute(text(_COMING_IN), {"id": experiment_id}).scalars()
    hold_calls(conn, generation_ids=list(coming))
    conn.execute(
        text("DELETE FROM generations WHERE id IN (SELECT generation_id FROM usage WHERE experiment_id = :id)"),
        {"id": experiment_id},
    )
    conn.execute(delete(experiments).where(experiments.c.id == experiment_id))


# ---- cases and arms ----------------------------------------------------------------------------


def replace_cases(
    conn: Connection, *, experiment_id: UUID, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    conn.execute(delete(experiment_cases).where(experiment_cases.c.experiment_id == experiment_id))
    append_cases(conn, experiment_id=experiment_id, first=0, rows=rows)
    conn.execute(update(experiments).where(experiments.c.id == experiment_id).values(case_columns=list(columns)))


def append_cases(conn: Connection, *, experiment_id: UUID, first: int, rows: Sequence[Sequence[str]]) -> None:
    """Cases numbered from `first` on."""
    values = [
        {"experiment_id": experiment_id, "number": number, "cells": list(cells)}
        for number, cells in enumerate(rows, start=first)
    ]
    if values:
        conn.execute(insert(experiment_cases), values)


def count_cases(conn: Connection, *, experiment_id: UUID) -> int:
    query = select(func.count()).select_from(experiment_cases)
    return conn.execute(query.where(experiment_cases.c.experiment_id == experiment_id)).scalar_one()


def list_cases(
    conn: Connection, *, experiment_id: UUID, numbers: Collection[int] | None = None
) -> list[tuple[int, Sequence[str]]]:
    """(number, cells) in order; all of them, or those with these numbers."""
    query = select(experiment_cases.c.number, experiment_cases.c.cells).where(
        experiment_cases.c.experiment_id == experiment_id
    )
    if numbers is not None:
        query = query.where(experiment_cases.c.number.in_(numbers))
    return [(number, cells) for number, cells in conn.execute(query.order_by(experiment_cases.c.number))]


def insert_arms(conn: Connection, *, experiment_id: UUID, arms: Sequence[ArmRow]) -> None:
    values = [{"experiment_id": experiment_id, **{f.name: getattr(arm, f.name) for f in fields(arm)}} for arm in arms]
    if values:
        conn.execute(insert(experiment_arms), values)


def list_arms(conn: Connection, *, experiment_id: UUID) -> list[ArmRow]:
    query = select(*_ARM).where(experiment_arms.c.experiment_id == experiment_id).order_by(experiment_arms.c.number)
    return [ArmRow(*row) for row in conn.execute(query)]


# ---- read-only links ---------------------------------------------------------------------------


def insert_link(conn: Connection, *, experiment_id: UUID, token_hash: bytes) -> LinkRow:
    query = insert(experiment_links).values(experiment_id=experiment_id, token_hash=token_hash)
    return LinkRow(*conn.execute(query.returning(experiment_links.c.id, experiment_links.c.created_at)).one())


def list_links(conn: Connection, *, experiment_id: UUID) -> list[LinkRow]:
    query = select(experiment_links.c.id, experiment_links.c.created_at)
    rows = conn.execute(query.where(experiment_links.c.experiment_id == experiment_id).order_by(experiment_links.c.id))
    return [LinkRow(*row) for row in rows]


def delete_link(conn: Connection, *, experiment_id: UUID, link_id: int) -> bool:
    """False when there was none."""
    here = (experiment_links.c.experiment_id == experiment_id) & (experiment_links.c.id == link_id)
    return conn.execute(delete(experiment_links).where(here)).rowcount > 0


def find_linked(conn: Connection, *, token_hash: bytes) -> UUID | None:
    """The experiment a link opens."""
    query = select(experiment_links.c.experiment_id).where(experiment_links.c.token_hash == token_hash)
    return conn.execute(query).scalar_one_or_none()
