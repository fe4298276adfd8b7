"""Token estimates against llama-server's own count, on texts they have not seen."""

import asyncio

import pytest

from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.openai import OpenAIProvider
from chatplay.providers.token_count import count_prompt
from chatplay.tokens.estimate import Calibration, estimate, shape_of
from tests.live import samples
from tests.live.counting_gguf import CHECKED, TAUGHT


def count(server, texts):
    """Tokens of each text as a prompt of its own, as the server's tokenizer says."""

    async def ask():
        provider = OpenAIProvider("local", base_url=server.base_url)
        try:
            return [await count_prompt(provider, "llama.cpp", "tiny", [Message("user", text)]) for text in texts]
        finally:
            await provider.aclose()

    return asyncio.run(ask())


def reported(server, text):
    """The prompt tokens in the usage of an answer."""

    async def ask():
        provider = OpenAIProvider("local", base_url=server.base_url)
        request = Request("tiny", (Message("user", text),), Params(max_tokens=1))
        try:
            return [chunk async for chunk in provider.stream(request)][-1].end.usage.prompt_tokens
        finally:
            await provider.aclose()

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def calibration(counting_server):
    """What twenty answers taught."""
    known = Calibration()
    for place in TAUGHT:
        for kind in samples.KINDS:
            text = samples.texts(kind)[place]
            known = known.learn(shape_of(text), reported(counting_server, text))
    return known


@pytest.mark.parametrize("kind", samples.KINDS)
def test_estimate_after_twenty_answers_is_within_a_tenth_of_the_server(counting_server, calibration, kind):
    texts = [samples.texts(kind)[place] for place in CHECKED]
    estimated = sum(estimate(shape_of(text), calibration.weights()) for text in texts)
    assert estimated == pytest.approx(sum(count(counting_server, texts)), rel=0.1)


def test_server_counts_what_its_answers_report(counting_server):
    text = samples.GERMAN[0]
    assert count(counting_server, [text]) == [reported(counting_server, text)]


def test_vocabulary_tells_the_kinds_of_text_apart(counting_server):
    """Else the tests above would show nothing."""
    chars = {kind: sum(map(len, samples.texts(kind))) for kind in samples.KINDS}
    share = {kind: chars[kind] / sum(count(counting_server, samples.texts(kind))) for kind in samples.KINDS}
    assert share["english"] > 1.1 * share["german"] > 1.1 * share["chinese"]
    assert share["code"] > 1.2 * share["json"]
