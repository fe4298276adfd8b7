"""The Echo provider: the same answer every time, paced as asked, held to max tokens and stop."""

import asyncio

import pytest

from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.echo import EchoProvider


def answer(text, *, stream=True, **params):
    """Texts, End and the pauses taken."""
    pauses = []

    async def sleep(sec):
        pauses.append(sec)

    async def run():
        provider = EchoProvider(tokens_per_sec=10, first_token_sec=0.5, sleep=sleep)
        asked = Request("echo", (Message("user", text),), Params(**params), stream)
        return [chunk async for chunk in provider.stream(asked)]

    *chunks, last = asyncio.run(run())
    return [chunk.text for chunk in chunks], last.end, pauses


def test_echo_repeats_the_last_message_word_by_word():
    texts, end, _ = answer("one  two\nthree")
    assert texts == ["You", " said:", " one", "  two", "\nthree"]
    assert (end.finish_reason, end.usage.prompt_tokens, end.usage.completion_tokens) == ("stop", 3, 5)


def test_echo_waits_for_the_first_word_and_between_words():
    assert answer("a b")[2] == [0.5, 0.1, 0.1, 0.1]


def test_echo_ends_at_max_tokens_with_reason_length():
    texts, end, _ = answer("a b c", max_tokens=3)
    assert ("".join(texts), end.finish_reason) == ("You said: a", "length")


def test_echo_ends_before_the_first_stop_text():
    texts, end, _ = answer("a b c b", stop=("c", "b"))
    assert ("".join(texts), end.finish_reason) == ("You said: a ", "stop")


@pytest.mark.parametrize("text", ["a b", "", "日本"])
def test_echo_not_streamed_is_one_chunk(text):
    streamed, whole = answer(text)[0], answer(text, stream=False)[0]
    assert whole == ["".join(streamed)]


def test_first_words_of_echo_tell_already_what_was_sent():
    async def collect():
        asked = Request("echo", (Message("user", "Hi"),), Params(), True)
        return [
            chunk
            async for chunk in EchoProvider(sleep=asyncio.sleep, first_token_sec=0, tokens_per_sec=0).stream(asked)
        ]

    first, *_, last = asyncio.run(collect())
    assert first.opening.fingerprint == last.end.fingerprint
