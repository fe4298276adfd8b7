"""Running generations, their event log and their usage rows.

An event row holds a run of deltas: `first_seq` is the number of the first, numbers have no gaps.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Double,
    Executable,
    Uuid,
    bindparam,
    cast,
    func,
    select,
    text,
    update,
)

from db.listen import LOCK_KEY
from db.schema import generation_events, generations, usage

EVENTS_CHANNEL = "chatplay_events"
STOPS_CHANNEL = "chatplay_stops"


@dataclass(frozen=True)
class GenerationRow:
    """A row of generations with the state a follower needs. `age_sec`: since it was opened, when it was read."""

    id: UUID
    user_id: int
    message_id: int | None
    status: str
    owner: UUID
    heartbeat_at: datetime
    age_sec: float


@dataclass(frozen=True)
class EventBatch:
    """Deltas `first_seq`, `first_seq` + 1, ... of one generation; `at_ms` since its request was sent."""

    generation_id: UUID
    first_seq: int
    texts: Sequence[str]
    at_ms: Sequence[float]


@dataclass(frozen=True)
class NewUsage:
    """What is known of a call before it is made."""

    generation_id: UUID
    user_id: int
    session_id: UUID | None
    source: str
    provider: str
    upstream: str
    model: str
    engine_type: str | None
    params: Mapping[str, Any]
    experiment_id: UUID | None = None
    retry_of: UUID | None = None
    attempt: int = 1


@dataclass(frozen=True)
class NewGeneration:
    """A call to open; with `message_id` it answers a message of a chat."""

    call: NewUsage
    message_id: int | None = None


@dataclass(frozen=True)
class UsageFigures:
    """What is known of a call after it ended. None is unknown."""

    status: str
    model_used: str | None = None
    finish_reason: str | None = None
    error_class: str | None = None
    error_message: str | None = None
    streamed: bool | None = None
    fallback_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    tokens_estimated: bool | None = None
    ttft_ms: float | None = None
    itl_p50_ms: float | None = None
    itl_p95_ms: float | None = None
    itl_max_ms: float | None = None
    gaps_ms: Sequence[float] | None = None
    queue_ms: float | None = None
    connect_ms: float | None = None
    duration_ms: float | None = None
    tokens_per_second: float | None = None
    end_to_end_tokens_per_second: float | None = None
    bytes_received: int | None = None
    cost_usd: float | None = None
    request_id: str | None = None
    system_fingerprint: str | None = None
    sent: Mapping[str, Any] | None = None
    fingerprint: str | None = None


_COLUMNS = (
    generations.c.id,
    generations.c.user_id,
    generations.c.message_id,
    generations.c.status,
    generations.c.owner,
    generations.c.heartbeat_at,
    # Both by the server's clock; as a double, which an epoch of PostgreSQL is not by itself.
    cast(func.extract("epoch", func.clock_timestamp() - generations.c.created_at), Double),
)


def insert_generations(conn: Connection, *, owner: UUID, calls: Sequence[NewGeneration]) -> None:
    """Opens generations of one process, each with its usage row."""
    rows = [{**opening_values(one.call, owner=owner), "message_id": one.message_id} for one in calls]
    run_each(conn, _INSERT_GENERATION, rows)


def opening_values(call: NewUsage, *, owner: UUID) -> dict[str, Any]:
    """What statements with `opening_sql` are run with."""
    # Not asdict, which copies the parameters deeply.
    return {"owner": owner, **{f"new_{name}": getattr(call, name) for name in _NEW_USAGE}}


def run_each(conn: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Runs a statement for each of the rows; one by itself, since for a series more has to be set up."""
    if rows:
        conn.execute(statement, rows if len(rows) > 1 else rows[0])


_NEW_USAGE = tuple(field.name for field in fields(NewUsage))
OPENING_BINDS = (
    bindparam("owner", type_=Uuid),
    *(bindparam(f"new_{name}", type_=usage.c[name].type) for name in _NEW_USAGE),
)


