"""Which models there are, what each can take, and the provider that answers for it.

Reading never waits: it looks at a snapshot that `refresh`, run by `poll_forever` on the hub's event loop,
replaces as a whole. A server that cannot be asked keeps its configured models and says why in `problem`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from chatplay.errors import BadInput, NotFound, ProviderError
from chatplay.params import Range
from chatplay.prices import Price
from chatplay.providers.base import Provider
from chatplay.providers.openai import Limits, ListedModel, OpenAIProvider
from chatplay.providers.registry import EngineType, Upstream, make_provider


@dataclass(frozen=True)
class ModelInfo:
    """One model at one upstream. `context_tokens` and `price` are None when nobody said."""

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
class Discovery:
    """What an upstream last said of itself; nothing yet when `models` is None."""

    engine_type: EngineType
    models: tuple[ListedModel, ...] | None = None
    problem: str | None = None


class ModelCatalog:
    """All upstreams, the default one first, with a provider each under the same name."""

    def __init__(self, upstreams: Iterable[Upstream], providers: Mapping[str, Provider]) -> None:
        self._upstreams = tuple(upstreams)
        self._providers = dict(providers)
        self._found = {upstream.name: Discovery(_engine_before_asking(upstream)) for upstream in self._upstreams}
        self._models = self._snapshot()

    def list_running(self, role: str) -> tuple[ModelInfo, ...]:
        """The models `role` may use, the default first."""
        return tuple(info for info in self._models if role in info.roles)

    def default(self, role: str) -> ModelInfo:
        """The model a new chat begins with. Raises NotFound when there is none for `role`."""
        models = self.list_running(role)
        if not models:
            raise NotFound("No model is running that you may use.", cure="Ask an administrator to add one.")
        return models[0]

    def get(self, model: str, *, role: str, upstream: str | None = None) -> ModelInfo:
        """Raises NotFound for a model that is not there, BadInput for one `role` may not use."""
        named = [info for info in self._models if info.name == model and upstream in (None, info.upstream)]
        if not named:
            raise NotFound(f"There is no model called `{_shown(model)}`.", cure="Choose one of the models listed.")
        allowed = [info for info in named if role in info.roles]
        if not allowed:
            raise BadInput(f"`{model}` is not open to you.", param="model", cure="Choose one of the models listed.")
        return allowed[0]

    def override(self, provider_name: str | None, *, dev: bool, role: str) -> ModelInfo | None:
        """The first model of the upstream that `?provider=` names; None without a name or without the
        development switch. Raises BadInput for a name that is not registered.
        """
        if not provider_name or not dev:
            return None
        found = next((info for info in self.list_running(role) if info.upstream == provider_name), None)
        if found is None:
            names = ", ".join(upstream.name for upstream in self._upstreams)
            raise BadInput(
                f"There is no provider called `{_shown(provider_name)}`.", param="provider", cure=f"There are {names}."
            )
        return found

    def provider_for(self, info: ModelInfo) -> Provider:
        """Raises NotFound when the upstream has been removed since."""
        try:
            return self._providers[info.upstream]
        except KeyError:
            raise NotFound(f"`{info.name}` is not served any more.", cure="Choose another model.") from None

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
            max_model_len=info.context_tokens,
            max_tokens_default=info.max_tokens_default,
            request_defaults=None,
            supports_streaming=info.supports_streaming,
            supports_system_prompt=info.supports_system_prompt,
        )

    def problem(self, upstream: str) -> str | None:
        """Why the upstream could not be asked the last time, in plain words; None when it could."""
        found = self._found.get(upstream)
        return found.problem if found else None

    async def refresh(self) -> None:
        """Ask every upstream at once; each has its own time limit, so this ends."""
        found = await asyncio.gather(*(self._discover(upstream) for upstream in self._upstreams))
        self._found = {upstream.name: news for upstream, news in zip(self._upstreams, found, strict=True)}
        self._models = self._snapshot()

    async def poll_forever(self, poll_sec: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Refresh now and then every `poll_sec`, until cancelled."""
        while True:
            await self.refresh()
            await sleep(poll_sec)

    async def aclose(self) -> None:
        """Close what the providers keep open; on the event loop they were used on."""
        for provider in self._providers.values():
            await provider.aclose()

    async def _discover(self, upstream: Upstream) -> Discovery:
        provider, before = self._providers[upstream.name], self._found[upstream.name]
        if not isinstance(provider, OpenAIProvider):
            return before
        try:
            models = await provider.list_models()
        except ProviderError as error:
            return replace(before, problem=str(error))
        engine = detect_engine(provider.base_url, models)
        if engine == "llama.cpp":
            models = _with_context(models, (await provider.find_props()).get("default_generation_settings"))
        return Discovery(engine, tuple(model for model in models if engine != "openai" or _chats(model.name)))

    def _snapshot(self) -> tuple[ModelInfo, ...]:
        return tuple(info for upstream in self._upstreams for info in self._infos(upstream))

    def _infos(self, upstream: Upstream) -> list[ModelInfo]:
        found = self._found[upstream.name]
        listed = {model.name: model for model in found.models or ()}
        return [_info(upstream, found.engine_type, name, listed.get(name)) for name in _names(upstream, found)]


