"""`validate` grades each part and tells the cure; probes never raise."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from chatplay.cli.probes import ask_model_server, get
from chatplay.cli.validate import check_cookie, check_models, check_proxy, check_settings
from chatplay.settings import load_settings


def load(**environ):
    return load_settings(env_file=None, environ=environ)


@contextmanager
def model_server(status, body):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield load(USE_OPENAI="1", OPENAI_BASE_URL=f"http://127.0.0.1:{server.server_port}/v1", OPENAI_CHAT_MODEL="a")
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "grade", "words"),
    [
        (200, json.dumps({"data": [{"id": "a"}]}).encode(), "ok", "1 models"),
        (200, json.dumps({"data": [{"id": "b"}]}).encode(), "fail", "Set OPENAI_CHAT_MODEL to one of: b"),
        (200, b"<html>", "fail", "not as an OpenAI-compatible server"),
        (401, b"", "fail", "OPENAI_API_KEY"),
        (500, b"", "fail", "HTTP 500"),
    ],
)
def test_model_server_answer_is_graded(status, body, grade, words):
    with model_server(status, body) as settings:
        finding = check_models(settings)
    assert finding.grade == grade
    assert words in finding.text


def test_model_server_that_is_away_is_a_fail_not_an_exception():
    server = ask_model_server(load(OPENAI_BASE_URL="http://127.0.0.1:9/v1"))
    assert not server.ok
    assert "OPENAI_BASE_URL" in server.text


def test_probe_of_nonsense_answers_with_the_problem():
    assert get("http://[broken").status is None


@pytest.mark.parametrize(
    ("environ", "grade"),
    [
        ({}, "ok"),
        ({"PUBLIC_URL": "https://x.org"}, "ok"),
        ({"PUBLIC_URL": "http://x.org"}, "warn"),
        ({"HOST": "0.0.0.0"}, "warn"),
    ],
)
def test_cookie_is_ok_only_when_it_cannot_travel_readable(environ, grade):
    assert check_cookie(load(**environ)).grade == grade


@pytest.mark.parametrize(
    ("environ", "grade"),
    [
        ({}, "ok"),
        ({"PUBLIC_URL": "https://x.org"}, "warn"),
        ({"PUBLIC_URL": "https://x.org", "TRUSTED_PROXIES": "10.0.0.1"}, "ok"),
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "fail"),
    ],
)
def test_proxy_headers_are_graded(environ, grade):
    assert check_proxy(load(**environ)).grade == grade


def test_settings_warnings_are_findings():
    assert [finding.grade for finding in check_settings(load(HEALTH_CHECK_TTL_SEC="1"))] == ["warn"]
