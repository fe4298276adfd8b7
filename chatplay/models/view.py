"""Describes the models of all upstreams, from what is configured and what the servers said of themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from chatplay.models.health import Health
from chatplay.params import Range
from chatplay.prices import Price
from chatplay.providers.base import Provider
from chatplay.providers.engines import detect_engine, openai_window
from chatplay.providers.openai import ListedModel, OpenAIProvider
from chatplay.providers.registry import EngineType, ModelSettings, Upstream

T = TypeVar("T")
_USUAL_MAX_TOKENS = 512
Refused = Mapping[tuple[str, str], frozenset[str]]  # (base URL, model) -> parameters it takes none of


@dataclass(frozen=True)
class ModelInfo:
    """One model at one upstream. None where nobody said.

    `context_tokens` is the window it runs with, `max_context_tokens` the one it was made for. `refused_params`
    have no effect: its server takes none of them. `request_defaults` are what chats and programs begin with; a
    `max_tokens_default` that was configured is among them.
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


def takes_system_prompt(model: ModelInfo | None) -> bool:
    """Whether a system prompt is sent to it; one that nobody knows is sent it."""
    return model is None or model.supports_system_prompt


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
class View:
    """All that readers of the catalog see, replaced at once."""

    upstreams: tuple[Upstream, ...]
    providers: Mapping[str, Provider]
    since: Mapping[str, datetime]  # when each upstream became known here
    health: Mapping[str, Health] = field(default_factory=dict)
    refused: Refused = field(default_factory=dict)
    models_of: Mapping[str, tuple[ModelInfo, ...]] = field(default_factory=dict)
    models: tuple[ModelInfo, ...] = ()
    polled_at: datetime | None = None
    database: bool = True


def constraints_of(info: ModelInfo) -> Constraints:
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


def same_server(before: Upstream | None, now: Upstream) -> bool:
    """Whether what is known of the one holds for the other."""
    if before is None:
        return False
    return (before.address, before.api_key, before.engine_type) == (now.address, now.api_key, now.engine_type)


def described(view: View, changed: Collection[str] | None = None) -> View:
    """The view with its models described anew: those of all upstreams, or only of the `changed` ones."""
    if changed is not None and not changed:
        return view
    models_of = dict(view.models_of) if changed is not None else {}
    for upstream in view.upstreams:
        if changed is None or upstream.name in changed:
            models_of[upstream.name] = tuple(model_info(view, upstream, name) for name in _names(view, upstream))
    models = tuple(info for upstream in view.upstreams for info in models_of[upstream.name])
    return replace(view, models_of=models_of, models=models)


def same_models(before: Health | None, now: Health) -> bool:
    return before is not None and (before.engine_type, before.models) == (now.engine_type, now.models)


def _names(view: View, upstream: Upstream) -> list[str]:
    """The names offered, the default first: of the allowed ones those that are there, else all that are there."""
    listed = _listed(view, upstream)
    everything_listed = listed is not None and engine_of(view, upstream) != "openai"
    names = list(upstream.allowed_models or listed or ())
    default = upstream.default_model
    # OpenAI's own list may leave out aliases; any other server's list is all that it can answer with.
    if default and not (everything_listed and default not in (listed or ())):
        names = [default, *(name for name in names if name != default)]
    return [name for name in names if name in listed] if listed is not None and everything_listed else names


def _listed(view: View, upstream: Upstream) -> Mapping[str, ListedModel] | None:
    models = view.health.get(upstream.name, Health()).models
    return None if models is None else {model.name: model for model in models}


def engine_of(view: View, upstream: Upstream) -> EngineType:
    if upstream.kind != "openai":
        return upstream.kind
    found = view.health.get(upstream.name, Health()).engine_type
    return upstream.engine_type or found or detect_engine(upstream.address, ())


def model_info(view: View, upstream: Upstream, name: str) -> ModelInfo:
    own, engine = upstream.per_model.get(name, ModelSettings()), engine_of(view, upstream)
    listed = (_listed(view, upstream) or {}).get(name)
    window = _first(own.context_tokens, upstream.context_tokens, listed.context_tokens if listed else None)
    ranges = {**upstream.ranges, **(own.ranges or {})}
    defaults = _first(own.request_defaults, upstream.request_defaults)
    limit = _first(own.max_tokens_default, upstream.max_tokens_default)
    if limit is not None:
        defaults = {"max_tokens": _within(limit, ranges), **(defaults or {})}
    return ModelInfo(
        name=name,
        upstream=upstream.name,
        provider=upstream.kind,
        engine_type=engine,
        context_tokens=openai_window(name) if window is None and engine == "openai" else window,
        max_tokens_default=_within(_USUAL_MAX_TOKENS, ranges) if limit is None else _within(limit, ranges),
        supports_streaming=_first(own.supports_streaming, upstream.supports_streaming) is not False,
        supports_system_prompt=_first(own.supports_system_prompt, upstream.supports_system_prompt) is not False,
        ranges=ranges,
        roles=upstream.roles if own.roles is None else own.roles,
        price=_first(own.price, upstream.price),
        max_context_tokens=listed.max_context_tokens if listed else None,
        request_defaults=defaults,
        refused_params=_refused(view, upstream, name),
    )


def _refused(view: View, upstream: Upstream, name: str) -> tuple[str, ...]:
    provider = view.providers.get(upstream.name)
    base_url = provider.base_url if isinstance(provider, OpenAIProvider) else ""
    return tuple(sorted(view.refused.get((base_url, name), ())))


def _within(max_tokens: int, ranges: Mapping[str, Range]) -> int:
    limits = ranges.get("max_tokens")
    return max_tokens if limits is None else int(min(max(max_tokens, limits.low), limits.high))


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)