def opening_sql(message_id: str, source: str = "") -> str:
    """SQL of two WITH items, `generation` and `call`, that open a generation for each row of `source` (a FROM clause,
    else one); `message_id` is SQL, too.
    """
    return f"""
    generation AS (
        INSERT INTO generations (id, user_id, message_id, owner, status)
        SELECT :new_generation_id, :new_user_id, {message_id}, :owner, 'streaming' {source}
    ), call AS (
        INSERT INTO usage ({", ".join(_NEW_USAGE)}, status, organisation_id)
        SELECT {", ".join(f":new_{name}" for name in _NEW_USAGE)}, 'streaming',
            (SELECT organisation_id FROM users WHERE id = :new_user_id) {source}
    )
    """


# Put together once: of thirty columns that takes longer than running it.
_INSERT_GENERATION = text(f"WITH {opening_sql(':message_id')} SELECT").bindparams(
    bindparam("message_id", type_=BigInteger), *OPENING_BINDS
)


def find_generation(conn: Connection, *, generation_id: UUID) -> GenerationRow | None:
    """The generation, whoever's it is: callers compare `user_id`."""
    row = conn.execute(select(*_COLUMNS).where(generations.c.id == generation_id)).one_or_none()
    return GenerationRow(*row) if row else None


def get_call(conn: Connection, *, generation_id: UUID) -> NewUsage:
    """What was noted when the call was opened."""
    columns = [usage.c[field.name] for field in fields(NewUsage)]
    return NewUsage(*conn.execute(select(*columns).where(usage.c.generation_id == generation_id)).one())


def find_sent(conn: Connection, *, generation_id: UUID) -> Mapping[str, Any] | None:
    """The request body as the upstream received it, without messages and key."""
    return conn.execute(select(usage.c.sent).where(usage.c.generation_id == generation_id)).scalar_one_or_none()


def find_delta_chars(conn: Connection, *, generation_id: UUID) -> list[int] | None:
    """How many characters each delta of an ended generation had."""
    return conn.execute(select(generations.c.delta_chars).where(generations.c.id == generation_id)).scalar_one_or_none()


def list_streaming(conn: Connection) -> list[GenerationRow]:
    """All generations not yet ended, of every process."""
    rows = conn.execute(select(*_COLUMNS).where(generations.c.status == "streaming"))
    return [GenerationRow(*row) for row in rows]


_STREAMING_IN = """
SELECT g.id FROM generations g JOIN chat_messages m ON m.id = g.message_id
JOIN chat_sessions s ON s.id = m.session_id
WHERE s.user_id = :user_id AND (CAST(:chat_id AS uuid) IS NULL OR s.id = :chat_id) AND g.status = 'streaming'
"""


_CONNECTED = text(f"""
SELECT one.owner FROM unnest(:owners) AS one(owner)
WHERE EXISTS (
    SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
      AND l.classid::bigint << 32 | l.objid::bigint = {LOCK_KEY.format(owner="one.owner")}
)
""").bindparams(bindparam("owners", type_=ARRAY(Uuid)))


def list_connected(conn: Connection, *, owners: Collection[UUID]) -> set[UUID]:
    """Those of the owners whose process listens on a connection now."""
    return set(conn.execute(_CONNECTED, {"owners": list(owners)}).scalars()) if owners else set()


def list_streaming_ids(conn: Connection, *, user_id: int, chat_id: UUID | None) -> list[UUID]:
    """Running generations in one chat of the person, or in all of them (`chat_id` None)."""
    return list(conn.execute(text(_STREAMING_IN), {"user_id": user_id, "chat_id": chat_id}).scalars())


def beat(conn: Connection, *, owner: UUID, generation_ids: Collection[UUID]) -> list[UUID]:
    """Renews the heartbeat of these generations of the owner; returns those somebody asked to stop."""
    rows = conn.execute(_BEAT, {"owner": owner, "ids": list(generation_ids)})
    return [row.id for row in rows if row.stop_requested_at is not None]


