"""What model calls answered that are no messages of a chat: panes of a comparison, trials of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select

from db.generations import run_each
from db.schema import answers


@dataclass(frozen=True)
class AnswerRow:
    """One answer; while `status` is `streaming` its text is still in the event log."""

    generation_id: UUID
    content: str
    status: str
    metrics: Mapping[str, Any]


def insert_answers(conn: Connection, *, generation_ids: Sequence[UUID]) -> None:
    """Makes the places where the texts of calls will be kept."""
    run_each(conn, _INSERT, [{"generation_id": generation_id} for generation_id in generation_ids])


_INSERT = insert(answers)  # built once: one is run for each trial


def find_answer(conn: Connection, *, generation_id: UUID) -> AnswerRow | None:
    return next(iter(list_answers(conn, generation_ids=[generation_id])), None)


def list_answers(conn: Connection, *, generation_ids: Sequence[UUID]) -> list[AnswerRow]:
    """The kept ones of these, in no particular order. Callers know that they may be read."""
    query = select(answers.c.generation_id, answers.c.content, answers.c.status, answers.c.metrics_json)
    return [AnswerRow(*row) for row in conn.execute(query.where(answers.c.generation_id.in_(generation_ids)))]
