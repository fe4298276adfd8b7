"""Foreign failures in plain words: waits, excerpts, and nothing left untranslated."""

from datetime import UTC, datetime

import openai
import pytest

from chatplay.errors import ProviderError
from chatplay.providers.faults import Caller, excerpt, from_sdk, retry_after_sec

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


def test_excerpt_is_short_and_printable():
    shown = excerpt("a\x1b[31m\n\u202e" + "b" * 500)
    assert len(shown) < 190
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["", "  ", "<!DOCTYPE html><p>x", "<html>"])
def test_excerpt_of_nothing_or_a_web_page_is_empty(text):
    assert excerpt(text) == ""


def test_excerpt_hides_the_key_in_use():
    assert "plain-secret" not in excerpt("bad key plain-secret", ("plain-secret",))


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
    found = from_sdk(error, Caller("lab", "m", "host"))
    assert isinstance(found, ProviderError)
    assert found.cure
