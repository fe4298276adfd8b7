"""Asks a server what it is and what its models can take: each engine says it in a place of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from chatplay.providers.openai import ListedModel, OpenAIProvider
from chatplay.providers.registry import EngineType, Upstream

_MOST_MODELS = 500  # of a list; nobody chooses from more, and all of them are stored
_ASKED_AT_ONCE = 8


@dataclass(frozen=True)
class Discovery:
    """What an upstream said of itself."""

    engine_type: EngineType
    models: tuple[ListedModel, ...]


async def discover(provider: OpenAIProvider, upstream: Upstream, known: Iterable[ListedModel] = ()) -> Discovery:
    """Its engine and models. `known` from last time is not asked for again where the engine has a question for each.

    Raises ProviderError when there is no readable model list.
    """
    models = _most_wanted(await provider.list_models(), upstream)
    engine = upstream.engine_type or detect_engine(provider.base_url, models)
    if engine == "openai":
        return Discovery(engine, tuple(_from_table(model) for model in models if chats(model.name)))
    if engine == "llama.cpp":
        return Discovery(engine, await _llama_server(provider, models))
    if engine == "ollama":
        return Discovery(engine, await _ollama(provider, models, {model.name: model for model in known}))
    if engine == "lm-studio":
        return Discovery(engine, await _lm_studio(provider, models))
    return Discovery(engine, models)


def _most_wanted(listed: tuple[ListedModel, ...], upstream: Upstream) -> tuple[ListedModel, ...]:
    """What may be chosen comes first where a list has to be cut."""
    if len(listed) <= _MOST_MODELS:
        return listed
    wanted = {*upstream.allowed_models, upstream.default_model}
    return tuple(sorted(listed, key=lambda model: model.name not in wanted))[:_MOST_MODELS]


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


async def _llama_server(provider: OpenAIProvider, models: tuple[ListedModel, ...]) -> tuple[ListedModel, ...]:
    """Its list has the window a model was trained with; the one it runs with stands in /props."""
    settings = (await provider.find_object("props")).get("default_generation_settings")
    size = _size(settings.get("n_ctx")) if isinstance(settings, Mapping) else None
    return tuple(replace(model, context_tokens=size or model.context_tokens) for model in models)


async def _lm_studio(provider: OpenAIProvider, models: tuple[ListedModel, ...]) -> tuple[ListedModel, ...]:
    rows = (await provider.find_object("api/v0/models")).get("data")
    said = {row.get("id"): row for row in rows if isinstance(row, Mapping)} if isinstance(rows, list) else {}
    found = []
    for model in models:
        row = said.get(model.name, {})
        if row.get("type") in ("embeddings", "embedding"):
            continue
        running, most = _size(row.get("loaded_context_length")), _size(row.get("max_context_length"))
        found.append(replace(model, context_tokens=running or model.context_tokens, max_context_tokens=most))
    return tuple(found)


async def _ollama(
    provider: OpenAIProvider, models: tuple[ListedModel, ...], known: Mapping[str, ListedModel]
) -> tuple[ListedModel, ...]:
    """The window a model was made for, and the one it runs with where the model or a loaded one says so: Ollama
    cuts a longer prompt without a word.
    """
    gate = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def ask(model: ListedModel) -> ListedModel:
        if model.name in known and known[model.name].max_context_tokens:
            return replace(known[model.name], owned_by=model.owned_by)
        async with gate:
            return _shown(model, await provider.find_object("api/show", {"model": model.name}))

    shown = await asyncio.gather(*(ask(model) for model in models))
    rows = (await provider.find_object("api/ps")).get("models")
    loaded = {row.get("name"): _size(row.get("context_length")) for row in rows or () if isinstance(row, Mapping)}
    return tuple(replace(model, context_tokens=loaded.get(model.name) or model.context_tokens) for model in shown)


_NUM_CTX = re.compile(r"^[ \t]*num_ctx[ \t]+(\d{1,9})[ \t\r]*$", re.MULTILINE)


def _shown(model: ListedModel, said: Mapping[str, object]) -> ListedModel:
    info, parameters = said.get("model_info"), said.get("parameters")
    most = None
    if isinstance(info, Mapping):
        most = next((_size(value) for name, value in info.items() if str(name).endswith(".context_length")), None)
    chosen = _NUM_CTX.search(parameters) if isinstance(parameters, str) else None
    return replace(model, context_tokens=_size(int(chosen[1])) if chosen else None, max_context_tokens=most)


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None


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


def openai_window(name: str) -> int | None:
    """The window of one of OpenAI's own models, in tokens."""
    return next((size for pattern, size in _OPENAI_WINDOWS if pattern.match(name)), None)


def _from_table(model: ListedModel) -> ListedModel:
    return replace(model, context_tokens=model.context_tokens or openai_window(model.name))


def chats(name: str) -> bool:
    """OpenAI lists speech, image and embedding models beside the ones that answer chat completions."""
    return name.startswith("ft:") or (_CHATS.match(name) is not None and _CHATS_NOT.search(name) is None)
