"""The calls themselves: in pages, one with all that is known of it, all for an export, a few as points of a chart."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, text

from db.usage_records import CallDetail, CallRow, ModelKey, Order, SamplePoint, UsageFilter
from db.usage_source import call_conditions, rollup_source

_READ_ALL_UP_TO = 20_000  # calls in the range; above, points come from the index that holds a 64th of them
_MOST_POINTS = 1_000

# order -> what it is by; calls without the figure are not in that list
ORDERS: dict[Order, tuple[str, Literal["ASC", "DESC"]]] = {
    "newest": ("u.created_at", "DESC"),
    "slowest_first_token": ("u.ttft_ms", "DESC"),
    "longest": ("u.duration_ms", "DESC"),
    "slowest_decode": ("u.tokens_per_second", "ASC"),
    "most_expensive": ("u.cost_usd", "DESC"),
}
_ROW = """
u.generation_id, u.created_at, u.user_id, p.display_name, u.session_id, u.experiment_id, u.source, u.upstream, u.model,
u.status, u.finish_reason, u.error_class, u.streamed, u.fallback_reason IS NOT NULL, u.prompt_tokens,
u.completion_tokens, u.tokens_estimated, u.ttft_ms, u.tokens_per_second, u.duration_ms, u.cost_usd, u.params
"""
_JOINED = {
    "person": "p.display_name",
    "organisation": "o.name",
    "chat_exists": "EXISTS (SELECT FROM chat_sessions s WHERE s.id = u.session_id)",
}
EXPORTED = tuple(
    field.name for field in fields(CallDetail) if field.name not in ("chat_exists", "gaps_ms", "sent", "error_message")
)


@dataclass(frozen=True)
class Place:
    """Where a page of calls ended: the value it was ordered by, and the call."""

    value: Any
    generation_id: UUID


def has_calls(conn: Connection) -> bool:
    """Whether there is any call."""
    return bool(conn.execute(text("SELECT EXISTS (SELECT FROM usage)")).scalar_one())


def list_calls(
    conn: Connection, filter: UsageFilter, *, order: Order, after: Place | None, limit: int
) -> tuple[list[CallRow], Place | None]:
    """A page, and where it ended; None when nothing follows."""
    conditions, params = call_conditions(filter)
    by, direction = ORDERS[order]
    conditions.append(f"{by} IS NOT NULL")
    if after is not None:
        conditions.append(f"({by}, u.generation_id) {'<' if direction == 'DESC' else '>'} (:after, :after_id)")
        params |= {"after": after.value, "after_id": after.generation_id}
    sql = (
        f"SELECT {_ROW}, {by} FROM usage u LEFT JOIN users p ON p.id = u.user_id WHERE {' AND '.join(conditions)} "
        f"ORDER BY {by} {direction}, u.generation_id {direction} LIMIT :limit"
    )
    rows = conn.execute(text(sql), {**params, "limit": limit + 1}).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return [CallRow(*row[:-1]) for row in rows[:limit]], None if last is None else Place(last[-1], last[0])


def find_call(conn: Connection, *, generation_id: UUID, user_id: int | None) -> CallDetail | None:
    """The call, when it is the person's; anybody's for None."""
    names = tuple(field.name for field in fields(CallDetail))
    sql = f"{_select(names)} WHERE u.generation_id = :id AND (CAST(:user_id AS bigint) IS NULL OR u.user_id = :user_id)"
    row = conn.execute(text(sql), {"id": generation_id, "user_id": user_id}).one_or_none()
    return CallDetail(*row) if row else None


def list_exported(conn: Connection, filter: UsageFilter, *, after: Place | None, limit: int) -> list[Row[Any]]:
    """Calls of the filter from `after` on, oldest first, as EXPORTED columns."""
    conditions, params = call_conditions(filter)
    if after is not None:
        conditions.append("(u.created_at, u.generation_id) > (:after, :after_id)")
        params |= {"start": after.value, "after": after.value, "after_id": after.generation_id}
    sql = f"{_select(EXPORTED)} WHERE {' AND '.join(conditions)} ORDER BY u.created_at, u.generation_id LIMIT :limit"
    return list(conn.execute(text(sql), {**params, "limit": limit}))


def _select(names: tuple[str, ...]) -> str:
    columns = ", ".join(f"{_JOINED.get(name, f'u.{name}')} AS {name}" for name in names)
    joins = "LEFT JOIN users p ON p.id = u.user_id LEFT JOIN organisations o ON o.id = u.organisation_id"
    return f"SELECT {columns} FROM usage u {joins}"


def list_points(
    conn: Connection, filter: UsageFilter, *, tokens: Literal["prompt", "context"], n: int
) -> list[SamplePoint]:
    """About a thousand random calls of the `n` that have the figure: all of few, and always the same ones.

    Where the range holds very many calls, they are drawn from a 64th of them.
    """
    conditions, params = call_conditions(filter)
    size = "u.prompt_tokens" if tokens == "prompt" else "u.prompt_tokens + u.completion_tokens"
    value = "u.ttft_ms" if tokens == "prompt" else "u.tokens_per_second"
    share = _MOST_POINTS / max(n, 1)
    if not filter.needs_rows and _count_range(conn, filter) > _READ_ALL_UP_TO:
        conditions.append("get_byte(uuid_send(u.generation_id), 15) % 64 = 0")
        share *= 64
    if share < 1:
        conditions.append(
            "get_byte(uuid_send(u.generation_id), 14) * 256 + get_byte(uuid_send(u.generation_id), 13) < :cut"
        )
        params["cut"] = round(share * 65_536)
    sql = (
        f"SELECT u.generation_id, u.upstream, u.model, {size}, {value} FROM usage u WHERE {' AND '.join(conditions)} "
        f"AND u.ended_at IS NOT NULL AND {size} IS NOT NULL AND {value} IS NOT NULL "
        f"LIMIT {2 * _MOST_POINTS}"
    )
    rows = conn.execute(text(sql), params).all()
    return [SamplePoint(call, ModelKey(upstream, model), *figures) for call, upstream, model, *figures in rows]


def _count_range(conn: Connection, filter: UsageFilter) -> int:
    """The ended calls of the person, organisation or everybody in the range, whatever their model and source."""
    source = rollup_source(filter.bare)
    sql = f"WITH {source.sql} SELECT coalesce(sum(calls), 0) FROM r"
    return int(conn.execute(text(sql), source.params).scalar_one())