def build_catalog(upstreams: Iterable[Upstream], limits: Limits) -> ModelCatalog:
    """The catalog with real providers. Raises ConfigError for an address that cannot be one."""
    known = tuple(upstreams)
    return ModelCatalog(known, {upstream.name: make_provider(upstream, limits) for upstream in known})


def _names(upstream: Upstream, found: Discovery) -> list[str]:
    """The names offered, the default first: the allowed ones, else what was found, else the default alone."""
    default = upstream.default_model
    names = list(upstream.allowed_models or (model.name for model in found.models or ()))
    # OpenAI's own list may leave out aliases; any other server's list is all that it can answer with.
    if default and (not names or default in names or found.engine_type == "openai"):
        return [default, *(name for name in names if name != default)]
    return names


def _info(upstream: Upstream, engine: EngineType, name: str, listed: ListedModel | None) -> ModelInfo:
    window = upstream.context_tokens or (listed.context_tokens if listed else None)
    if window is None and engine == "openai":
        window = _openai_window(name)
    return ModelInfo(
        name=name,
        upstream=upstream.name,
        provider=upstream.kind,
        engine_type=engine,
        context_tokens=window,
        max_tokens_default=upstream.max_tokens_default,
        ranges=upstream.ranges,
        roles=upstream.roles,
        price=upstream.price,
    )


def _engine_before_asking(upstream: Upstream) -> EngineType:
    if upstream.kind != "openai":
        return upstream.kind
    return detect_engine(upstream.base_url or "", ())


_OWNERS: Mapping[str, EngineType] = {
    "vllm": "vllm",
    "llamacpp": "llama.cpp",
    "library": "ollama",
    "organization_owner": "lm-studio",
    "sglang": "sglang",
}


def detect_engine(base_url: str, models: Iterable[ListedModel]) -> EngineType:
    """The engine by what its model list calls the owner, or by OpenAI's own address; "unknown" else."""
    if (urlsplit(base_url).hostname or "").endswith("api.openai.com"):
        return "openai"
    return next((_OWNERS[model.owned_by] for model in models if model.owned_by in _OWNERS), "unknown")


def _with_context(models: tuple[ListedModel, ...], settings: object) -> tuple[ListedModel, ...]:
    """llama-server lists the window a model was trained with; the one it runs with stands in /props."""
    size = settings.get("n_ctx") if isinstance(settings, Mapping) else None
    if not isinstance(size, int) or size <= 0:
        return models
    return tuple(replace(model, context_tokens=size) for model in models)


_OPENAI_WINDOWS = (  # platform.openai.com/docs/models; the first pattern that fits wins
    (re.compile(r"gpt-5.*-chat"), 128_000),
    (re.compile(r"gpt-5"), 400_000),
    (re.compile(r"gpt-4\.1"), 1_047_576),
    (re.compile(r"gpt-4o|chatgpt-4o|gpt-4-turbo|gpt-4-\d{4}-preview"), 128_000),
    (re.compile(r"gpt-4-32k"), 32_768),
    (re.compile(r"gpt-4"), 8_192),
    (re.compile(r"gpt-3\.5-turbo"), 16_385),
    (re.compile(r"o1-(mini|preview)"), 128_000),
    (re.compile(r"o[134](-|$)"), 200_000),
)
_CHATS = re.compile(r"^(gpt-[3-9]|chatgpt-|o\d)")
_CHATS_NOT = re.compile(r"audio|realtime|transcribe|tts|image|search|instruct|embedding|codex|deep-research|-pro")


def _openai_window(name: str) -> int | None:
    return next((size for pattern, size in _OPENAI_WINDOWS if pattern.match(name)), None)


def _chats(name: str) -> bool:
    """OpenAI lists speech, image and embedding models beside the ones that answer chat completions."""
    return name.startswith("ft:") or (_CHATS.match(name) is not None and _CHATS_NOT.search(name) is None)


def _shown(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}..."
