"""App processes that watch the same model servers through one database, driven step by step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from chatplay.auth.person import Person, Preferences
from chatplay.models.assembly import Models, assemble_models
from chatplay.models.catalog import ModelCatalog
from chatplay.models.health import Breaker
from chatplay.models.polling import HealthPoller, Pace
from chatplay.settings import Settings
from chatplay.store import Store
from db.engine import make_engine

ADMIN = Person(
    id=1,
    username="ada",
    display_name="Ada",
    role="administrator",
    organisation_id=1,
    organisation="Default",
    preferences=Preferences(),
    is_active=True,
    must_change_password=False,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    last_sign_in_at=None,
)
ANALYST = replace(ADMIN, id=2, username="ana", role="analyst")
PACE = Pace(poll_sec=0.2, check_sec=1.0, watch_sec=0.02)


@dataclass(frozen=True)
class Watcher:
    """What one process knows."""

    models: Models
    store: Store

    @property
    def catalog(self) -> ModelCatalog:
        return self.models.catalog

    @property
    def poller(self) -> HealthPoller:
        return self.models.health

    def names(self, role: str = "analyst") -> list[str]:
        return [info.name for info in self.catalog.list_running(role)]

    def standing(self, upstream: str = "openai") -> str:
        status = self.catalog.find_status(upstream)
        return status.standing if status else "gone"


def models_of(
    url: str,
    folder: Path,
    *,
    breaker: Breaker | None = None,
    environ: Mapping[str, str] = MappingProxyType({"LAB_API_KEY": "sk-from-variable"}),
    **settings,
) -> Watcher:
    store = Store(make_engine(url, pool_size=5))
    given = Settings(data_dir=folder, demo_models=False, connect_timeout_sec=1, **settings)
    models = assemble_models(given, store, environ=environ)
    models.health._pace = PACE
    book = models.health._book
    book.lease_sec, book.breaker = 0.3, breaker or book.breaker
    return Watcher(models, store)


@asynccontextmanager
async def watcher(url: str, folder: Path, **more) -> AsyncIterator[Watcher]:
    """A process that has not looked at anything yet."""
    one = models_of(url, folder, **more)
    try:
        yield one
    finally:
        await one.models.aclose()
        one.poller.release()
        one.store.engine.dispose()


def served_by(server) -> dict[str, object]:
    """Settings whose one upstream is `server`."""
    return {"use_openai": True, "openai_base_url": server.base_url, "openai_chat_model": "mock-model"}


async def until(true: Callable[[], object], *, timeout_sec: float = 10.0) -> None:
    """Waits for a condition on the loop."""
    async with asyncio.timeout(timeout_sec):
        while not true():
            await asyncio.sleep(0.01)


async def step_until(one: Watcher, true: Callable[[], object], *, timeout_sec: float = 10.0) -> None:
    """Lets one process watch until a condition holds."""
    async with asyncio.timeout(timeout_sec):
        while not true():
            await one.poller.watch_once()
            await asyncio.sleep(0.01)
