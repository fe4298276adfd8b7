"""The OpenAI-compatible provider, asked once: the text that arrived, how it ended, what went wrong."""

import asyncio
import contextlib

from chatplay import errors
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.openai import Limits, OpenAIProvider
from tests import upstream as mock

NOTHING_SET = Params(temperature=None, max_tokens=None, top_p=None, presence_penalty=None, frequency_penalty=None)

# Short is only the limit that a test lets run out: a busy machine must not run out another.
QUICK_START = Limits(first_token_sec=0.2, whole_sec=0.2)
QUICK_SILENCE = Limits(silence_sec=0.4)


def request(model=mock.MODEL, *, stream=True, params=NOTHING_SET, text="Hi"):
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
