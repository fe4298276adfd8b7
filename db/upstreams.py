"""Queries on the model servers that administrators added, and on what models refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from db.schema import catalog_state, refused_params, upstream_checks, upstream_health, upstreams

_COLUMNS = tuple(column for column in upstreams.c if column.name != "created_at")


@dataclass(frozen=True)
class UpstreamRow:
    """One row. `settings` and `per_model` are JSON as the registry writes it; the key is ciphertext."""

    id: int
    name: str
    base_url: str
    api_key_env: str | None
    api_key_encrypted: bytes | None
    engine_type: str | None
    allowed_models: tuple[str, ...]
    default_model: str | None
    enabled: bool
    settings: Mapping[str, Any]
    per_model: Mapping[str, Any]
    updated_by: str | None
    updated_at: datetime


@dataclass(frozen=True)
class RefusedParam:
    """A parameter that the server at `base_url` does not take for `model`."""

    base_url: str
    model: str
    param: str


def list_upstreams(conn: Connection) -> list[UpstreamRow]:
    """All of them by name."""
    return [_row(row) for row in conn.execute(select(*_COLUMNS).order_by(func.lower(upstreams.c.name)))]


def find_upstream(conn: Connection, *, upstream_id: int, for_update: bool = False) -> UpstreamRow | None:
    query = select(*_COLUMNS).where(upstreams.c.id == upstream_id)
    row = conn.execute(query.with_for_update() if for_update else query).one_or_none()
    return _row(row) if row else None


def add_upstream(conn: Connection, **values: Any) -> int | None:
    """The new id, or None when the name is taken. `values` are columns of the table."""
    row = upsert(upstreams).values(**values).on_conflict_do_nothing().returning(upstreams.c.id)
    added: int | None = conn.scalar(row)
    if added is not None:
        _announce(conn)
    return added


def name_is_taken(conn: Connection, *, name: str, except_id: int | None = None) -> bool:
    query = select(upstreams.c.id).where(func.lower(upstreams.c.name) == name.lower())
    if except_id is not None:
        query = query.where(upstreams.c.id != except_id)
    return conn.execute(query).first() is not None


def change_upstream(conn: Connection, *, upstream_id: int, **values: Any) -> None:
    changed = update(upstreams).where(upstreams.c.id == upstream_id).values(**values, updated_at=func.now())
    conn.execute(changed)
    _announce(conn)


def remove_upstream(conn: Connection, *, upstream_id: int) -> None:
    conn.execute(delete(upstreams).where(upstreams.c.id == upstream_id))
    _announce(conn)


def forget_health(conn: Connection, *, name: str) -> None:
    """What was found out under this name, history included."""
    conn.execute(delete(upstream_health).where(upstream_health.c.upstream == name))
    conn.execute(delete(upstream_checks).where(upstream_checks.c.upstream == name))


def list_refused_params(conn: Connection) -> list[RefusedParam]:
    rows = conn.execute(select(refused_params.c.base_url, refused_params.c.model, refused_params.c.param))
    return [RefusedParam(*row) for row in rows]


def add_refused_params(conn: Connection, *, refused: Sequence[RefusedParam]) -> None:
    rows = [{"base_url": item.base_url, "model": item.model, "param": item.param} for item in refused]
    conn.execute(upsert(refused_params).on_conflict_do_nothing(), rows)
    _announce(conn)


def forget_refused_params(conn: Connection, *, base_url: str) -> None:
    conn.execute(delete(refused_params).where(refused_params.c.base_url == base_url))
    _announce(conn)


def _announce(conn: Connection) -> None:
    """Lets every process read the registry again; one that sees the number change."""
    conn.execute(update(catalog_state).values(registry_revision=catalog_state.c.registry_revision + 1))


def _row(row: Row[Any]) -> UpstreamRow:
    return UpstreamRow(**{**row._mapping, "allowed_models": tuple(row.allowed_models)})
