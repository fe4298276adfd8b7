"""Looks for model servers on this machine, on the ports they usually have. Found ones are offered, never used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from chatplay.errors import ProviderError
from chatplay.providers.engines import discover
from chatplay.providers.openai import Limits, OpenAIProvider
from chatplay.providers.registry import EngineType, Upstream

_LIMITS = Limits(connect_sec=1.0)
_WAIT_SEC = 4.0  # a busy machine is slow to answer; a port where nothing listens says so at once
_LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Place:
    """Where a kind of server usually listens."""

    port: int
    name: str
    engine_type: EngineType


USUAL_PLACES = (
    Place(11434, "ollama", "ollama"),
    Place(8080, "llama-server", "llama.cpp"),
    Place(8000, "vllm", "vllm"),
    Place(1234, "lm-studio", "lm-studio"),
)


@dataclass(frozen=True)
class Offer:
    """A server an administrator may add: with a name to begin with, its engine and models."""

    name: str
    base_url: str
    engine_type: EngineType
    models: tuple[str, ...]


async def find_offers(*, known: Iterable[Upstream] = (), places: Iterable[Place] = USUAL_PLACES) -> list[Offer]:
    """The servers that answer with a model list and are not among `known`; ends within four seconds or so."""
    taken = {_local_port(upstream.address) for upstream in known if upstream.kind == "openai"}
    names = {upstream.name.lower() for upstream in known}
    asked = [place for place in places if place.port not in taken]
    found = await asyncio.gather(*(_ask(place, names) for place in asked))
    return [offer for offer in found if offer is not None]


async def _ask(place: Place, names: set[str]) -> Offer | None:
    base_url = f"http://127.0.0.1:{place.port}/v1"
    provider = OpenAIProvider(place.name, base_url=base_url, limits=_LIMITS)
    upstream = Upstream(place.name, "openai", base_url=base_url)
    try:
        async with asyncio.timeout(_WAIT_SEC):
            found = await discover(provider, upstream)
    except (ProviderError, TimeoutError):
        return None
    finally:
        await provider.aclose()
    # A list without an owner we know: the port is the better guess.
    engine = place.engine_type if found.engine_type == "unknown" else found.engine_type
    return Offer(_free(place.name, names), base_url, engine, tuple(model.name for model in found.models))


def _free(name: str, names: set[str]) -> str:
    return next(free for free in (name, *(f"{name}-{n}" for n in range(2, len(names) + 3))) if free not in names)


def _local_port(address: str) -> int | None:
    parts = urlsplit(address)
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme) if parts.hostname in _LOCAL else None
