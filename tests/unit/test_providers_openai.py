"""The OpenAI-compatible provider against a scriptable upstream: answers, faults, closing, keys."""

import asyncio
import contextlib

import pytest

from chatplay import errors
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.openai import Limits, OpenAIProvider
from tests import upstream as mock

PLAIN = Params(temperature=None, max_tokens=None, top_p=None, presence_penalty=None, frequency_penalty=None)


@pytest.fixture
def upstream():
    with mock.Upstream() as server:
        yield server


def request(model=mock.MODEL, *, stream=True, params=PLAIN, text="Hi"):
    return Request(model, (Message("user", text),), params, stream)


async def collect(provider, asked):
    """The text that arrived, the End if one came, and the error if one was raised."""
    text, end, error = "", None, None
    try:
        async with contextlib.aclosing(provider.stream(asked)) as chunks:
            async for chunk in chunks:
                text, end = text + chunk.text, chunk.end
    except errors.ProviderError as caught:
        error = caught
    return text, end, error


def ask(upstream, asked=None, *, base_url=None, key=None, limits=None):
    async def run():
        provider = OpenAIProvider("lab", base_url=base_url or upstream.base_url, api_key=key, limits=limits)
        try:
            return await collect(provider, asked or request())
        finally:
            await provider.aclose()

    return asyncio.run(run())


QUICK = Limits(connect_sec=1, first_token_sec=0.2, silence_sec=0.2, whole_sec=0.5)


def test_answer_streamed_comes_in_order_with_usage_and_reason(upstream):
    upstream.script(mock.answer("Hel", "lo", " you"))
    text, end, error = ask(upstream)
    assert (text, error) == ("Hello you", None)
    assert (end.finish_reason, end.usage.prompt_tokens, end.usage.completion_tokens) == ("stop", 3, 3)
    assert (end.model, end.request_id, end.system_fingerprint) == (mock.MODEL, "req_mock", "fp_mock")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("split-utf8", "naïve 日本語 👩‍👩‍👧 ü"),
        ("usage-in-finish", "Hello there"),
        ("usage-missing", "Hello there"),
        ("length", "Hello there"),
    ],
)
def test_answer_in_any_packaging_is_read_whole(upstream, script, expected):
    text, _, error = ask(upstream, request(script))
    assert (text, error) == (expected, None)


def test_usage_in_finish_chunk_is_taken_and_missing_stays_none(upstream):
    assert ask(upstream, request("usage-in-finish"))[1].usage.completion_tokens == 2
    assert ask(upstream, request("usage-missing"))[1].usage is None


def test_answer_not_streamed_is_one_chunk_and_the_end(upstream):
    upstream.script(mock.answer("Hel", "lo"))
    text, end, _ = ask(upstream, request(stream=False))
    assert (text, end.finish_reason, end.usage.completion_tokens) == ("Hello", "stop", 2)


def test_server_that_ignores_stream_is_understood(upstream):
    upstream.script(mock.payload(200, mock.whole("All at once")))
    assert ask(upstream)[0] == "All at once"


FAULTS = [
    ("unauthorized", errors.ProviderAuthFailed, ""),
    ("forbidden", errors.ProviderAuthFailed, ""),
    ("no-model", errors.ModelUnknown, ""),
    ("rate-limited", errors.RateLimited, ""),
    ("overflow", errors.ContextOverflow, ""),
    ("bad-parameter", errors.ParameterRefused, ""),
    ("server-error", errors.ProviderBadAnswer, ""),
    ("overloaded", errors.ProviderBadAnswer, ""),
    ("html", errors.ProviderBadAnswer, ""),
    ("html-error", errors.ProviderBadAnswer, ""),
    ("redirect", errors.ProviderBadAnswer, ""),
    ("refuse-stream", errors.StreamingUnsupported, ""),
    ("hang-before-headers", errors.ProviderSilent, ""),
    ("hang-before-text", errors.ProviderSilent, ""),
    ("hang-mid-stream", errors.ProviderSilent, "Hello there"),
    ("reset-mid-stream", errors.StreamCut, "Hello there"),
    ("cut-mid-stream", errors.StreamCut, "Hello there"),
    ("end-without-done", errors.StreamCut, "Hello there"),
    ("error-mid-stream", errors.StreamCut, "Hello there"),
    ("garbage", errors.ProviderBadAnswer, "Hello there"),
]


@pytest.mark.parametrize(("script", "kind", "kept"), FAULTS)
def test_fault_becomes_its_error_and_arrived_text_is_kept(upstream, script, kind, kept):
    text, end, error = ask(upstream, request(script), key="sk-secret123456", limits=QUICK)
    assert (type(error), text, end) == (kind, kept, None)
    assert (error.provider, error.model) == ("lab", script)
    assert "lab" in error.message
    assert script in error.message
    assert error.cure
    assert "sk-secret" not in str(error)
    assert "<html" not in str(error)
