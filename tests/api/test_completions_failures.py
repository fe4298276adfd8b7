"""Calls of programs written for OpenAI that end early: programs that leave, servers that fail, and the words for it."""

import json
import socket

import httpx2
import openai
import pytest

from chatplay.errors import StoreUnavailable
from chatplay.providers.registry import Upstream as Server
from tests.api.openai_rig import ASKED, TOOL, text_of, until
from tests.upstream import SCRIPTS, Hang, Head, answer, payload, raw, refuse, steps


@pytest.fixture
def house(openai_house):
    return openai_house


# ---- hanging up ----


@pytest.mark.parametrize("script", [raw(then=(Hang(),)), steps(Hang()), steps(Head(), Hang())])
def test_client_that_leaves_ends_the_call_upstream(house, script):
    house.upstream.script(script)
    with socket.create_connection(house.address, timeout=20) as connection:
        connection.sendall(house.stream_request())
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


def test_number_too_large_is_a_bad_request_and_the_server_is_not_asked(house):
    body = json.dumps(ASKED).replace("{", '{"logit_bias": {"1": 1e400}, ', 1)
    headers = {"authorization": f"Bearer {house.token}"}
    refused = httpx2.post(f"{house.url}/v1/chat/completions", content=body, headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "logit_bias.1")
    assert house.upstream.chats == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/chat/completions", b"x" * 1_000_001, 413, "too_large"),
        ("POST", "/v1/chat/completions", b"[" * 65, 413, "too_large"),
        ("PUT", "/v1/chat/completions", b"", 405, "method_not_allowed"),
        ("POST", "/v1/chat/completions/", b"{}", 404, "not_found"),
        ("POST", "/v1/models", b"{}", 405, "method_not_allowed"),
        ("DELETE", "/v1/models/org/x", b"", 405, "method_not_allowed"),
        ("GET", "/v1/models/a%0Ab", b"", 404, "not_found"),
    ],
)
def test_refusal_before_the_route_is_in_openais_words(house, method, path, body, status, code):
    refused = httpx2.request(method, house.url + path, content=body)
    error = refused.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "request_id"}
    assert (refused.status_code, error["type"], error["code"]) == (status, "invalid_request_error", code)
    assert error["request_id"] == refused.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/v1/models/running", "/v1/models/echo/constraints", "/v1/chat/sessions"])
def test_our_own_addresses_keep_our_own_words(house, path):
    error = httpx2.request("PUT", house.url + path, content=b"x" * 1_000_001).json()["error"]
    assert (error["type"], bool(error["cure"])) == ("too_large", True)


def test_body_that_is_too_large_is_an_error_the_official_client_understands(house):
    with pytest.raises(openai.APIStatusError, match="Send less") as caught:
        house.ask("x" * 1_000_001)
    assert (caught.value.status_code, caught.value.code) == (413, "too_large")


def test_what_nobody_thought_of_is_in_openais_words(house, monkeypatch):
    monkeypatch.setattr("chatplay.api.completions.read", lambda body, max_chars: 1 / 0)
    with pytest.raises(openai.InternalServerError) as caught:
        house.ask()
    assert (caught.value.code, caught.value.type) == ("internal_error", "server_error")


def test_defect_of_our_own_is_called_so_and_not_held_against_the_server(house, monkeypatch):
    def defect(request):
        raise ValueError("a bug")

    monkeypatch.setattr("chatplay.providers.openai.messages_of", defect)
    counted = []
    monkeypatch.setattr(house.runtime.health, "_count_call", lambda upstream, well: counted.append(well))
    with house.client(max_retries=2) as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(**ASKED)
    assert (caught.value.status_code, caught.value.code) == (500, "internal_error")
    assert (house.usage_row()["error_class"], counted) == ("request_broken", [])


def test_rate_limit_says_how_long_to_wait(house):
    with pytest.raises(openai.RateLimitError) as caught:
        house.ask(model="rate-limited")
    assert caught.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    "model", ["reset-mid-stream", "cut-mid-stream", "error-mid-stream", "garbage", "hang-mid-stream"]
)
def test_stream_that_fails_later_ends_with_an_error_and_no_done(house, model):
    headers, lines = house.raw_stream(model=model)
    assert lines[-2:-1] == ["event: error"]
    error = json.loads(lines[-1][6:])["error"]
    assert (error["type"], error["request_id"]) == ("server_error", headers["x-request-id"])
    with house.client() as client, pytest.raises(openai.APIError, match=r"."):
        list(client.chat.completions.create(**ASKED | {"model": model}, stream=True))


def test_official_client_tries_again_by_itself_and_succeeds(house):
    house.upstream.script(refuse(500), SCRIPTS["html-error"], refuse(408), answer("fourth time"))
    with house.client(max_retries=3) as client:
        found = client.chat.completions.create(**ASKED)
    assert found.choices[0].message.content == "fourth time"
    assert len(house.upstream.chats) == 4


NO_CREDIT = {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (SCRIPTS["unauthorized"], "upstream_auth_failed"),
        (SCRIPTS["html"], "upstream_bad_answer"),
        (SCRIPTS["redirect"], "upstream_bad_answer"),
        (payload(404, {"detail": "Not Found"}), "upstream_bad_answer"),
        (payload(402, {"error": {"message": "Insufficient Balance"}}), "upstream_bad_answer"),
        (refuse(429, NO_CREDIT), "insufficient_quota"),
    ],
)
def test_official_client_does_not_repeat_what_cannot_help(house, script, code):
    house.upstream.script(script)
    with house.client(max_retries=2) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**ASKED)
    assert (caught.value.code, len(house.upstream.chats)) == (code, 1)


def test_spent_quota_is_told_as_openai_tells_it(house):
    house.upstream.script(refuse(429, NO_CREDIT))
    with pytest.raises(openai.RateLimitError) as caught:
        house.ask(stream=True)
    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
    assert "retry-after" not in caught.value.response.headers


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


def test_generation_ends_before_the_next_test(house):
    until(lambda: house.runtime.generations.hub.running_count == 0)
