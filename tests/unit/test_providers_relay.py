"""A program's own request through the provider: sent as it came, answered with all that came back."""

import asyncio
import contextlib

import pytest

from chatplay.errors import ContextOverflow, ParameterRefused, ProviderBadAnswer, ProviderError
from chatplay.models.polling import _is_servers_fault
from chatplay.params import Params
from chatplay.providers.base import Message, Relay, Request
from chatplay.providers.openai import OpenAIProvider
from tests import upstream as mock
from tests.unit.openai_provider_rig import NOTHING_SET

MESSAGES = ({"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "ana", "odd": {"kept": [1, None]}},)


def request(*, stream=True, params=NOTHING_SET, **extra):
    return Request(mock.MODEL, (Message("user", "Hi"),), params, stream, Relay(MESSAGES, extra))


def ask(upstream, *asked, key=None):
    """The chunks of the last of the requests, all put to one provider."""

    async def run():
        provider = OpenAIProvider("lab", base_url=upstream.base_url, api_key=key)
        try:
            for one in asked:
                async with contextlib.aclosing(provider.stream(one)) as found:
                    chunks = [chunk async for chunk in found]
            return chunks
        finally:
            await provider.aclose()

    return asyncio.run(run())


def stream_of(*deltas):
    pieces = [mock.Body(mock.event(mock.delta(**piece))) for piece in deltas]
    return mock.steps(mock.Head(), *pieces, mock.Body(mock.event(mock.delta(finish="stop"))))


def test_messages_and_extra_fields_are_sent_as_they_came(upstream):
    extra = {"tools": [{"odd": 1}], "response_format": {"type": "json_object"}, "top_k": 40, "user": "ana"}
    *_, last = ask(upstream, request(**extra))
    body = upstream.wait_for_request().body
    assert body["messages"] == list(MESSAGES)
    assert {name: body[name] for name in extra} == extra
    assert last.end.sent | {"tools": "(sent)", "user": "(sent)", "top_k": 40} == last.end.sent


def test_text_alone_is_handed_on_as_text(upstream):
    *chunks, last = ask(upstream, request())
    assert [(chunk.text, chunk.raw) for chunk in chunks] == [("Hello", None)]
    assert last.end.raw_usage == {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}


def test_what_holds_more_than_text_is_handed_on_whole(upstream):
    call = {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}
    upstream.script(stream_of({"reasoning_content": "Hm"}, call, {"text": "Hi"}))
    reasoning, calling, text, _ = ask(upstream, request())
    assert (reasoning.raw["delta"], reasoning.calls_tool) == ({"reasoning_content": "Hm"}, False)
    assert (calling.raw["delta"], calling.calls_tool, calling.text) == (call, True, "")
    assert (text.text, text.raw) == ("Hi", None)


def test_requests_of_pages_get_texts_only(upstream):
    upstream.script(stream_of({"reasoning_content": "Hm"}, {"text": "Hi"}))
    page = Request(mock.MODEL, (Message("user", "Hi"),), NOTHING_SET)
    assert {chunk.raw for chunk in ask(upstream, page)} == {None}


def test_refused_parameter_is_told_to_the_program_and_not_left_out(upstream):
    refusal = {
        "message": "Unsupported parameter: 'temperature'.",
        "param": "temperature",
        "code": "unsupported_parameter",
    }
    upstream.script(mock.refuse(400, refusal))
    with pytest.raises(ParameterRefused) as caught:
        ask(upstream, request(params=Params(temperature=0.5)))
    assert (caught.value.param, len(upstream.chats)) == ("temperature", 1)


def test_token_limit_gets_the_name_the_server_wants(upstream):
    upstream.script(
        mock.refuse(400, {"message": "Use 'max_completion_tokens' instead of 'max_tokens'.", "param": None})
    )
    ask(upstream, request(params=Params(max_tokens=9)))
    assert upstream.wait_for_request(2).body["max_completion_tokens"] == 9


@pytest.mark.parametrize("stream", [True, False])
def test_key_of_the_server_does_not_come_through_a_tool_call(upstream, stream):
    key = "sk-planted-0a1b2c3d4e5f"
    calls = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": f'{{"k": "{key}"}}'}}]
    whole = mock.whole("") | {
        "choices": [{"index": 0, "message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]
    }
    upstream.script(stream_of({"tool_calls": calls}) if stream else lambda request: mock.json_body(200, whole))
    found = ask(upstream, request(stream=stream), key=key)
    assert "arguments" in str(found)
    assert key not in str(found)


@pytest.mark.parametrize("stream", [True, False])
def test_text_that_ends_like_the_key_begins_comes_whole(upstream, stream):
    said = {"content": "this is correct", "reasoning_content": "it is correct"}
    whole = mock.whole("") | {"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
    pieces = [{"text": "this is correct"}, {"reasoning_content": "it is corr"}, {"reasoning_content": "ect"}]
    upstream.script(stream_of(*pieces) if stream else lambda request: mock.json_body(200, whole))
    *chunks, last = ask(upstream, request(stream=stream), key="correct-horse-battery")
    shown = [
        {"content": chunk.text} if chunk.raw is None else chunk.raw.get("delta") or chunk.raw["message"]
        for chunk in chunks
    ]
    assert "".join(chunk.text for chunk in chunks) == said["content"]
    assert {name: "".join(one.get(name, "") for one in shown) for name in said} == said
    assert (last.text, last.end.finish_reason) == ("", "stop")


@pytest.mark.parametrize(
    ("kind", "status", "counts"),
    [(ProviderBadAnswer, 400, False), (ProviderBadAnswer, 422, False), (ProviderBadAnswer, 500, True)],
)
def test_wrong_request_of_a_program_is_not_held_against_the_server(kind, status, counts):
    error: ProviderError = kind("It failed.", provider="lab", model="m", status=status)
    assert _is_servers_fault(error) is counts
    assert not _is_servers_fault(ContextOverflow("Too long.", provider="lab", model="m", status=400))
