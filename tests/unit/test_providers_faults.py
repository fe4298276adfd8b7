"""Foreign failures in plain words: waits, excerpts, and nothing left untranslated."""

from datetime import UTC, datetime

import aiohttp
import httpx2
import openai
import pytest

from chatplay.errors import ContextOverflow, ProviderBadAnswer, ProviderError, ProviderUnreachable, RequestBroken
from chatplay.models.polling import _is_servers_fault
from chatplay.providers.faults import Caller, from_answer, from_sdk
from chatplay.providers.masking import excerpt
from chatplay.providers.refusals import read_refusal, retry_after_sec, wait_sec
from chatplay.providers.safety import AddressRefused

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("nan", None),
        ("1e99", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds(value, seconds):
    assert retry_after_sec(value, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after": "7", "retry-after-ms": "6500"}, "", 6.5),
        ({"retry-after": "20"}, "try again in 3s", 20),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m1.5s"}, "", 361.5),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}, "", None),
        ({}, "Rate limit reached for gpt-4o. Please try again in 1m20s. Visit https://x", 80),
        ({}, "Please retry after 500ms", 0.5),
        ({}, "Too many requests, wait 2 minutes", 120),
        ({}, "You may try again in a while", None),
        ({}, "retry in 20 cats", None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1" * 30_000}, "", None),
        ({}, "Try again " + " " * 1_000_000, None),
        ({}, "Try again in " + "1" * 1_000_000, None),
    ],
)
def test_wait_is_found_wherever_a_server_says_it(headers, message, seconds):
    assert wait_sec(headers, message, NOW) == seconds


def test_excerpt_is_short_and_printable():
    shown = excerpt("a\x1b[31m\n\u202e" + "b" * 500)
    assert len(shown) < 190
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["", "  ", "<!DOCTYPE html><p>x", "<html>"])
def test_excerpt_of_nothing_or_a_web_page_is_empty(text):
    assert excerpt(text) == ""


def test_excerpt_hides_the_key_in_use():
    assert "plain-secret" not in excerpt("bad key plain-secret", ("plain-secret",))


def test_excerpt_hides_a_key_that_was_cut_in_two():
    text = " " * 1990 + "plain-secret-of-a-server"
    assert "plain-s" not in excerpt(text, ("plain-secret-of-a-server",))


@pytest.mark.parametrize(
    "text", ["stream ", "stream", "does not support ", "context size ", "exceed", "input token count ", "model "]
)
@pytest.mark.parametrize("field", ["message", "code", "type", "param"])
def test_awkward_megabytes_of_a_refusal_take_linear_work(text, field):
    error = from_answer(read_refusal({"message": "no", field: text * 1_000_000}, 400), Caller("lab", "m"))
    assert type(error) is ProviderBadAnswer


OVERFLOW = "maximum context length is 4096 tokens, stream is not supported, retry in 20 s, seed"
VALIDATION = {"type": "string_type", "loc": ("body", "messages", 0), "msg": "Input should be valid", "input": OVERFLOW}


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{**VALIDATION, "loc": ["body", "messages"]}]},
        {"object": "error", "message": str([VALIDATION]), "type": "BadRequestError", "code": 400},
        {"error": {"message": f"1 validation error:\n  {VALIDATION} {[VALIDATION]}", "type": "Bad Request"}},
        {"error": f"messages\n  Input should be valid [type=string_type, input_value='{OVERFLOW}', input_type=str]"},
        {"error": {"message": f'Failed to parse messages: no role; messages = [{{"content": "{OVERFLOW}"'}},
    ],
)
def test_what_a_server_repeats_of_the_prompt_is_not_taken_for_its_own_words(body):
    error = from_answer(read_refusal(body, 400), Caller("lab", "m"))
    assert (type(error), error.retry_after_sec) == (ProviderBadAnswer, None)
    assert "valid" in error.message or "parse" in error.message
    assert "4096" not in error.message


def test_words_before_the_repeated_prompt_are_still_understood():
    said = {**VALIDATION, "msg": "Value error, This model's maximum context length is 10 tokens", "input": "x" * 5_000}
    assert type(from_answer(read_refusal({"message": str([said])}, 400), Caller("lab", "m"))) is ContextOverflow


def _request():
    return openai.DefaultHttpxClient().build_request("GET", "http://x")


@pytest.mark.parametrize(
    "error",
    [
        openai.APIConnectionError(request=_request()),
        openai.APITimeoutError(_request()),
        openai.OpenAIError("x"),
        UnicodeEncodeError("ascii", "x", 0, 1, "no"),
        RuntimeError("x"),
    ],
)
def test_any_foreign_error_is_translated(error):
    found = from_sdk(error, Caller("lab", "m"))
    assert isinstance(found, ProviderError)
    assert found.cure


@pytest.mark.parametrize("error", [ValueError("x"), TypeError("x"), UnicodeEncodeError("ascii", "x", 0, 1, "no")])
def test_own_defect_is_not_the_servers_and_is_logged(error, caplog):
    found = from_sdk(error, Caller("lab", "m"))
    assert type(found) is RequestBroken
    assert not _is_servers_fault(found)
    assert caplog.records[0].exc_info[1] is error


@pytest.mark.parametrize(
    "error",
    [
        openai.APIConnectionError(request=_request()),
        httpx2.ReadError("x"),
        aiohttp.ClientPayloadError("x"),
        AddressRefused("x"),
        OSError("x"),
    ],
)
def test_connection_that_fails_is_the_servers_fault(error):
    found = from_sdk(error, Caller("lab", "m"))
    assert type(found) is ProviderUnreachable
    assert _is_servers_fault(found)
