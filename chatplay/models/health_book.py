"""The view of the model servers that all processes share, kept in the database. Called on threads: it waits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from uuid import UUID, uuid4

from chatplay.errors import StoreError
from chatplay.models.health import Breaker, CheckResult, Health, Problem
from chatplay.providers.openai import ListedModel
from chatplay.providers.registry import ENGINES, Upstream
from chatplay.store import Connection, Store
from db import health as health_rows
from db import upstreams as upstream_rows
from db.health import HealthRow, State
from db.upstreams import RefusedParam

Load = Callable[[Connection], tuple[Upstream, ...]]
Seen = tuple[int, int]  # revisions of registry and health
NOTHING_SEEN: Seen = (-1, -1)


@dataclass(frozen=True)
class News:
    """What the database told in one look; None where nothing has changed."""

    state: State
    upstreams: tuple[Upstream, ...] | None
    refused: list[RefusedParam]
    health: list[HealthRow] | None


class HealthBook:
    """`load` reads the upstreams; `breaker` has the threshold and cooldown to use. Raises StoreError."""

    def __init__(self, store: Store, *, load: Load, breaker: Breaker, lease_sec: float = 5.0) -> None:
        self.process: UUID = uuid4()
        self.lease_sec = lease_sec
        self.breaker = breaker
        self._store = store
        self._load = load

    def read(self, seen: Seen) -> News:
        """Renews or takes the lease and reads what is new since `seen`."""
        with self._store.transaction() as conn:
            state = health_rows.watch(conn, process=self.process, lease_sec=self.lease_sec)
            registry_seen, health_seen = seen
            new_registry = state.registry_revision != registry_seen
            new_health = new_registry or state.health_revision != health_seen
            return News(
                state,
                upstreams=self._load(conn) if new_registry else None,
                refused=upstream_rows.list_refused_params(conn) if new_registry else [],
                health=health_rows.list_health(conn) if new_health else None,
            )

    def save_check(self, upstream: Upstream, result: CheckResult) -> Health:
        with self._store.transaction() as conn:
            row, now = health_rows.lock_health(conn, upstream=upstream.name, base_url=upstream.address)
            after = self.health_of(row).after_check(result, now)
            health_rows.save_health(conn, row=_row(upstream, after))
            health_rows.add_check(conn, upstream=upstream.name, healthy=result.healthy, latency_ms=result.latency_ms)
        return after

    def save_call(self, upstream: Upstream, well: bool) -> Health:
        with self._store.transaction() as conn:
            row, now = health_rows.lock_health(conn, upstream=upstream.name, base_url=upstream.address)
            before = self.health_of(row)
            after = replace(before, breaker=before.breaker.after_call(well, now))
            health_rows.save_health(conn, row=_row(upstream, after))
        return after

    def save_polled(self) -> None:
        with self._store.transaction() as conn:
            health_rows.note_polled(conn)

    def save_learned(self, refused: RefusedParam) -> None:
        with self._store.transaction() as conn:
            upstream_rows.add_refused_params(conn, refused=[refused])

    def release(self) -> None:
        """Gives the lease back."""
        with suppress(StoreError), self._store.transaction() as conn:
            health_rows.release_lease(conn, process=self.process)

    def health_of(self, row: HealthRow) -> Health:
        found = None if row.checked_at is None else tuple(ListedModel(**model) for model in row.models)
        return Health(
            checked_at=row.checked_at,
            healthy=row.healthy,
            engine_type=next((engine for engine in ENGINES if engine == row.engine_type), None),
            models=found if found or row.healthy_at is not None else None,
            latency_ms=row.latency_ms,
            problem=Problem(row.problem_code, row.problem or "", row.cure or "") if row.problem_code else None,
            breaker=replace(
                self.breaker,
                failed_checks=row.failed_checks,
                failed_calls=row.failed_calls,
                opened_at=row.opened_at,
            ),
            healthy_at=row.healthy_at,
        )


def _row(upstream: Upstream, health: Health) -> HealthRow:
    problem = health.problem
    return HealthRow(
        upstream=upstream.name,
        base_url=upstream.address,
        checked_at=health.checked_at,
        healthy=health.healthy,
        engine_type=health.engine_type,
        models=tuple(asdict(model) for model in health.models or ()),
        latency_ms=health.latency_ms,
        problem_code=problem.code if problem else None,
        problem=problem.message if problem else None,
        cure=problem.cure if problem else None,
        failed_checks=health.breaker.failed_checks,
        failed_calls=health.breaker.failed_calls,
        opened_at=health.breaker.opened_at,
        healthy_at=health.healthy_at,
    )
