"""What programs written for OpenAI meet here, asked with the official client."""

import asyncio
import json
import socket
import threading
from urllib.parse import urlsplit

import httpx2
import openai
import pytest

from chatplay.errors import StoreUnavailable
from chatplay.providers.registry import ModelSettings
from chatplay.providers.registry import Upstream as Server
from tests.api.openai_rig import MODEL, rig, until
from tests.databases import fresh_database
from tests.upstream import (
    Body,
    Gate,
    Hang,
    Head,
    Upstream,
    answer,
    delta,
    event,
    json_body,
    raw,
    refuse,
    steps,
    usage_chunk,
    whole,
    words,
)

ASKED = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module")
def shared_house(embedded_url):
    with fresh_database(embedded_url) as url, rig(url, silence_timeout_sec=2, first_token_timeout_sec=2) as house:
        yield house


@pytest.fixture
def house(shared_house):
    shared_house.upstream.requests.clear()
    shared_house.runtime.catalog.set_health({})
    return shared_house


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def raw_stream(house, **more):
    """Lines of the event stream as they are."""
    with httpx2.stream(
        "POST",
        f"{house.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {house.token}"},
        json=ASKED | {"stream": True} | more,
        timeout=20,
    ) as response:
        return response.headers, [line for line in response.iter_lines() if line]


# ---- answers ----


def test_whole_answer_has_text_usage_and_reason(house):
    house.upstream.script(answer("Hello", " there", finish="length"))
    found = house.ask()
    choice = found.choices[0]
    assert (choice.message.content, choice.message.role, choice.finish_reason) == ("Hello there", "assistant", "length")
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens) == (3, 2, 5)
    assert (found.object, found.model, found.system_fingerprint) == ("chat.completion", MODEL, "fp_mock")
    assert found.id.startswith("chatcmpl-")


@pytest.mark.parametrize(("extra", "stream"), [({}, True), ({"tools": []}, False), ({"logprobs": True}, False)])
def test_whole_text_is_gathered_from_a_stream_that_can_be_stopped(house, extra, stream):
    house.upstream.script(answer("Hello", " there"))
    assert house.ask(**extra).choices[0].message.content == "Hello there"
    assert house.sent()["stream"] is stream
    assert (house.usage_row()["ttft_ms"] is not None, house.usage_row()["fallback_reason"]) == (True, None)


def test_whole_answer_has_the_reasoning_that_came_in_pieces(house):
    pieces = [delta(reasoning_content="Hm, "), delta(reasoning_content="yes."), delta("Hi"), delta(finish="stop")]
    house.upstream.script(steps(Head(), *(Body(event(piece)) for piece in pieces)))
    message = house.ask().choices[0].message
    assert (message.content, message.reasoning_content) == ("Hi", "Hm, yes.")


def test_streamed_answer_comes_piece_by_piece_without_usage_unless_asked(house):
    house.upstream.script(answer("Hel", "lo", " thére"))
    chunks = house.ask(stream=True)
    assert text_of(chunks) == "Hello thére"
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "Hel", "lo", " thére", None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, None, "stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.usage for chunk in chunks} == {None}
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


def test_usage_comes_in_a_chunk_of_its_own_when_asked_for(house):
    house.upstream.script(answer("Hello", " there"))
    *chunks, last = house.ask(stream=True, stream_options={"include_usage": True})
    assert (last.choices, last.usage.completion_tokens) == ([], 2)
    assert {chunk.usage for chunk in chunks} == {None}


