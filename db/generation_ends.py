"""Generations as they end: closed with their usage rows, queued for the roll-ups, their events dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    Executable,
    Insert,
    Text,
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

from db.generations import EVENTS_CHANNEL, UsageFigures
from db.schema import generations, usage, usage_pending


@dataclass(frozen=True)
class GenerationEnd:
    """How a generation ended. `delta_chars`: how many characters each of its deltas had."""

    generation_id: UUID
    figures: UsageFigures
    delta_chars: Sequence[int] = ()


def finish_generations(conn: Connection, ends: Sequence[GenerationEnd]) -> None:
    """Closes generations and their usage rows, drops their events and wakes followers in other processes.

    Callers give them in the order of their ids, in which everybody locks several. The usage rows are queued for the
    roll-ups; once one is counted there, its figures stand.
    """
    _run_each(
        conn,
        _FINISH_GENERATION,
        [{"gid": one.generation_id, "ending": one.figures.status, "lengths": list(one.delta_chars)} for one in ends],
    )
    _run_each(conn, _FINISH_USAGE, [_usage_values(one.generation_id, one.figures) for one in ends])
    # A statement after the update, which has waited for whoever was appending: it sees their events.
    conn.execute(_DROP_EVENTS, {"gids": [one.generation_id for one in ends], "channel": EVENTS_CHANNEL})


def _run_each(conn: Connection, statement: Executable, rows: Sequence[dict[str, Any]]) -> None:
    """One row is run by itself: several are sent as a series, for which more has to be set up."""
    conn.execute(statement, rows if len(rows) > 1 else rows[0])


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
_DROP_EVENTS = text("""
WITH gone AS (DELETE FROM generation_events WHERE generation_id = ANY(:gids))
SELECT pg_notify(:channel, CAST(id AS text)) FROM unnest(:gids) AS ended(id)
""").bindparams(bindparam("gids", type_=ARRAY(Uuid)))
