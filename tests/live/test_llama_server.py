"""The OpenAI-compatible provider and the catalog against a real llama-server."""

import asyncio
import contextlib
import json
import time
import urllib.request

import pytest

from chatplay.errors import ContextOverflow
from chatplay.models.catalog import build_catalog
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.openai import Limits, OpenAIProvider
from chatplay.providers.registry import upstreams_from


def request(text="Hi", *, stream=True, **params):
    return Request("tiny", (Message("user", text),), Params(**{"max_tokens": 60, **params}), stream)


async def with_provider(server, use):
    provider = OpenAIProvider("local", base_url=server.base_url)
    try:
        return await use(provider)
    finally:
        await provider.aclose()


def ask(server, asked):
    """Texts and the End."""

    async def use(provider):
        return [chunk async for chunk in provider.stream(asked)]

    *chunks, last = asyncio.run(with_provider(server, use))
    return [chunk.text for chunk in chunks], last.end


def text(server, **settings):
    return "".join(ask(server, request(**settings))[0])


def slots(server):
    with urllib.request.urlopen(f"{server.root_url}/slots", timeout=5) as answer:
        return json.load(answer)


def wait_until_idle(server):
    """Return once nothing is generated; a full answer of 30,000 tokens would keep it busy several times as long."""
    deadline = time.monotonic() + 10
    while any(slot["is_processing"] for slot in slots(server)):
        assert time.monotonic() < deadline, "the server went on after the connection had closed"
        time.sleep(0.01)


def test_answer_streams_in_many_chunks_with_usage(llama_server):
    texts, end = ask(llama_server, request(temperature=0.0))
    assert len(texts) > 30
    assert "".join(texts).startswith(" the rain falls on")
    assert (end.usage.completion_tokens, end.model, end.usage.estimated) == (60, "tiny", False)
    assert end.usage.prompt_tokens > 0


def test_answer_not_streamed_is_the_same(llama_server):
    whole, end = ask(llama_server, request(temperature=0.0, stream=False))
    assert whole == [text(llama_server, temperature=0.0)]
    assert end.usage.completion_tokens == 60


def test_seed_repeats_and_another_seed_differs(llama_server):
    first = text(llama_server, seed=1, temperature=1.0)
    assert text(llama_server, seed=1, temperature=1.0) == first
    assert text(llama_server, seed=2, temperature=1.0) != first


def test_temperature_zero_repeats(llama_server):
    assert len({text(llama_server, temperature=0.0, seed=seed) for seed in range(3)}) == 1


def test_stop_text_ends_the_answer_before_it(llama_server):
    texts, end = ask(llama_server, request(temperature=0.0, stop=(" falls",)))
    assert ("".join(texts), end.finish_reason) == (" the rain", "stop")


def test_max_tokens_ends_with_length(llama_server):
    _, end = ask(llama_server, request(temperature=0.0, max_tokens=5))
    assert (end.finish_reason, end.usage.completion_tokens) == ("length", 5)


def test_prompt_too_long_is_a_context_overflow(llama_server):
    with pytest.raises(ContextOverflow, match="local"):
        ask(llama_server, request("x" * 40_000))


def test_closing_the_generator_stops_the_server(llama_server):
    async def use(provider):
        async with contextlib.aclosing(provider.stream(request(temperature=0.0, max_tokens=30_000))) as chunks:
            for _ in range(3):
                await anext(chunks)

    asyncio.run(with_provider(llama_server, use))
    wait_until_idle(llama_server)


def test_cancelled_task_stops_the_server(llama_server):
    async def use(provider):
        async def read():
            return [chunk async for chunk in provider.stream(request(max_tokens=30_000, temperature=0.0))]

        task = asyncio.create_task(read())
        while not any(slot["is_processing"] for slot in await asyncio.to_thread(slots, llama_server)):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(with_provider(llama_server, use))
    wait_until_idle(llama_server)


def test_four_answers_at_once_are_all_whole(llama_server):
    async def use(provider):
        async def one():
            return "".join([chunk.text async for chunk in provider.stream(request(temperature=0.0))])

        return await asyncio.gather(*(one() for _ in range(4)))

    assert len(set(asyncio.run(with_provider(llama_server, use)))) == 1


def test_catalog_finds_the_model_its_engine_and_its_window(llama_server):
    async def run():
        catalog = build_catalog(upstreams_from(use_openai=True, openai_base_url=llama_server.base_url), Limits())
        await catalog.refresh()
        await catalog.aclose()
        return catalog

    catalog = asyncio.run(run())
    info = catalog.default("analyst")
    assert (info.name, info.engine_type, info.context_tokens) == ("tiny", "llama.cpp", 32_768)
    assert catalog.problem("openai") is None
