"""Which models there are, what each can take, whether it runs, and the provider that answers for it.

Reading never waits: it looks at a view that is replaced as a whole by whoever asked the servers
(`chatplay.polling` for all processes, `refresh` for this one alone).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from chatplay.errors import BadInput, ConfigError, NotFound, ProviderUnreachable
from chatplay.health import BreakerState, Health, Problem, Standing, check
from chatplay.params import Range
from chatplay.prices import Price
from chatplay.providers.base import Provider
from chatplay.providers.engines import detect_engine, openai_window
from chatplay.providers.openai import Learned, Limits, ListedModel, OpenAIProvider
from chatplay.providers.registry import EngineType, ModelSettings, Source, Upstream, list_effective, make_provider
from chatplay.providers.safety import AddressPolicy

_log = logging.getLogger(__name__)
T = TypeVar("T")
Refused = Mapping[tuple[str, str], frozenset[str]]  # (base URL, model) -> parameters it takes none of
Why = Literal["running", "nothing configured", "nothing for you", "all unhealthy", "database unreachable"]


@dataclass(frozen=True)
class ModelInfo:
    """One model at one upstream. None where nobody said.

    `context_tokens` is the window it runs with, `max_context_tokens` the one it was made for. `refused_params`
    have no effect: its server takes none of them.
    """

    name: str
    upstream: str
    provider: str
    engine_type: EngineType
    context_tokens: int | None = None
    max_tokens_default: int = 512
    supports_streaming: bool = True
    supports_system_prompt: bool = True
    ranges: Mapping[str, Range] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    price: Price | None = None
    max_context_tokens: int | None = None
    request_defaults: Mapping[str, Any] | None = None
    refused_params: tuple[str, ...] = ()


@dataclass(frozen=True)
class Constraints:
    """What clients are told of a model; the field names and the nulls are part of the contract."""

    served_model_name: str
    engine_type: str
    task: str
    context_size: int | None
    max_model_len: int | None
    max_tokens_default: int
    request_defaults: Mapping[str, Any] | None
    supports_streaming: bool
    supports_system_prompt: bool


@dataclass(frozen=True)
class UpstreamStatus:
    """How one upstream is, for people: no address, no key. `wait_sec` is above 0 while its breaker is open."""

    name: str
    source: Source
    engine_type: EngineType
    standing: Standing
    breaker: BreakerState
    wait_sec: float
    models: tuple[ModelInfo, ...]
    checked_at: datetime | None
    healthy_at: datetime | None
    latency_ms: float | None
    problem: Problem | None

    @property
    def runs(self) -> bool:
        return self.standing in ("healthy", "not checked yet") and self.breaker != "open"


@dataclass(frozen=True)
class CatalogStatus:
    """Why models run or not: `message` says what is so, `cure` what to do. `polled_at`: the last whole round."""

    why: Why
    message: str
    cure: str
    polled_at: datetime | None
    upstreams: tuple[UpstreamStatus, ...]


@dataclass(frozen=True)
class _View:
    """All that readers see, replaced at once."""

    upstreams: tuple[Upstream, ...]
    providers: Mapping[str, Provider]
    since: Mapping[str, datetime]  # when each upstream became known here
    health: Mapping[str, Health] = field(default_factory=dict)
    refused: Refused = field(default_factory=dict)
    models_of: Mapping[str, tuple[ModelInfo, ...]] = field(default_factory=dict)
    models: tuple[ModelInfo, ...] = ()
    polled_at: datetime | None = None
    database: bool = True


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
        self._view = _described(_View(effective, dict(providers), since))

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

    def find_info(self, model: str, *, upstream: str) -> ModelInfo | None:
        """A model of a chat, whether it runs or is listed still; None when its upstream is gone."""
        view = self._view
        for info in view.models:
            if (info.name, info.upstream) == (model, upstream):
                return info
        known = next((candidate for candidate in view.upstreams if candidate.name == upstream), None)
        return _info(view, known, model) if known else None

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
        """Raises ProviderUnreachable while the upstream's breaker is open; an upstream that is merely not well
        may be tried, it may be back already.
        """
        status = self.find_status(info.upstream)
        if status is None or status.breaker != "open":
            return
        reason = f" {status.problem.message}" if status.problem else ""
        raise ProviderUnreachable(
            f"`{info.upstream}` failed several times in a row and is left alone for a moment.{reason}",
            cure=f"Try again in {max(status.wait_sec, 1):.0f} seconds, or choose another model.",
            provider=info.upstream,
            model=info.name,
            retry_after_sec=status.wait_sec,
        )

    def constraints(self, info: ModelInfo) -> Constraints:
        """A window the server fixes with the model is `max_model_len`; one chosen when it was loaded is also
        `context_size`.
        """
        chosen = info.engine_type in ("llama.cpp", "ollama", "lm-studio")
        return Constraints(
            served_model_name=info.name,
            engine_type=info.engine_type,
            task="generate",
            context_size=info.context_tokens if chosen else None,
            max_model_len=info.context_tokens or info.max_context_tokens,
            max_tokens_default=info.max_tokens_default,
            request_defaults=info.request_defaults,
            supports_streaming=info.supports_streaming,
            supports_system_prompt=info.supports_system_prompt,
        )

    # ---- how it is -----------------------------------------------------------------------------

    def problem(self, upstream: str) -> str | None:
        """Why the upstream is not well, in plain words; None when it is, or was not asked yet."""
        status = self.find_status(upstream)
        return str(status.problem) if status and status.problem else None

    def find_status(self, upstream: str) -> UpstreamStatus | None:
        view = self._view
        known = next((candidate for candidate in view.upstreams if candidate.name == upstream), None)
        return self._status(view, known, self.now()) if known else None

    def status(self, role: str) -> CatalogStatus:
        """Why models run for `role` or not, with the upstreams that have one for it."""
        view, now = self._view, self.now()
        found = [_for_role(view, self._status(view, upstream, now), upstream, role) for upstream in view.upstreams]
        open_to_role = tuple(status for status in found if status is not None)
        why = _why(view, open_to_role)
        message, cure = _words(why, open_to_role)
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
        other = {name for name, health in news.items() if not _same_models(view.health.get(name), health)}
        self._view = _described(replace(view, health={**view.health, **news}), other)

    def set_polled(self, polled_at: datetime | None, *, database: bool) -> None:
        """When the last round ended, and whether the database that all processes share can be reached."""
        self._view = replace(self._view, polled_at=polled_at or self._view.polled_at, database=database)

    def set_refused(self, refused: Refused) -> None:
        """The parameters that servers take none of, as all processes have learned."""
        self._view = _described(replace(self._view, refused=refused))
        for provider in self._view.providers.values():
            if isinstance(provider, OpenAIProvider):
                for (base_url, model), params in refused.items():
                    if base_url == provider.base_url:
                        provider.know_refused(model, params)

    def learned(self, base_url: str, model: str, param: str) -> None:
        """A provider was told that `param` is not taken for `model`."""
        refused = self._view.refused
        known = refused.get((base_url, model), frozenset()) | {param}
        self._view = _described(replace(self._view, refused={**refused, (base_url, model): known}))
        _log.info("%s takes no %s; it is not sent there any more", model, param)
        if self.on_learned is not None:
            self.on_learned(base_url, model, param)

    def set_upstreams(self, upstreams: Iterable[Upstream]) -> None:
        """The registry has changed. Providers of unchanged upstreams stay, with their connections; answers that
        run on a replaced one go on.
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
        same = {new.name for new in kept if _same_server(before.get(new.name), new)}
        since = {one.name: view.since[one.name] if one.name in same else self._clock() for one in kept}
        health = {name: health for name, health in view.health.items() if name in same}
        self._view = _described(replace(view, upstreams=tuple(kept), providers=providers, since=since, health=health))
        self.set_refused(view.refused)

    async def refresh(self, limit_sec: float = 10.0) -> None:
        """Ask every upstream at once, for this process alone; ends within `limit_sec`."""

        async def ask(upstream: Upstream) -> None:
            provider, before = self._view.providers[upstream.name], self.health_of(upstream.name)
            result = await check(provider, upstream, limit_sec=limit_sec, known=before.models or ())
            self.set_health({upstream.name: before.after_check(result, self.now())})

        await asyncio.gather(*(ask(upstream) for upstream in self._view.upstreams if upstream.kind == "openai"))

    async def aclose(self) -> None:
        """Close what the providers keep open; on the event loop they were used on."""
        for provider in (*self._view.providers.values(), *self._retired):
            await provider.aclose()

    # ---- inside --------------------------------------------------------------------------------

    def _provider(self, upstream: Upstream, before: Upstream | None) -> Provider | None:
        if upstream == before:
            return self._view.providers[upstream.name]
        try:
            return self._make(upstream) if self._make else None
        except (ConfigError, BadInput) as error:
            _log.warning("upstream %s is left out: %s", upstream.name, error)
            return None

    def _status(self, view: _View, upstream: Upstream, now: datetime) -> UpstreamStatus:
        health = view.health.get(upstream.name, Health())
        return UpstreamStatus(
            name=upstream.name,
            source=upstream.source,
            engine_type=_engine(view, upstream),
            standing=self._standing(upstream, health, view.since[upstream.name], now),
            breaker=health.breaker.state(now),
            wait_sec=health.breaker.wait_sec(now),
            models=(),
            checked_at=health.checked_at,
            healthy_at=health.healthy_at,
            latency_ms=health.latency_ms,
            problem=health.problem,
        )

    def _standing(self, upstream: Upstream, health: Health, since: datetime, now: datetime) -> Standing:
        if upstream.kind != "openai":
            return "healthy"
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


