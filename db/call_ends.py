"""Calls as they end: answers written, generations closed with their usage rows, queued for the roll-ups."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    Insert,
    Table,
    Text,
    Update,
    Uuid,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from db.generations import EVENTS_CHANNEL, UsageFigures, run_each
from db.schema import answers, chat_messages, generations, usage, usage_pending


@dataclass(frozen=True)
class CallEnd:
    """How a call ended: what is kept of its answer, in a message of a chat or by itself, and its figures.

    `delta_chars`: how many characters each of its deltas had.
    """

    generation_id: UUID
    figures: UsageFigures
    message_id: int | None = None
    content: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    delta_chars: Sequence[int] = ()


def end_calls(conn: Connection, ends: Sequence[CallEnd]) -> None:
    """Writes answers, closes generations and usage rows, drops events and wakes followers in other processes.

    Does nothing for an answer that is not kept or whose chat was deleted meanwhile. Usage rows are queued for the
    roll-ups; once one is counted there, its figures stand.

    Locks are taken kind by kind: chats before their messages, as a delete does, and generations in the order of their
    ids, as the event log and the heartbeat do. Two chats of one person are not to be in one transaction: whoever
    deletes their chats locks them in an order of their own.
    """
    ends = sorted(ends, key=lambda one: one.generation_id)
    in_chats = [one for one in ends if one.message_id is not None]
    if in_chats:
        conn.execute(_TOUCH_CHATS, {"messages": [one.message_id for one in in_chats]})
    run_each(conn, _FINISH_MESSAGE, [_answer_values(one, one.message_id) for one in in_chats])
    by_themselves = [_answer_values(one, one.generation_id) for one in ends if one.message_id is None]
    run_each(conn, _FINISH_ANSWER, by_themselves)
    run_each(conn, _FINISH_GENERATION, [_generation_values(one) for one in ends])
    run_each(conn, _FINISH_USAGE, [_usage_values(one.generation_id, one.figures) for one in ends])
    # A statement after the update, which has waited for whoever was appending: it sees their events.
    conn.execute(_DROP_EVENTS, {"gids": [one.generation_id for one in ends], "channel": EVENTS_CHANNEL})


def hold_calls(conn: Connection, *, generation_ids: Collection[UUID]) -> None:
    """Locks calls that are to be deleted, in the order of `end_calls`: those that are ending have ended then.

    A delete by itself locks generations before their answers, and several as they come. Chats are locked before this.
    """
    for statement in (_HOLD_ANSWERS, _HOLD_GENERATIONS):
        conn.execute(statement, {"gids": list(generation_ids)})


def _answer_values(end: CallEnd, key: int | UUID | None) -> dict[str, Any]:
    return {"key": key, "text": end.content, "ending": end.figures.status, "figures": dict(end.metrics)}


def _generation_values(end: CallEnd) -> dict[str, Any]:
    return {"gid": end.generation_id, "ending": end.figures.status, "lengths": list(end.delta_chars)}


def _usage_values(generation_id: UUID, figures: UsageFigures) -> dict[str, Any]:
    values = {f"new_{name}": getattr(figures, name) for name in _FIGURES}
    values["new_gaps_ms"] = None if figures.gaps_ms is None else list(figures.gaps_ms)
    return values | {"gid": generation_id}


def _finish_usage_statement() -> Insert:
    gid = bindparam("gid", type_=Uuid)
    # The lock waits for a roll-up that is counting this very call, and makes the next one pass it over.
    held = (
        select(usage_pending.c.generation_id).where(usage_pending.c.generation_id == gid).with_for_update().cte("held")
    )
    open_or_held = or_(usage.c.ended_at.is_(None), exists(select(held.c.generation_id)))
    values = {name: bindparam(f"new_{name}", type_=usage.c[name].type) for name in _FIGURES}
    ended = (
        update(usage)
        .where(usage.c.generation_id == gid, open_or_held)
        .values(**values, ended_at=func.clock_timestamp())
        .returning(usage.c.generation_id, usage.c.created_at)
        .cte("ended")
    )
    queue = upsert(usage_pending).from_select(["generation_id", "created_at"], select(ended))
    return queue.on_conflict_do_nothing()


def _finish_answer_statement(table: Table, key: str) -> Update:
    values = {"content": "text", "status": "ending", "metrics_json": "figures"}
    return (
        update(table)
        .where(table.c[key] == bindparam("key", type_=table.c[key].type))
        .values({column: bindparam(name, type_=table.c[column].type) for column, name in values.items()})
    )


# Built once: putting a statement of so many columns together takes longer than running it.
_TOUCH_CHATS = text("""
UPDATE chat_sessions SET updated_at = now()
WHERE id IN (SELECT session_id FROM chat_messages WHERE id = ANY(CAST(:messages AS bigint[])))
""")
_FINISH_MESSAGE = _finish_answer_statement(chat_messages, "id")
_FINISH_ANSWER = _finish_answer_statement(answers, "generation_id")
_FIGURES = tuple(field.name for field in fields(UsageFigures))
_FINISH_USAGE = _finish_usage_statement()
_FINISH_GENERATION = (
    update(generations)
    .where(generations.c.id == bindparam("gid", type_=Uuid))
    .values(
        status=bindparam("ending", type_=Text),
        ended_at=func.clock_timestamp(),
        delta_chars=bindparam("lengths", type_=generations.c.delta_chars.type),
    )
)
_HOLD_ANSWERS = text("""
SELECT FROM answers WHERE generation_id = ANY(:gids) ORDER BY generation_id FOR UPDATE
""").bindparams(bindparam("gids", type_=ARRAY(Uuid)))
_HOLD_GENERATIONS = text("""
SELECT FROM generations WHERE id = ANY(:gids) ORDER BY id FOR UPDATE
""").bindparams(bindparam("gids", type_=ARRAY(Uuid)))
_DROP_EVENTS = text("""
WITH gone AS (DELETE FROM generation_events WHERE generation_id = ANY(:gids))
SELECT pg_notify(:channel, CAST(id AS text)) FROM unnest(:gids) AS ended(id)
""").bindparams(bindparam("gids", type_=ARRAY(Uuid)))
