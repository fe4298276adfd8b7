"""Asks a model's own server how many tokens a prompt is, where the server can say: llama-server and vLLM."""

from __future__ import annotations

from collections.abc import Sequence

from chatplay.providers.base import Message
from chatplay.providers.openai import OpenAIProvider
from chatplay.providers.openai_answer import storable
from chatplay.providers.registry import EngineType

COUNTING_ENGINES: tuple[EngineType, ...] = ("llama.cpp", "vllm")


async def count_prompt(
    provider: OpenAIProvider, engine: EngineType, model: str, messages: Sequence[Message]
) -> int | None:
    """Tokens of the whole prompt with the model's chat template; None when the server does not say."""
    said = [{"role": message.role, "content": storable(message.content)} for message in messages]
    if engine == "vllm":
        body = {"model": model, "messages": said, "add_generation_prompt": True}
        return _whole_number((await provider.find_object("tokenize", body)).get("count"))
    prompt = (await provider.find_object("apply-template", {"messages": said})).get("prompt")
    if not isinstance(prompt, str):
        return None
    asked = {"content": prompt, "add_special": True, "parse_special": True}
    tokens = (await provider.find_object("tokenize", asked)).get("tokens")
    return len(tokens) if isinstance(tokens, list) else None


def _whole_number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
