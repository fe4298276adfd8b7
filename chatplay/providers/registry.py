"""What can be asked: an `Upstream` describes one, `make_provider` builds the provider for it.

To add a kind of provider, write its class and add a line to `_MAKERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from chatplay.params import Range
from chatplay.prices import FREE, Price
from chatplay.providers.base import Provider
from chatplay.providers.demo import DEMO_MODELS, DemoProvider
from chatplay.providers.echo import EchoProvider
from chatplay.providers.openai import OPENAI_URL, Learned, Limits, OpenAIProvider, without_login
from chatplay.providers.safety import AddressPolicy

Kind = Literal["openai", "echo", "demo"]
EngineType = Literal["openai", "vllm", "llama.cpp", "ollama", "lm-studio", "sglang", "echo", "demo", "unknown"]
Source = Literal["built in", "environment", "models.toml", "administrator"]
MissingKey = Literal["variable not set", "stored but unreadable"]
ENGINES: tuple[EngineType, ...] = ("openai", "vllm", "llama.cpp", "ollama", "lm-studio", "sglang", "unknown")
ROLES = ("analyst", "administrator")
RESERVED_NAMES = ("demo", "echo")


@dataclass(frozen=True)
class ModelSettings:
    """What holds for one model where it differs from its upstream; None is "as the upstream"."""

    roles: tuple[str, ...] | None = None
    price: Price | None = None
    ranges: Mapping[str, Range] | None = None
    request_defaults: Mapping[str, Any] | None = None
    max_tokens_default: int | None = None
    context_tokens: int | None = None
    supports_streaming: bool | None = None
    supports_system_prompt: bool | None = None


@dataclass(frozen=True)
class Upstream:
    """One place that answers. `allowed_models` empty: all it offers. `default_model`: the one to begin with.

    What follows `per_model` holds for each of its models that `per_model` does not say otherwise of. None is
    unknown. `engine_type` None: found out by asking. `shadowed_by`: the source that has the name before this one.
    `missing_key`: why this process has not the key that others may have; it must not ask then.
    """

    name: str
    kind: Kind
    base_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    api_key_env: str | None = None
    missing_key: MissingKey | None = None
    allowed_models: tuple[str, ...] = ()
    default_model: str | None = None
    enabled: bool = True
    engine_type: EngineType | None = None
    per_model: Mapping[str, ModelSettings] = field(default_factory=dict)
    max_tokens_default: int | None = None
    ranges: Mapping[str, Range] = field(default_factory=dict)
    roles: tuple[str, ...] = ROLES
    price: Price | None = None
    context_tokens: int | None = None
    request_defaults: Mapping[str, Any] | None = None
    supports_streaming: bool | None = None
    supports_system_prompt: bool | None = None
    source: Source = "built in"
    id: int | None = None
    shadowed_by: Source | None = None

    @property
    def address(self) -> str:
        """The base URL in force, without a `user:password@` in it; "" for those without one."""
        return "" if self.kind != "openai" else without_login(self.base_url or OPENAI_URL)[0]


DEMO = Upstream("demo", "demo", allowed_models=DEMO_MODELS, price=FREE, context_tokens=8192)
ECHO = Upstream("echo", "echo", allowed_models=("echo",), price=FREE)


def upstreams_from(
    *,
    use_openai: bool = False,
    openai_chat_model: str | None = None,
    openai_api_key: str | None = None,
    openai_base_url: str | None = None,
    openai_allowed_models: tuple[str, ...] = (),
    others: tuple[Upstream, ...] = (),
    demo_models: bool = True,
) -> tuple[Upstream, ...]:
    """The upstreams of the `OPENAI_*` variables, then the `others`, then Demo and Echo; the default one first."""
    built_in = (DEMO, ECHO) if demo_models else ()
    if not use_openai:
        return (*others, *built_in)
    allowed = openai_allowed_models
    if allowed and openai_chat_model and openai_chat_model not in allowed:
        allowed = (openai_chat_model, *allowed)
    server = Upstream(
        "openai",
        "openai",
        base_url=openai_base_url or OPENAI_URL,
        api_key=openai_api_key,
        api_key_env="OPENAI_API_KEY",
        allowed_models=allowed,
        default_model=openai_chat_model,
        source="environment",
    )
    return (server, *others, *built_in)


def with_key_from(environ: Mapping[str, str], upstream: Upstream) -> Upstream:
    """The upstream with the key that the variable it names holds here."""
    key = key_in(environ, upstream.api_key_env)
    missing = upstream.api_key_env is not None and key is None
    return replace(upstream, api_key=key, missing_key="variable not set" if missing else None)


def key_in(environ: Mapping[str, str], variable: str | None) -> str | None:
    """The key in a variable; None without one, or when it is empty."""
    return environ.get(variable, "").strip() or None if variable else None


def list_effective(upstreams: Iterable[Upstream]) -> tuple[Upstream, ...]:
    """Those to be asked: enabled and the first of their name. The order given is the precedence: the
    environment before models.toml before administrators.
    """
    names: set[str] = set()
    effective = []
    for upstream in upstreams:
        if upstream.enabled and upstream.name.lower() not in names:
            effective.append(upstream)
        names.add(upstream.name.lower())
    return tuple(effective)


def make_provider(
    upstream: Upstream,
    limits: Limits,
    policy: AddressPolicy | None = None,
    on_learned: Learned | None = None,
) -> Provider:
    """The provider that asks `upstream`. Raises ConfigError when its address cannot be one."""
    if upstream.kind == "openai":
        return OpenAIProvider(
            upstream.name,
            base_url=upstream.base_url or OPENAI_URL,
            api_key=upstream.api_key,
            limits=limits,
            policy=policy,
            on_learned=on_learned,
        )
    return _MAKERS[upstream.kind]()


def same_provider(before: Upstream, now: Upstream) -> bool:
    """Whether `make_provider` would make the same of both, whatever else has changed."""
    return all(getattr(before, field) == getattr(now, field) for field in ("name", "kind", "base_url", "api_key"))


_MAKERS: Mapping[Kind, Callable[[], Provider]] = {"echo": EchoProvider, "demo": DemoProvider}