def test_usage_is_passed_on_with_what_only_the_server_knows(house):
    details = {"completion_tokens_details": {"reasoning_tokens": 7}, "prompt_tokens_details": {"cached_tokens": 1}}
    body = whole("Hi") | {"usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12} | details}
    house.upstream.script(lambda request: json_body(200, body))
    usage = house.ask().usage
    assert (usage.completion_tokens_details.reasoning_tokens, usage.prompt_tokens_details.cached_tokens) == (7, 1)


def test_usage_that_nobody_reported_is_counted_and_marked(house):
    house.upstream.script(answer("Hello", usage_in=None))
    last = house.ask(stream=True, stream_options={"include_usage": True})[-1]
    assert last.usage.completion_tokens > 0
    assert last.usage.estimated is True


def test_stream_ends_with_done_in_plain_sight(house):
    house.upstream.script(answer("Hello"))
    headers, lines = raw_stream(house)
    assert headers["content-type"].startswith("text/event-stream")
    assert (lines[-1], headers["cache-control"]) == ("data: [DONE]", "no-store")
    assert all(line.startswith("data: ") for line in lines)


def test_first_piece_does_not_wait_for_the_second(house):
    gate = threading.Event()
    house.upstream.script(steps(Head(), Body(event(delta("Hel"))), Gate(gate), Body(event(delta("lo", finish="stop")))))
    with house.client() as client:
        stream = client.chat.completions.create(**ASKED, stream=True)
        assert text_of([next(stream), next(stream)]) == "Hel"
        gate.set()
        assert text_of(stream) == "lo"


def test_async_client_reads_many_streams_at_once(house):
    house.upstream.script(*(words(30) for _ in range(8)))

    async def one(client):
        stream = await client.chat.completions.create(**ASKED, stream=True)
        return text_of([chunk async for chunk in stream])

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.token, max_retries=0) as client:
            return await asyncio.gather(*(one(client) for _ in range(8)))

    assert asyncio.run(all_of_them()) == ["".join(f"w{number} " for number in range(30))] * 8


def test_echo_answers_both_ways(house):
    assert house.ask("Good day", model="echo").choices[0].message.content == "You said: Good day"
    chunks = house.ask("Good day", model="echo", stream=True, stream_options={"include_usage": True})
    assert (text_of(chunks), chunks[-1].usage.completion_tokens) == ("You said: Good day", 4)


def test_server_that_will_not_stream_is_asked_whole(house):
    chunks = house.ask(model="refuse-stream", stream=True)
    assert (text_of(chunks), chunks[-1].choices[0].finish_reason) == ("Whole answer.", "stop")


# ---- what is passed on ----

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CONVERSATION = [
    {"role": "developer", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:,"}}],
    },
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "22 degrees"},
]


def test_messages_and_fields_reach_the_server_as_they_came(house):
    extra = {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        "logprobs": True,
        "top_logprobs": 3,
        "user": "somebody",
    }
    house.upstream.script(answer("ok"))
    house.ask(messages=CONVERSATION, **extra)
    assert house.sent()["messages"] == CONVERSATION
    assert {name: house.sent()[name] for name in extra} == extra


def test_nothing_is_set_that_was_not_asked_for(house):
    house.upstream.script(answer("ok"))
    house.ask()
    assert set(house.sent()) == {"model", "messages", "stream", "stream_options"}


def test_parameters_reach_the_server_and_wider_than_the_sliders(house):
    house.upstream.script(answer("ok"))
    given = {"temperature": 1.7, "max_tokens": 5, "top_p": 0.5, "seed": -3, "stop": ["x"], "presence_penalty": -1.5}
    house.ask(**given)
    assert {name: house.sent()[name] for name in given} == given


def test_newer_name_of_max_tokens_is_taken(house):
    house.upstream.script(answer("ok"))
    house.ask(max_completion_tokens=4000)
    assert house.sent()["max_tokens"] == 4000


CALLS = [
    {
        "tool_calls": [
            {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        ]
    },
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Mün'}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": 'chen \\u00fc"}'}}]},
    {"tool_calls": [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "time", "arguments": "{}"}}]},
]


def tool_call_script(request):
    yield Head()
    for piece in CALLS:
        yield Body(event(delta(**piece)))
    yield Body(event(delta(finish="tool_calls")))
    yield Body(event(usage_chunk(3, 9)))


def test_tool_call_deltas_arrive_unchanged(house):
    house.upstream.script(tool_call_script)
    _, lines = raw_stream(house, tools=[TOOL])
    choices = [json.loads(line[6:])["choices"][0] for line in lines[:-1]]
    assert [choice["delta"] for choice in choices[1:-1]] == CALLS
    assert choices[-1]["finish_reason"] == "tool_calls"