# One that somebody holds, because it ends or is deleted, keeps no other from its heartbeat.
_BEAT = text("""
WITH running AS (
    SELECT id FROM generations WHERE owner = :owner AND status = 'streaming' AND id = ANY(:ids)
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE generations g SET heartbeat_at = clock_timestamp() FROM running WHERE g.id = running.id
RETURNING g.id, g.stop_requested_at
""").bindparams(bindparam("owner", type_=Uuid), bindparam("ids", type_=ARRAY(Uuid)))


def request_stop(conn: Connection, *, generation_id: UUID) -> None:
    """Asks the owner, in whatever process, to stop it."""
    conn.execute(
        update(generations).where(generations.c.id == generation_id).values(stop_requested_at=func.clock_timestamp())
    )
    notify(conn, channel=STOPS_CHANNEL, payload=str(generation_id))


def append_events(conn: Connection, *, batches: Sequence[EventBatch]) -> None:
    """Writes the batches of many generations at once and wakes their followers in other processes.

    A generation deleted meanwhile (its chat was) is passed over. Repeating a batch changes nothing.
    """
    rows = [
        {
            "generation_id": str(batch.generation_id),
            "first_seq": batch.first_seq,
            "texts": list(batch.texts),
            "at_ms": list(batch.at_ms),
        }
        for batch in batches
    ]
    conn.execute(_APPEND_EVENTS, {"rows": json.dumps(rows), "channel": EVENTS_CHANNEL})


# One round trip, five times a second in every process that has an answer running.
_APPEND_EVENTS = text("""
    WITH given AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json))
            AS r(generation_id uuid, first_seq integer, texts text[], at_ms real[])
    ), running AS (
        -- waits for an end that is being written, and makes it wait for us: no event outlives it
        SELECT id FROM generations WHERE status = 'streaming' AND id IN (SELECT generation_id FROM given)
        ORDER BY id FOR SHARE
    ), kept AS (
        INSERT INTO generation_events (generation_id, first_seq, texts, at_ms)
        SELECT given.* FROM given JOIN running ON running.id = given.generation_id
        -- A batch is only sent again grown at its end: what stands there already is its beginning.
        ON CONFLICT (generation_id, first_seq) DO UPDATE SET texts = excluded.texts, at_ms = excluded.at_ms
    )
    SELECT pg_notify(:channel, CAST(generation_id AS text)) FROM given
""")


def list_events(conn: Connection, *, generation_id: UUID, after_seq: int = 0) -> list[EventBatch]:
    """Batches that hold a delta numbered above `after_seq` (numbers begin at 1), in order."""
    last_seq = generation_events.c.first_seq + func.cardinality(generation_events.c.texts) - 1
    query = (
        select(
            generation_events.c.generation_id,
            generation_events.c.first_seq,
            generation_events.c.texts,
            generation_events.c.at_ms,
        )
        .where(generation_events.c.generation_id == generation_id, last_seq > after_seq)
        .order_by(generation_events.c.first_seq)
    )
    return [EventBatch(*row) for row in conn.execute(query)]


_HOLD_ANSWER = text("SELECT FROM answers WHERE generation_id = :gid FOR NO KEY UPDATE")
_HOLD_CHAT = text("""
SELECT FROM chat_sessions WHERE id = (SELECT session_id FROM chat_messages WHERE id = :message) FOR NO KEY UPDATE
""")


def claim_dead(conn: Connection, *, row: GenerationRow) -> bool:
    """Locks a generation whose heartbeat still is the one in `row`; False when it lives or was claimed.

    Its chat or its answer is locked before it, as by `end_calls`.
    """
    conn.execute(_HOLD_ANSWER if row.message_id is None else _HOLD_CHAT, {"gid": row.id, "message": row.message_id})
    query = select(generations.c.id).where(
        generations.c.id == row.id,
        generations.c.status == "streaming",
        generations.c.heartbeat_at == row.heartbeat_at,
    )
    return conn.execute(query.with_for_update(skip_locked=True)).one_or_none() is not None


def notify(conn: Connection, *, channel: str, payload: str) -> None:
    """Sends a NOTIFY that goes out when the transaction commits."""
    conn.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})
