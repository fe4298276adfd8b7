"""The parts that know the model servers, connected: catalog, poller and what administrators do with both."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from chatplay.keybox import KeyBox
from chatplay.models.catalog import ModelCatalog, build_catalog
from chatplay.models.health import Breaker
from chatplay.models.health_book import HealthBook
from chatplay.models.polling import HealthPoller, Pace
from chatplay.models.roster import Roster
from chatplay.models.upstreams import UpstreamService
from chatplay.providers.models_file import read_models_file
from chatplay.providers.openai import Limits
from chatplay.providers.registry import Upstream, make_provider, upstreams_from
from chatplay.providers.safety import AddressPolicy
from chatplay.settings import Settings
from chatplay.store import Store

KEY_FILE = "upstream-keys.key"
_LONGEST_CHECK_SEC = 10.0


@dataclass(frozen=True)
class Models:
    """One per process; nothing runs yet."""

    catalog: ModelCatalog
    health: HealthPoller
    roster: Roster
    keybox: KeyBox
    limits: Limits
    store: Store

    async def aclose(self) -> None:
        """On the loop that the providers live on."""
        await self.health.aclose()
        await self.catalog.aclose()

    def service(self, submit: Callable[[Coroutine[Any, Any, Any]], Future[Any]]) -> UpstreamService:
        """For administrators; `submit` runs a coroutine on the loop that the providers live on."""
        return UpstreamService(
            store=self.store,
            roster=self.roster,
            keybox=self.keybox,
            catalog=self.catalog,
            poller=self.health,
            make=lambda upstream: make_provider(upstream, self.limits, self.roster.policy),
            submit=submit,
        )


def assemble_models(settings: Settings, store: Store, *, environ: Mapping[str, str]) -> Models:
    """The parts. Raises ConfigError for what models.toml or the environment get wrong."""
    policy = AddressPolicy(settings.upstream_allow_hosts)
    configured = upstreams_of(settings, environ=environ, policy=policy)
    limits = Limits(
        connect_sec=settings.connect_timeout_sec,
        first_token_sec=settings.first_token_timeout_sec,
        silence_sec=settings.silence_timeout_sec,
        whole_sec=settings.generation_timeout_sec,
    )
    catalog = build_catalog(configured, limits, policy=policy, ttl_sec=settings.health_check_ttl_sec)
    keybox = keybox_of(settings)
    roster = Roster(configured, keybox=keybox, environ=environ, policy=policy)
    breaker = Breaker(settings.cb_failure_threshold, settings.cb_cooldown_sec)
    health = HealthPoller(
        catalog=catalog,
        book=HealthBook(store, load=roster.load, breaker=breaker),
        pace=Pace(settings.health_poll_sec, min(settings.health_poll_sec, _LONGEST_CHECK_SEC)),
        check_path=settings.health_check_path,
    )
    return Models(catalog, health, roster, keybox, limits, store)


def keybox_of(settings: Settings) -> KeyBox:
    """What opens the stored API keys: the data folder holds its key."""
    return KeyBox(settings.data_dir / KEY_FILE)


def upstreams_of(settings: Settings, *, environ: Mapping[str, str], policy: AddressPolicy) -> tuple[Upstream, ...]:
    """The model servers of the environment and of models.toml, the default one first. Raises ConfigError."""
    key, path = settings.openai_api_key, settings.models_file
    return upstreams_from(
        use_openai=settings.use_openai,
        openai_chat_model=settings.openai_chat_model,
        openai_api_key=key.get_secret_value() if key else None,
        openai_base_url=settings.openai_base_url,
        openai_allowed_models=settings.openai_allowed_models,
        others=read_models_file(path, environ=environ, policy=policy) if path else (),
        demo_models=settings.demo_models,
    )