def test_call_of_tools_alone_is_timed_and_counted(house):
    house.upstream.script(tool_call_script)
    house.ask(stream=True, tools=[TOOL])
    row = house.usage_row()
    assert (row["finish_reason"], row["completion_tokens"], row["sent"]["tools"]) == ("tool_calls", 9, "(sent)")
    assert row["ttft_ms"] > 0


def test_tool_round_trip_of_the_official_client(house):
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
    asking = whole("") | {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "tool_calls": [call]},
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ]
    }
    house.upstream.script(lambda request: json_body(200, asking), answer("22 degrees"))
    with house.client() as client:
        first = client.chat.completions.create(**ASKED, tools=[TOOL]).choices[0]
        reply = {"role": "tool", "tool_call_id": first.message.tool_calls[0].id, "content": "22"}
        messages = [*ASKED["messages"], first.message, reply]
        second = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    assert (first.finish_reason, first.message.content) == ("tool_calls", None)
    assert first.message.tool_calls[0].function.arguments == '{"city":"Ulm"}'
    assert house.sent(2)["messages"][1]["tool_calls"] == [call]
    assert second.choices[0].message.content == "22 degrees"


def test_logprobs_and_reasoning_come_through(house):
    probabilities = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}]}
    piece = delta("Hi") | {"choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": probabilities}]}
    house.upstream.script(
        steps(
            Head(), Body(event(delta(reasoning_content="Hm."))), Body(event(piece)), Body(event(delta(finish="stop")))
        )
    )
    chunks = house.ask(stream=True, logprobs=True)
    assert text_of(chunks) == "Hi"
    assert chunks[1].choices[0].delta.reasoning_content == "Hm."
    assert chunks[2].choices[0].logprobs.content[0].logprob == -0.1


# ---- the usage log ----


def test_call_has_its_usage_row_and_no_kept_answer(house):
    house.upstream.script(answer("Hello", " there"))
    found = house.ask(stream=True, temperature=0.3)
    row = house.usage_row()
    assert found[0].id == f"chatcmpl-{row['generation_id'].hex}"
    assert (row["source"], row["status"], row["user_id"], row["model"]) == (
        *("completions", "complete", house.person.id),
        MODEL,
    )
    assert (row["prompt_tokens"], row["completion_tokens"], row["params"]["temperature"]) == (3, 2, 0.3)
    assert row["ttft_ms"] is not None
    assert "messages" not in row["sent"]


def test_failed_call_has_its_usage_row(house):
    house.upstream.script(refuse(500))
    with pytest.raises(openai.InternalServerError):
        house.ask()
    row = house.usage_row()
    assert (row["status"], row["error_class"]) == ("failed", "provider_bad_answer")


# ---- hanging up ----


@pytest.mark.parametrize("script", [raw(then=(Hang(),)), steps(Hang()), steps(Head(), Hang())])
def test_client_that_leaves_ends_the_call_upstream(house, script):
    house.upstream.script(script)
    body = json.dumps(ASKED | {"stream": True})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {house.token}\r\n"
    address = urlsplit(house.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        record = house.upstream.wait_for_request()
    house.upstream.wait_until(lambda: record.disconnected_at is not None)
    assert house.usage_row()["status"] == "stopped"


def test_official_client_cancels_mid_stream(house):
    house.upstream.script(raw(then=(Hang(),)))
    with house.client() as client, client.chat.completions.create(**ASKED, stream=True) as stream:
        assert text_of([next(stream), next(stream)]) == "Hello"
    record = house.upstream.wait_for_request()
    house.upstream.wait_until(lambda: record.disconnected_at is not None)
    row = house.usage_row()
    assert (row["status"], row["completion_tokens"] > 0) == ("stopped", True)


def test_client_that_gives_up_on_a_whole_answer_ends_the_call_upstream(house):
    house.upstream.script(steps(Hang()))
    with house.client(timeout=0.5) as client, pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**ASKED)
    record = house.upstream.wait_for_request()
    house.upstream.wait_until(lambda: record.disconnected_at is not None)
    assert house.usage_row()["status"] == "stopped"


# ---- failures ----


