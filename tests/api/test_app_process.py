"""The routes in the real app, Streamlit and its middleware around them."""

import hashlib
import json
from datetime import UTC, datetime

import httpx2
import pytest

from chatplay.auth.tokens import token_hash
from db import access, accounts
from tests.browser.app_process import App
from tests.upstream import Hang, Upstream, answer, raw

SECRET = "cpat_" + hashlib.sha256(b"a script's").hexdigest()
ASKED = {"model": "mock-model", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


@pytest.fixture(scope="module")
def upstream():
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def app(upstream):
    settings = {"USE_OPENAI": "true", "OPENAI_CHAT_MODEL": "mock-model", "OPENAI_BASE_URL": upstream.base_url}
    with App(**settings, SILENCE_TIMEOUT_SEC="600") as app:
        with app.database() as conn:
            add_token(conn, username=app.add_person())
        yield app


def add_token(conn, *, username):
    found = accounts.find_credentials(conn, username=username)
    access.add_token(
        conn,
        user_id=found.user_id,
        name="a script",
        scopes=["read", "chat"],
        token_hash=token_hash(SECRET),
        ending=SECRET[-4:],
        expires_at=None,
        now=datetime.now(UTC),
    )


def stream(app, **headers):
    headers = {"authorization": f"Bearer {SECRET}"} | headers
    return httpx2.stream("POST", f"{app.url}/v1/chat/completions", json=ASKED, headers=headers, timeout=60)


def test_stream_is_neither_compressed_nor_held_back(app, upstream):
    upstream.script(raw(then=(Hang(),)))
    with stream(app, **{"accept-encoding": "gzip, br"}) as response:
        lines = response.iter_lines()
        next(line for line in lines if '"content":" there"' in line)
        assert "content-encoding" not in response.headers
    record = upstream.wait_for_request()
    upstream.wait_until(lambda: record.disconnected_at is not None)


def test_stream_goes_to_its_end(app, upstream):
    upstream.script(answer("Hello", " there"))
    with stream(app) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


def test_metrics_are_for_prometheus_and_their_page_for_browsers(app):
    assert "chatplay_http_requests_total" in httpx2.get(f"{app.url}/metrics").text
    assert "<html" in httpx2.get(f"{app.url}/metrics", headers={"accept": "text/html"}).text
    assert httpx2.get(f"{app.url}/_stcore/metrics").status_code == 200
    for path in ("/metrics", "/_stcore/metrics"):
        assert httpx2.get(f"{app.url}{path}", headers={"x-forwarded-for": "127.0.0.1"}).status_code == 401


def test_app_that_is_ended_ends_its_streams_and_says_so(app, upstream):
    upstream.requests.clear()
    upstream.script(raw(then=(Hang(),)))
    with stream(app) as response:
        lines = response.iter_lines()
        next(line for line in lines if '"content":" there"' in line)
        assert app.terminate() in (0, -15)
        rest = [line for line in lines if line]
    assert rest[0] == "event: error"
    assert json.loads(rest[1][6:])["error"]["code"] == "service_unavailable"