# ---- models ------------------------------------------------------------------------------------


def _same_server(before: Upstream | None, now: Upstream) -> bool:
    """Whether what is known of the one holds for the other."""
    if before is None:
        return False
    return (before.address, before.api_key, before.engine_type) == (now.address, now.api_key, now.engine_type)


def _described(view: _View, changed: Collection[str] | None = None) -> _View:
    """The view with its models described anew: those of all upstreams, or only of the `changed` ones."""
    if changed is not None and not changed:
        return view
    models_of = dict(view.models_of) if changed is not None else {}
    for upstream in view.upstreams:
        if changed is None or upstream.name in changed:
            models_of[upstream.name] = tuple(_info(view, upstream, name) for name in _names(view, upstream))
    models = tuple(info for upstream in view.upstreams for info in models_of[upstream.name])
    return replace(view, models_of=models_of, models=models)


def _same_models(before: Health | None, now: Health) -> bool:
    return before is not None and (before.engine_type, before.models) == (now.engine_type, now.models)


def _names(view: _View, upstream: Upstream) -> list[str]:
    """The names offered, the default first: of the allowed ones those that are there, else all that are there."""
    listed = _listed(view, upstream)
    everything_listed = listed is not None and _engine(view, upstream) != "openai"
    names = list(upstream.allowed_models or listed or ())
    default = upstream.default_model
    # OpenAI's own list may leave out aliases; any other server's list is all that it can answer with.
    if default and not (everything_listed and default not in (listed or ())):
        names = [default, *(name for name in names if name != default)]
    return [name for name in names if name in listed] if listed is not None and everything_listed else names