@pytest.mark.parametrize(
    ("model", "kind", "code", "param"),
    [
        ("unauthorized", openai.InternalServerError, "upstream_auth_failed", None),
        ("rate-limited", openai.RateLimitError, "rate_limit_exceeded", None),
        ("overflow", openai.BadRequestError, "context_length_exceeded", "messages"),
        ("bad-parameter", openai.BadRequestError, "unsupported_value", "temperature"),
        ("no-model", openai.NotFoundError, "model_not_found", "model"),
        ("server-error", openai.InternalServerError, "upstream_bad_answer", None),
        ("html", openai.InternalServerError, "upstream_bad_answer", None),
        ("hang-before-text", openai.InternalServerError, "upstream_timeout", None),
    ],
)
def test_upstream_failure_is_an_error_as_openai_words_it(house, model, kind, code, param):
    with pytest.raises(kind) as caught:
        house.ask(model=model, stream=True)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.body["message"]
    assert "sk-" not in str(caught.value)


def test_unreachable_upstream_is_a_bad_gateway(house):
    gone = Server("gone", "openai", base_url="http://127.0.0.1:9/v1", allowed_models=("away",))
    catalog = house.runtime.catalog
    catalog.set_upstreams((*catalog.upstreams, gone))
    with pytest.raises(openai.APIStatusError) as caught:
        house.ask(model="gone/away")
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_unreachable")


def test_request_the_server_finds_wrong_is_a_bad_request_and_asked_once(house):
    said = {"message": "Invalid schema for function 'weather'", "param": "tools[0].function.parameters", "code": None}
    house.upstream.script(refuse(400, said))
    with pytest.raises(openai.BadRequestError, match="Invalid schema") as caught:
        house.ask(stream=True, tools=[TOOL])
    assert caught.value.param == "tools[0].function.parameters"
    assert len(house.upstream.chats) == 1


def test_rate_limit_says_how_long_to_wait(house):
    with pytest.raises(openai.RateLimitError) as caught:
        house.ask(model="rate-limited")
    assert caught.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    "model", ["reset-mid-stream", "cut-mid-stream", "error-mid-stream", "garbage", "hang-mid-stream"]
)
def test_stream_that_fails_later_ends_with_an_error_and_no_done(house, model):
    _, lines = raw_stream(house, model=model)
    assert lines[-2:-1] == ["event: error"]
    assert json.loads(lines[-1][6:])["error"]["type"] == "server_error"
    with house.client() as client, pytest.raises(openai.APIError, match=r"."):
        list(client.chat.completions.create(**ASKED | {"model": model}, stream=True))


def test_official_client_tries_again_by_itself_and_succeeds(house):
    house.upstream.script(refuse(500), refuse(503), answer("third time"))
    with house.client(max_retries=2) as client:
        found = client.chat.completions.create(**ASKED)
    assert found.choices[0].message.content == "third time"
    assert len(house.upstream.chats) == 3


def test_official_client_does_not_repeat_what_cannot_help(house):
    with house.client(max_retries=2) as client, pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**ASKED | {"model": "unauthorized"})
    assert len(house.upstream.chats) == 1


def test_server_that_is_left_alone_is_service_unavailable(house, monkeypatch):
    from chatplay.errors import ProviderUnreachable

    def open_breaker(info):
        raise ProviderUnreachable("Left alone.", provider="openai", model=info.name, retry_after_sec=12.2)

    monkeypatch.setattr(house.runtime.catalog, "check_open", open_breaker)
    with pytest.raises(openai.InternalServerError) as caught:
        house.ask()
    response = caught.value.response
    assert (response.status_code, response.headers["retry-after"], caught.value.code) == (
        *(503, "13"),
        "upstream_unavailable",
    )
    assert house.upstream.chats == []


def test_database_away_is_service_unavailable(house, monkeypatch):
    def away(call):
        raise StoreUnavailable("The database cannot be reached.", cure="Try again in a moment.")

    monkeypatch.setattr(house.runtime.calls, "start", away)
    with pytest.raises(openai.InternalServerError) as caught:
        house.ask(stream=True)
    assert (caught.value.status_code, caught.value.code) == (503, "service_unavailable")


# ---- who asks ----


