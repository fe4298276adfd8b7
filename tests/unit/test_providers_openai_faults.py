"""What goes wrong with an OpenAI-compatible server, told as one of our errors: text kept, keys and addresses hidden."""

import contextlib
import socket

import pytest

from chatplay import errors
from chatplay.providers.openai import Limits
from tests import upstream as mock
from tests.unit.openai_provider_rig import QUICK_SILENCE, QUICK_START, ask, request

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
    limits = {"hang-before": QUICK_START, "hang-mid": QUICK_SILENCE}.get(script.rpartition("-")[0])
    text, end, error = ask(upstream, request(script), key="sk-secret123456", limits=limits)
    assert (type(error), text, end) == (kind, kept, None)
    assert (error.provider, error.model) == ("lab", script)
    assert "lab" in error.message
    assert script in error.message
    assert error.cure
    assert "sk-secret" not in str(error)
    assert "<html" not in str(error)


def test_every_provider_error_has_a_fault_that_raises_it():
    shown = {kind for _, kind, _ in FAULTS} | {errors.ProviderUnreachable, errors.RequestBroken}
    assert shown == set(errors.ProviderError.__subclasses__())


def test_rate_limit_carries_the_wait(upstream):
    _, _, error = ask(upstream, request("rate-limited"))
    assert error.retry_after_sec == 7
    assert "7 seconds" in error.cure


def test_rate_limit_tells_the_time_that_only_the_words_name(upstream):
    upstream.script(mock.refuse(429, {"message": "Rate limit reached. Please try again in 1m20s.", "code": None}))
    _, _, error = ask(upstream)
    assert (error.retry_after_sec, error.cure) == (80, "Try again in 2 minutes.")


def test_refused_parameter_is_named(upstream):
    assert ask(upstream, request("bad-parameter"))[2].param == "temperature"


def test_hang_without_streaming_ends_at_the_whole_limit(upstream):
    upstream.script(mock.steps(mock.Hang()))
    assert type(ask(upstream, request(stream=False), limits=QUICK_START)[2]) is errors.ProviderSilent


def test_comments_alone_do_not_keep_a_silent_stream_alive(upstream):
    ping = (mock.Body(b": ping\n\n"), mock.Wait(0.05))
    upstream.script(mock.steps(mock.Head(), *ping * 40))
    assert type(ask(upstream, limits=QUICK_START)[2]) is errors.ProviderSilent


SHAPES = [
    (400, {"object": "error", "message": "maximum context length is 4096 tokens", "code": 400}, errors.ContextOverflow),
    (400, {"error": {"code": 400, "type": "exceed_context_size_error", "message": "x"}}, errors.ContextOverflow),
    (400, {"error": "input length exceeds the context length"}, errors.ContextOverflow),
    (404, {"error": 'model "mock-model" not found, try pulling it first'}, errors.ModelUnknown),
    (404, {"detail": "Not Found"}, errors.ProviderBadAnswer),
    (422, {"detail": [{"loc": ["body", "top_p"], "msg": "too big"}]}, errors.ParameterRefused),
    (400, {"error": {"message": "max_tokens is too large: 9", "param": None}}, errors.ParameterRefused),
    (400, {"error": {"message": "no"}}, errors.ProviderBadAnswer),
    (200, {"error": {"message": "slow down", "code": 429}}, errors.RateLimited),
    (200, {"hello": "world"}, errors.ProviderBadAnswer),
    (200, ["not", "an", "object"], errors.ProviderBadAnswer),
    (429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, errors.QuotaSpent),
]


@pytest.mark.parametrize(("status", "body", "kind"), SHAPES)
def test_refusal_in_another_servers_words_is_understood(upstream, status, body, kind):
    upstream.script(mock.payload(status, body))
    assert type(ask(upstream)[2]) is kind


def test_error_event_naming_a_rate_limit_is_one(upstream):
    upstream.script(mock.raw(mock.event({"error": {"message": "busy", "code": 429}})))
    assert type(ask(upstream)[2]) is errors.RateLimited


@pytest.mark.parametrize("value", ["Bearer sk-abcdef123456", "http://me:secret@host/v1 sk-abcdef123456"])
def test_server_that_quotes_a_secret_is_not_repeated(upstream, value):
    upstream.script(mock.refuse(500, {"message": f"boom {value}"}))
    shown = str(ask(upstream)[2])
    assert "boom" in shown
    assert "abcdef" not in shown
    assert "secret" not in shown


def test_base_url_credentials_are_not_shown():
    _, _, error = ask(None, base_url="http://me:hunter2@127.0.0.1:9/v1")
    assert type(error) is errors.ProviderUnreachable
    assert "hunter2" not in str(error)


def unused_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_refused_connection_says_that_nothing_listens():
    _, _, error = ask(None, base_url=f"http://127.0.0.1:{unused_port()}/v1")
    assert type(error) is errors.ProviderUnreachable
    assert "nothing listens" in error.message
    assert "127.0.0.1" not in str(error)  # addresses are for administrators


def test_unknown_host_says_so():
    _, _, error = ask(None, base_url="http://no-such-host.invalid/v1", limits=Limits(connect_sec=1))
    assert type(error) is errors.ProviderUnreachable


def test_plain_server_behind_https_is_a_tls_failure(upstream):
    _, _, error = ask(None, base_url=upstream.base_url.replace("http:", "https:"), limits=Limits(connect_sec=1))
    assert type(error) is errors.ProviderUnreachable
    assert "TLS" in error.message


def test_server_that_closes_without_a_word_is_unreachable(upstream):
    upstream.script(mock.steps(mock.Cut()))
    assert type(ask(upstream)[2]) is errors.ProviderUnreachable


@pytest.mark.parametrize("key", ["schlüssel", "sk-a\nb", "sk a"])
def test_key_that_cannot_be_sent_is_a_clear_failure(upstream, key):
    _, _, error = ask(upstream, key=key)
    assert type(error) is errors.ProviderAuthFailed
    assert key not in str(error)
    assert upstream.chats == []


def test_openai_without_a_key_is_not_even_asked():
    assert type(ask(None, base_url="https://api.openai.com/v1")[2]) is errors.ProviderAuthFailed