def _listed(view: _View, upstream: Upstream) -> Mapping[str, ListedModel] | None:
    models = view.health.get(upstream.name, Health()).models
    return None if models is None else {model.name: model for model in models}


def _engine(view: _View, upstream: Upstream) -> EngineType:
    if upstream.kind != "openai":
        return upstream.kind
    found = view.health.get(upstream.name, Health()).engine_type
    return upstream.engine_type or found or detect_engine(upstream.address, ())


def _info(view: _View, upstream: Upstream, name: str) -> ModelInfo:
    own, engine = upstream.per_model.get(name, ModelSettings()), _engine(view, upstream)
    listed = (_listed(view, upstream) or {}).get(name)
    window = _first(own.context_tokens, upstream.context_tokens, listed.context_tokens if listed else None)
    return ModelInfo(
        name=name,
        upstream=upstream.name,
        provider=upstream.kind,
        engine_type=engine,
        context_tokens=openai_window(name) if window is None and engine == "openai" else window,
        max_tokens_default=_first(own.max_tokens_default, upstream.max_tokens_default) or 512,
        supports_streaming=_first(own.supports_streaming, upstream.supports_streaming) is not False,
        supports_system_prompt=_first(own.supports_system_prompt, upstream.supports_system_prompt) is not False,
        ranges={**upstream.ranges, **(own.ranges or {})},
        roles=upstream.roles if own.roles is None else own.roles,
        price=_first(own.price, upstream.price),
        max_context_tokens=listed.max_context_tokens if listed else None,
        request_defaults=_first(own.request_defaults, upstream.request_defaults),
        refused_params=_refused(view, upstream, name),
    )


def _refused(view: _View, upstream: Upstream, name: str) -> tuple[str, ...]:
    provider = view.providers.get(upstream.name)
    base_url = provider.base_url if isinstance(provider, OpenAIProvider) else ""
    return tuple(sorted(view.refused.get((base_url, name), ())))


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


# ---- words -------------------------------------------------------------------------------------


def _for_role(view: _View, status: UpstreamStatus, upstream: Upstream, role: str) -> UpstreamStatus | None:
    """The status with the models open to `role`; None when nothing there ever is."""
    models = tuple(info for info in view.models if info.upstream == upstream.name and role in info.roles)
    return replace(status, models=models) if models or role in upstream.roles else None


def _why(view: _View, found: tuple[UpstreamStatus, ...]) -> Why:
    if not view.database:
        return "database unreachable"
    if any(status.runs and status.models for status in found):
        return "running"
    if not view.upstreams:
        return "nothing configured"
    return "all unhealthy" if found else "nothing for you"


def _words(why: Why, found: tuple[UpstreamStatus, ...]) -> tuple[str, str]:
    """What is so and what to do."""
    if why == "running":
        count = sum(len(status.models) for status in found if status.runs)
        return f"{count} {'model runs' if count == 1 else 'models run'}.", ""
    if why == "database unreachable":
        return (
            "The database cannot be reached, so nobody knows which models run.",
            "The models may be well. An administrator can look with `make status`; this page comes back by itself.",
        )
    if why == "nothing configured":
        return (
            "No model server is configured.",
            "An administrator adds one on the Models page, in models.toml or with the OPENAI_ variables.",
        )
    if why == "nothing for you":
        return "No model is open to you.", "Ask an administrator to let your role use one."
    return "No model is running: " + " ".join(_reason(status) for status in found), _WAIT


_WAIT = "A model that was just started shows up within 15 to 30 seconds; the Models page says what to do."


def _reason(status: UpstreamStatus) -> str:
    if status.problem is not None:
        return f"{status.name}: {status.problem.message}"
    if status.breaker == "open":
        return f"{status.name}: It failed several times in a row and is left alone for {status.wait_sec:.0f} seconds."
    if status.standing == "stale":
        return f"{status.name}: It has not been checked for a while."
    return f"{status.name}: It has no model loaded."


def _shown(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}..."