@pytest.mark.parametrize("key", ["sk-wrong", "cpat_wrong"])
def test_wrong_key_is_said_as_openai_says_it(house, key):
    with house.client(api_key=key) as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(**ASKED)
    assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")
    with house.client(api_key=key) as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_token_without_the_scope_is_not_allowed(house):
    token = house.runtime.access_tokens.create(actor=house.person, name="reader", scopes=("read",), days=1).secret
    with house.client(api_key=token) as client, pytest.raises(openai.PermissionDeniedError, match="scope `chat`"):
        client.chat.completions.create(**ASKED)


def test_too_many_requests_are_told_to_wait(house, monkeypatch):
    monkeypatch.setattr(house.runtime.limits, "_per_person", 1)
    forget_requests(house)
    house.ask()
    with pytest.raises(openai.RateLimitError) as caught:
        house.ask()
    assert int(caught.value.response.headers["retry-after"]) > 30
    forget_requests(house)


def forget_requests(house):
    with house.runtime.store.transaction() as conn:
        conn.exec_driver_sql("DELETE FROM request_limits")


# ---- models ----


def test_models_are_listed_once_each(house):
    with house.client() as client:
        listed = list(client.models.list())
    ids = [model.id for model in listed]
    assert len(ids) == len(set(ids))
    assert {MODEL, "org/slashed", "echo"} <= set(ids)
    assert next(model for model in listed if model.id == "echo").owned_by == "echo"


def test_model_is_found_by_an_id_with_slashes(house):
    with house.client() as client:
        found = client.models.retrieve("org/slashed")
    assert (found.id, found.owned_by, found.object) == ("org/slashed", "openai", "model")


def test_unknown_model_is_not_found(house):
    with house.client() as client:
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("nothing/here")
        assert caught.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError, match="does not exist or you do not have access"):
            client.chat.completions.create(**ASKED | {"model": "nothing"})


def test_name_of_two_servers_stands_for_the_first_and_the_other_has_its_own_id(house):
    catalog = house.runtime.catalog
    with Upstream(default=answer("from the lab")) as lab:
        server = Server("lab", "openai", base_url=lab.base_url, allowed_models=(MODEL,), source="models.toml")
        catalog.set_upstreams((*catalog.upstreams, server))
        house.upstream.script(answer("from the first"))
        with house.client() as client:
            assert f"lab/{MODEL}" in [model.id for model in client.models.list()]
        assert house.ask().choices[0].message.content == "from the first"
        found = house.ask(model=f"lab/{MODEL}")
    assert (found.choices[0].message.content, found.model) == ("from the lab", f"lab/{MODEL}")


def test_model_of_another_role_does_not_exist(house):
    catalog = house.runtime.catalog
    closed = Server("closed", "echo", allowed_models=("secret",), per_model={"secret": ModelSettings(roles=())})
    catalog.set_upstreams((*catalog.upstreams, closed))
    with pytest.raises(openai.NotFoundError, match="does not exist or you do not have access"):
        house.ask(model="secret")


def test_running_models_and_constraints_keep_their_own_routes(house):
    headers = {"authorization": f"Bearer {house.token}"}
    for path in ("running", "org/slashed/constraints"):
        assert httpx2.get(f"{house.url}/v1/models/{path}", headers=headers).status_code == 200


def test_generation_ends_before_the_next_test(house):
    until(lambda: house.runtime.generations.hub.running_count == 0)


def test_reader_that_takes_nothing_is_cut_off_and_its_call_ended(embedded_url):
    big = [Body(event(delta("a", padding="x" * 60_000))) for _ in range(150)]  # more than any system buffers
    body = json.dumps(ASKED | {"stream": True})
    with fresh_database(embedded_url) as url, rig(url, api_slow_reader_sec=0.3) as house:
        house.upstream.script(steps(Head(), *big, Hang()))
        address = urlsplit(house.url)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {house.token}\r\n"
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect((address.hostname, address.port))
            lazy.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
            record = house.upstream.wait_for_request()
            house.upstream.wait_until(lambda: record.disconnected_at is not None, timeout_sec=20)
        assert house.usage_row()["status"] == "stopped"
