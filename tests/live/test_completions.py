"""The OpenAI-compatible routes with the official client in front and a real llama-server behind."""

import json
import time
import urllib.request

import openai
import pytest

from tests.api.openai_rig import rig, until
from tests.databases import embedded_url, fresh_database  # noqa: F401  (fixture)

ASKED = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}


@pytest.fixture(scope="module")
def house(embedded_url, llama_server):  # noqa: F811
    settings = {"openai_base_url": llama_server.base_url, "openai_chat_model": "tiny", "openai_allowed_models": ()}
    with fresh_database(embedded_url) as url, rig(url, **settings) as house:
        yield house


@pytest.fixture
def client(house):
    with house.client() as client:
        yield client


def test_stream_and_whole_answer_say_the_same(house, client):
    whole = client.chat.completions.create(**ASKED, max_tokens=40)
    chunks = list(
        client.chat.completions.create(**ASKED, max_tokens=40, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert whole.choices[0].message.content == text
    assert text.startswith(" the rain falls on")
    assert (whole.usage.completion_tokens, chunks[-1].usage.completion_tokens) == (40, 40)
    assert (whole.choices[0].finish_reason, chunks[-2].choices[0].finish_reason) == ("length", "length")
    assert house.usage_row()["completion_tokens"] == 40


def test_fields_beside_the_messages_act_on_the_answer(client):
    found = client.chat.completions.create(**ASKED, max_tokens=3, logprobs=True, top_logprobs=2).choices[0]
    assert len(found.logprobs.content) == 3
    assert len(found.logprobs.content[0].top_logprobs) == 2


def test_streamed_logprobs_belong_to_their_pieces(client):
    chunks = list(client.chat.completions.create(**ASKED, max_tokens=5, logprobs=True, stream=True))
    pieces = [chunk.choices[0] for chunk in chunks if chunk.choices[0].logprobs]
    assert "".join(piece.delta.content for piece in pieces) == "".join(
        token.token for piece in pieces for token in piece.logprobs.content
    )


def test_developer_and_parts_are_understood(client):
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    ]
    found = client.chat.completions.create(**ASKED | {"messages": messages}, max_completion_tokens=4)
    assert found.usage.completion_tokens == 4


def test_prompt_too_long_is_a_context_overflow(client):
    messages = [{"role": "user", "content": "x" * 40_000}]
    with pytest.raises(openai.BadRequestError, match="maximum context length") as caught:
        client.chat.completions.create(**ASKED | {"messages": messages})
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("stream", [True, False])
def test_client_that_leaves_stops_the_server(house, llama_server, stream):
    with house.client(timeout=1.0) as client:
        if stream:
            with client.chat.completions.create(**ASKED, max_tokens=30_000, stream=True) as pieces:
                next(pieces)
        else:
            with pytest.raises(openai.APITimeoutError):
                client.chat.completions.create(**ASKED, max_tokens=30_000)
    left_at = time.monotonic()
    until(lambda: not any(slot["is_processing"] for slot in slots(llama_server)))
    assert time.monotonic() - left_at < 10
    assert house.usage_row()["status"] == "stopped"


def slots(server):
    with urllib.request.urlopen(f"{server.root_url}/slots", timeout=5) as found:
        return json.load(found)
