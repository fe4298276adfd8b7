"""The fingerprint of a request: equal exactly when the same thing is asked."""

import asyncio
from dataclasses import replace

import pytest

from chatplay.fingerprint import body_of, differences, fingerprint, fingerprint_of
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.demo import DemoProvider
from chatplay.providers.echo import EchoProvider
from chatplay.providers.openai import OpenAIProvider
from tests import upstream as mock

REQUEST = Request("m", (Message("system", "Be brief."), Message("user", "Hi")), Params(temperature=1.0, seed=7))


def wire(**changes):
    """The body as a server gets it."""
    messages = [{"content": "Be brief.", "role": "system"}, {"role": "user", "content": "Hi"}]
    body = {
        "seed": 7,
        "stream": True,
        "messages": messages,
        "model": "m",
        "temperature": 1,
        "max_tokens": 512,
        "top_p": 1,
    }
    return body | changes


def test_body_on_the_wire_has_the_fingerprint_of_its_request():
    assert fingerprint(wire(stream_options={"include_usage": True})) == fingerprint_of(REQUEST)


def test_name_of_the_token_limit_does_not_count():
    renamed = wire(max_completion_tokens=512)
    del renamed["max_tokens"]
    assert fingerprint(renamed) == fingerprint_of(REQUEST)


@pytest.mark.parametrize(
    "changed", [{"temperature": 0.9}, {"model": "n"}, {"messages": wire()["messages"][:1]}, {"seed": None}, {"n": 2}]
)
def test_anything_else_that_acts_changes_it(changed):
    assert fingerprint(wire(**changed)) != fingerprint_of(REQUEST)
    assert differences(body_of(REQUEST), wire(**changed)) == tuple(changed)


def test_parameter_that_was_left_out_can_be_allowed_for():
    body = wire()
    del body["seed"]
    assert fingerprint(body) == fingerprint_of(REQUEST, without=("seed",)) != fingerprint_of(REQUEST)


def test_penalty_of_zero_is_as_good_as_none():
    quiet = replace(REQUEST, params=replace(REQUEST.params, presence_penalty=None))
    assert fingerprint_of(quiet) == fingerprint_of(REQUEST)


async def end_of(provider, request):
    async for chunk in provider.stream(request):
        end = chunk.end
    return end


async def no_pause(_seconds):
    return None


@pytest.mark.parametrize("provider", [EchoProvider(sleep=no_pause), DemoProvider(sleep=no_pause)], ids=["echo", "demo"])
def test_own_providers_report_the_request_they_got(provider):
    request = replace(REQUEST, model="demo-small", params=replace(REQUEST.params, max_tokens=5))
    assert asyncio.run(end_of(provider, request)).fingerprint == fingerprint_of(request)


@pytest.fixture
def server():
    with mock.Upstream(default=mock.answer("Hello")) as server:
        yield server


def asked(server, request):
    async def run():
        provider = OpenAIProvider("lab", base_url=server.base_url)
        try:
            return await end_of(provider, request)
        finally:
            await provider.aclose()

    return asyncio.run(run())


def test_server_got_just_what_the_fingerprint_says(server):
    end = asked(server, REQUEST)
    assert end.fingerprint == fingerprint(server.chats[-1].body) == fingerprint_of(REQUEST)


def test_fingerprint_after_a_refused_parameter_is_of_the_request_without_it(server):
    server.script(mock.refuse(400, {"message": "`seed` is not allowed for this model"}))
    end = asked(server, REQUEST)
    assert end.ignored_params == ("seed",)
    assert end.fingerprint == fingerprint(server.chats[-1].body) == fingerprint_of(REQUEST, without=("seed",))
