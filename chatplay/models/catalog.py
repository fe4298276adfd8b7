"""Which models there are, what each can take, whether it runs, and the provider that answers for it.

Reading never waits: it looks at a view that is replaced as a whole by whoever asked the servers
(`chatplay.models.polling` for all processes, `refresh` for this one alone).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chatplay.errors import BadInput, ConfigError, NotFound, ProviderAuthFailed, ProviderUnreachable
from chatplay.models.health import Health, Problem, Standing, check, missing_here
from chatplay.models.status import CatalogStatus, UpstreamStatus, for_role, reason_of, words_of
from chatplay.models.view import (
    Constraints,
    ModelInfo,
    Refused,
    View,
    constraints_of,
    described,
    engine_of,
    model_info,
    same_models,
    same_server,
)
from chatplay.providers.base import Provider
from chatplay.providers.openai import Learned, Limits, OpenAIProvider
from chatplay.providers.registry import Upstream, list_effective, make_provider, same_provider
from chatplay.providers.safety import AddressPolicy
from chatplay.waits import wait_text

__all__ = ["CatalogStatus", "Constraints", "ModelCatalog", "ModelInfo", "UpstreamStatus", "build_catalog"]
_log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ModelCatalog:
    """All upstreams, the default one first, with a provider each under the same name.

    `ttl_sec`: how long a check counts; None for ever. `clock` is UTC; `set_time` moves it to the database's.
    """

    def __init__(
        self,
        upstreams: Iterable[Upstream],
        providers: Mapping[str, Provider],
        *,
        ttl_sec: float | None = None,
        make: Callable[[Upstream], Provider] | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._ttl = None if ttl_sec is None else timedelta(seconds=ttl_sec)
        self._make = make
        self._clock = clock
        self._ahead = timedelta()
        self._retired: list[Provider] = []
        self.on_learned: Learned | None = None
        effective = list_effective(upstreams)
        since = dict.fromkeys((upstream.name for upstream in effective), clock())
        self._view = described(View(effective, dict(providers), since))

    # ---- what people may choose ----------------------------------------------------------------

    def list_running(self, role: str) -> tuple[ModelInfo, ...]:
        """The models `role` may use and that run, as far as is known; the default first."""
        view, now = self._view, self.now()
        running = {upstream.name for upstream in view.upstreams if self._status(view, upstream, now).runs}
        return tuple(info for info in view.models if info.upstream in running and role in info.roles)

    def default(self, role: str) -> ModelInfo:
        """The model a new chat begins with. Raises NotFound saying why when there is none for `role`."""
        models = self.list_running(role)
        if not models:
            status = self.status(role)
            raise NotFound(status.message, cure=status.cure)
        return models[0]

    def get(self, model: str, *, role: str, upstream: str | None = None) -> ModelInfo:
        """A model whether it runs or not. Raises NotFound for one that is not there, BadInput for one `role`
        may not use.
        """
        named = [info for info in self._view.models if info.name == model and upstream in (None, info.upstream)]
        if not named:
            raise NotFound(f"There is no model called `{_shown(model)}`.", cure="Choose one of the models listed.")
        allowed = [info for info in named if role in info.roles]
        if not allowed:
            raise BadInput(f"`{model}` is not open to you.", param="model", cure="Choose one of the models listed.")
        return allowed[0]

    def id_of(self, info: ModelInfo, role: str) -> str:
        """What programs call the model: its name where this server is the first that has it for `role`, else
        `server/name`.
        """
        first = self.get(info.name, role=role)
        return info.name if first.upstream == info.upstream else f"{info.upstream}/{info.name}"

    def find_info(self, model: str, *, upstream: str) -> ModelInfo | None:
        """A model of a chat, whether it runs or is listed still; None when its upstream is gone."""
        view = self._view
        for info in view.models:
            if (info.name, info.upstream) == (model, upstream):
                return info
        known = next((candidate for candidate in view.upstreams if candidate.name == upstream), None)
        return model_info(view, known, model) if known else None

    def override(self, provider_name: str | None, *, dev: bool, role: str) -> ModelInfo | None:
        """The first model of the upstream that `?provider=` names; None without a name or without the
        development switch. Raises BadInput for a name that is not registered.
        """
        if not provider_name or not dev:
            return None
        found = next((info for info in self.list_running(role) if info.upstream == provider_name), None)
        if found is None:
            names = ", ".join(upstream.name for upstream in self._view.upstreams)
            raise BadInput(
                f"There is no provider called `{_shown(provider_name)}`.", param="provider", cure=f"There are {names}."
            )
        return found

    def provider_for(self, info: ModelInfo) -> Provider:
        """Raises NotFound when the upstream has been removed since."""
        try:
            return self._view.providers[info.upstream]
        except KeyError:
            raise NotFound(f"`{info.name}` is not served any more.", cure="Choose another model.") from None

    def check_open(self, info: ModelInfo) -> None:
        """Raises ProviderUnreachable while the upstream's breaker is open, ProviderAuthFailed when its key is not here;
        an upstream that is merely not well may be tried, it may be back already.
        """
        missing = self.missing_here(info.upstream)
        if missing is not None:
            what = f"`{info.upstream}` cannot be asked. {missing.message}"
            raise ProviderAuthFailed(what, cure=missing.cure, provider=info.upstream, model=info.name)
        status = self.find_status(info.upstream)
        if status is None or status.breaker != "open":
            return
        reason = f" {status.problem.message}" if status.problem else ""
        raise ProviderUnreachable(
            f"`{info.upstream}` failed several times in a row and is left alone for a moment.{reason}",
            cure=f"Try again in {wait_text(status.wait_sec)}, or choose another model.",
            provider=info.upstream,
            model=info.name,
            retry_after_sec=status.wait_sec,
        )

    def constraints(self, info: ModelInfo) -> Constraints:
        """What clients are told of a model."""
        return constraints_of(info)

    # ---- how it is -----------------------------------------------------------------------------

    def problem(self, upstream: str) -> str | None:
        """Why the upstream is not well, in plain words; None when it is, or was not asked yet."""
        status = self.find_status(upstream)
        return str(status.problem) if status and status.problem else None

    def missing_here(self, upstream: str) -> Problem | None:
        """What this process lacks to ask an upstream it knows; None when it lacks nothing."""
        known = next((candidate for candidate in self._view.upstreams if candidate.name == upstream), None)
        return missing_here(known) if known else None

    def knows(self, upstream: str) -> bool:
        return any(candidate.name == upstream for candidate in self._view.upstreams)

    def find_status(self, upstream: str) -> UpstreamStatus | None:
        view = self._view
        known = next((candidate for candidate in view.upstreams if candidate.name == upstream), None)
        return self._status(view, known, self.now()) if known else None

    def status(self, role: str) -> CatalogStatus:
        """Why models run for `role` or not, with the upstreams that have one for it."""
        view, now = self._view, self.now()
        found = [for_role(view, self._status(view, upstream, now), upstream, role) for upstream in view.upstreams]
        open_to_role = tuple(status for status in found if status is not None)
        why = reason_of(view, open_to_role)
        message, cure = words_of(why, open_to_role)
        return CatalogStatus(why, message, cure, view.polled_at, open_to_role)

    def now(self) -> datetime:
        """The time that checks are stamped with."""
        return self._clock() + self._ahead

    # ---- for those who keep it up to date, on the hub's loop -----------------------------------

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        return self._view.upstreams

    def find_provider(self, upstream: str) -> Provider | None:
        return self._view.providers.get(upstream)

    def health_of(self, upstream: str) -> Health:
        return self._view.health.get(upstream, Health())

    def set_time(self, now: datetime) -> None:
        self._ahead = now - self._clock()

    def set_health(self, news: Mapping[str, Health]) -> None:
        """What was found out; upstreams not named stay as they were."""
        view = self._view
        other = {name for name, health in news.items() if not same_models(view.health.get(name), health)}
        self._view = described(replace(view, health={**view.health, **news}), other)

    def set_polled(self, polled_at: datetime | None, *, database: bool) -> None:
        """When the last round ended, and whether the database that all processes share can be reached."""
        self._view = replace(self._view, polled_at=polled_at or self._view.polled_at, database=database)

    def set_refused(self, refused: Refused) -> None:
        """The parameters that servers take none of, as all processes have learned."""
        self._view = described(replace(self._view, refused=refused))
        for provider in self._view.providers.values():
            if isinstance(provider, OpenAIProvider):
                here = {model: params for (base_url, model), params in refused.items() if base_url == provider.base_url}
                provider.know_refused(here)

    def learned(self, base_url: str, model: str, param: str) -> None:
        """A provider was told that `param` is not taken for `model`."""
        refused = self._view.refused
        known = refused.get((base_url, model), frozenset()) | {param}
        self._view = described(replace(self._view, refused={**refused, (base_url, model): known}))
        _log.info("%s takes no %s; it is not sent there any more", model, param)
        if self.on_learned is not None:
            self.on_learned(base_url, model, param)

    def set_upstreams(self, upstreams: Iterable[Upstream]) -> None:
        """The registry has changed. Providers stay, with their connections, where only prices and the like have
        changed; answers that run on a replaced one go on, and `close_retired` closes it after the last of them.
        """
        view = self._view
        before = {upstream.name: upstream for upstream in view.upstreams}
        kept, providers = [], {}
        for upstream in list_effective(upstreams):
            provider = self._provider(upstream, before.get(upstream.name))
            if provider is not None:
                kept.append(upstream)
                providers[upstream.name] = provider
        self._retired += [old for name, old in view.providers.items() if providers.get(name) is not old]
        same = {new.name for new in kept if same_server(before.get(new.name), new)}
        since = {one.name: view.since[one.name] if one.name in same else self._clock() for one in kept}
        health = {name: health for name, health in view.health.items() if name in same}
        self._view = described(replace(view, upstreams=tuple(kept), providers=providers, since=since, health=health))
        self.set_refused(view.refused)

    async def refresh(self, limit_sec: float = 10.0) -> None:
        """Ask every upstream at once, for this process alone; ends within `limit_sec`."""

        async def ask(upstream: Upstream) -> None:
            provider, before = self._view.providers[upstream.name], self.health_of(upstream.name)
            result = await check(provider, upstream, limit_sec=limit_sec, known=before.models or ())
            self.set_health({upstream.name: before.after_check(result, self.now())})

        await asyncio.gather(*(ask(upstream) for upstream in self._view.upstreams if upstream.kind == "openai"))

    async def close_retired(self) -> None:
        """Close what replaced providers keep open; on the event loop they were used on."""
        while self._retired:
            await self._retired.pop().aclose()

    async def aclose(self) -> None:
        """Close what all providers keep open; on the event loop they were used on."""
        await self.close_retired()
        for provider in self._view.providers.values():
            await provider.aclose()

    # ---- inside --------------------------------------------------------------------------------

    def _provider(self, upstream: Upstream, before: Upstream | None) -> Provider | None:
        if before is not None and same_provider(before, upstream):
            return self._view.providers[upstream.name]
        try:
            return self._make(upstream) if self._make else None
        except (ConfigError, BadInput) as error:
            _log.warning("upstream %s is left out: %s", upstream.name, error)
            return None

    def _status(self, view: View, upstream: Upstream, now: datetime) -> UpstreamStatus:
        health = view.health.get(upstream.name, Health())
        return UpstreamStatus(
            name=upstream.name,
            source=upstream.source,
            engine_type=engine_of(view, upstream),
            standing=self._standing(upstream, health, view.since[upstream.name], now),
            breaker=health.breaker.state(now),
            wait_sec=health.breaker.wait_sec(now),
            models=(),
            checked_at=health.checked_at,
            healthy_at=health.healthy_at,
            latency_ms=health.latency_ms,
            problem=missing_here(upstream) or health.problem,
        )

    def _standing(self, upstream: Upstream, health: Health, since: datetime, now: datetime) -> Standing:
        if upstream.kind != "openai":
            return "healthy"
        if upstream.missing_key is not None:
            return "unhealthy"
        fresh = health.checked_at is not None and (self._ttl is None or now - health.checked_at <= self._ttl)
        if fresh:
            return "healthy" if health.healthy else "unhealthy"
        # A start must not wait for the servers, nor may a poller that has died go unnoticed.
        return "not checked yet" if self._ttl is None or self._clock() - since <= self._ttl else "stale"


def build_catalog(
    upstreams: Iterable[Upstream],
    limits: Limits,
    *,
    policy: AddressPolicy | None = None,
    ttl_sec: float | None = None,
) -> ModelCatalog:
    """The catalog with real providers. Raises ConfigError for an address that cannot be one."""

    def make(upstream: Upstream) -> Provider:
        return make_provider(upstream, limits, policy, lambda *news: catalog.learned(*news))

    known = list_effective(upstreams)
    catalog = ModelCatalog(known, {upstream.name: make(upstream) for upstream in known}, ttl_sec=ttl_sec, make=make)
    return catalog


def _shown(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}..."
