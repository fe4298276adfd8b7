"""What can be asked: an `Upstream` describes one, `make_provider` builds the provider for it.

To add a kind of provider, write its class and add a line to `_MAKERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from chatplay.params import Range
from chatplay.prices import FREE, Price
from chatplay.providers.base import Provider
from chatplay.providers.demo import DEMO_MODELS, DemoProvider
from chatplay.providers.echo import EchoProvider
from chatplay.providers.openai import OPENAI_URL, Limits, OpenAIProvider

Kind = Literal["openai", "echo", "demo"]
EngineType = Literal["openai", "vllm", "llama.cpp", "ollama", "lm-studio", "sglang", "echo", "demo", "unknown"]
ROLES = ("analyst", "administrator")


@dataclass(frozen=True)
class Upstream:
    """One place that answers. `allowed_models` empty: all it offers. `default_model`: the one to begin with.

    `max_tokens_default`, `ranges`, `price`, `context_tokens` and `roles` hold for each of its models.
    """

    name: str
    kind: Kind
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    allowed_models: tuple[str, ...] = ()
    default_model: str | None = None
    max_tokens_default: int = 512
    ranges: Mapping[str, Range] = field(default_factory=dict)
    roles: tuple[str, ...] = ROLES
    price: Price | None = None
    context_tokens: int | None = None


DEMO = Upstream("demo", "demo", allowed_models=DEMO_MODELS, price=FREE, context_tokens=8192)
ECHO = Upstream("echo", "echo", allowed_models=("echo",), price=FREE)


def upstreams_from(
    *,
    use_openai: bool = False,
    openai_chat_model: str | None = None,
    openai_api_key: str | None = None,
    openai_base_url: str | None = None,
    openai_allowed_models: tuple[str, ...] = (),
) -> tuple[Upstream, ...]:
    """The upstreams of the `OPENAI_*` variables, the default one first; Demo and Echo are always there."""
    if not use_openai:
        return (DEMO, ECHO)
    allowed = openai_allowed_models
    if allowed and openai_chat_model and openai_chat_model not in allowed:
        allowed = (openai_chat_model, *allowed)
    server = Upstream(
        "openai",
        "openai",
        base_url=openai_base_url or OPENAI_URL,
        api_key=openai_api_key,
        allowed_models=allowed,
        default_model=openai_chat_model,
    )
    return (server, DEMO, ECHO)


def make_provider(upstream: Upstream, limits: Limits) -> Provider:
    """The provider that asks `upstream`. Raises ConfigError when its address cannot be one."""
    return _MAKERS[upstream.kind](upstream, limits)


def _make_openai(upstream: Upstream, limits: Limits) -> Provider:
    return OpenAIProvider(
        upstream.name, base_url=upstream.base_url or OPENAI_URL, api_key=upstream.api_key, limits=limits
    )


_MAKERS: Mapping[Kind, Callable[[Upstream, Limits], Provider]] = {
    "openai": _make_openai,
    "echo": lambda upstream, limits: EchoProvider(),
    "demo": lambda upstream, limits: DemoProvider(),
}
