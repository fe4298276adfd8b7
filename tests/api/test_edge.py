"""The edge of all routes: ids, caps, the one error shape, no traceback; limits shared by processes."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from chatplay import errors
from chatplay.api.app import build_app
from chatplay.api.edge import Edge, too_deep
from chatplay.api.errors import _STATUS, status_of, status_of_code
from chatplay.errors import ChatplayError
from db.paces import Pace
from tests.api.house import PLANTED_KEY, open_house
from tests.databases import fresh_database
from tests.upstream import SCRIPTS


@pytest.fixture
def house(own_house):
    return own_house


def whole(error):
    return {"type", "message", "param", "request_id", "cure"} <= set(error)


# ---- paths and methods ----


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/nope", "/ws", "/ws/", "/ws/chat/x", "/admin", "/admin/", "/v1//x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_path_is_404_in_the_shape_of_all_errors(house, method, path):
    with house.client() as client:
        answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")
    assert whole(answer.json()["error"])


@pytest.mark.parametrize(
    ("method", "path", "taken"),
    [
        ("PUT", "/v1/chat/sessions", "DELETE, GET, POST"),
        ("PATCH", f"/v1/chat/sessions/{UUID(int=1)}", "DELETE, GET"),
        ("POST", "/v1/models/running", "GET"),
        ("POST", f"/v1/experiments/{UUID(int=1)}", "GET"),
        ("BREW", "/admin/usage", "GET"),
    ],
)
def test_wrong_method_is_405_and_says_which_are_taken(house, method, path, taken):
    with house.client() as client:
        answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == taken


# ---- ids and headers ----


def test_every_answer_has_an_id_that_is_in_its_body_when_it_failed(house):
    with house.ana.client() as client:
        good, bad = client.get("/v1/chat/sessions"), client.get("/v1/nope")
    assert good.headers["x-request-id"] != bad.headers["x-request-id"] == bad.json()["error"]["request_id"]


@pytest.mark.parametrize(("own", "is_kept"), [("trace-7.a_B", True), ("a b", False), ("x" * 65, False), ("<b>", False)])
def test_id_of_the_caller_is_kept_when_it_is_one(house, own, is_kept):
    with house.client(**{"x-request-id": own}) as client:
        assert (client.get("/v1/nope").headers["x-request-id"] == own) is is_kept


def test_answers_are_kept_by_no_cache(house):
    with house.ana.client() as client:
        assert client.get("/v1/chat/sessions").headers["cache-control"] == "no-store"


# ---- caps ----


@pytest.mark.parametrize("chunked", [True, False])
def test_body_too_large_is_refused_before_it_is_read(house, chunked):
    most = house.runtime.settings.api_max_body_kb * 1024
    body = b"x" * (most + 1)
    with house.ana.client() as client:
        answer = client.post("/v1/chat/sessions", content=iter([body]) if chunked else body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "too_large")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"title": ' + b"[" * 65 + b"]" * 65 + b"}"])
def test_body_nested_too_deep_is_refused(house, body):
    with house.ana.client(**{"content-type": "application/json"}) as client:
        assert client.post("/v1/chat/sessions", content=body).status_code == 413


@pytest.mark.parametrize("body", [b"\x1f\x8b\x08", b'{"title": "\xff"}', b'{"message_id": ' + b"9" * 5000 + b"}"])
def test_body_that_no_reader_of_json_takes_is_called_so(house, body):
    with house.ana.client(**{"content-type": "application/json"}) as client:
        refused = client.post(f"/v1/chat/sessions/{house.ana.new_session()}/generate", content=body)
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "bad_request")
    assert "JSON" in refused.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", None])
def test_body_that_is_not_called_json_is_told_how_to_be(house, kind):
    with house.ana.client(**({"content-type": kind} if kind else {})) as client:
        refused = client.post("/v1/chat/sessions", content=b'{"model_name": "echo"}')
    assert refused.status_code == 422
    assert "Content-Type: application/json" in refused.json()["error"]["cure"]


def test_brackets_in_texts_do_not_nest(house):
    with house.ana.client() as client:
        path = f"/v1/chat/sessions/{house.ana.new_session()}/messages"
        assert client.post(path, json={"content": '{"[' * 1000 + '\\"'}).status_code == 201


def test_awkward_megabyte_of_quotes_takes_linear_work():
    assert not too_deep(b'"' + b'\\"' * 500_000 + b"[" * 65 + b"\n\\")


def test_headers_too_large_are_refused(house):
    with house.client(**{"x-much": "y" * 33_000}) as client:
        answer = client.get("/v1/chat/sessions")
    assert answer.status_code in (400, 431)  # the server has a cap of its own, which may come first


def test_random_bodies_are_never_our_fault(house):
    luck = random.Random(7)
    session_id = house.ana.new_session()
    paths = ["/v1/chat/sessions", f"/v1/chat/sessions/{session_id}/generate", "/v1/chat/completions"]
    with house.ana.client(**{"content-type": "application/json"}) as client:
        for _ in range(300):
            kind = luck.choice([luck.randbytes(luck.randint(0, 200)), json_like(luck)])
            answer = client.post(luck.choice(paths), content=kind)
            assert 400 <= answer.status_code < 500, kind
            assert answer.headers["content-type"] == "application/json"


def json_like(luck):
    return "".join(luck.choices(["{", "}", "[", "]", '"', ":", ",", "1e999", "null", "a", "\\u0000"], k=30)).encode()


@pytest.mark.parametrize(
    "raw", [b"GET /v1/models/running HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00", b"nonsense\r\n\r\n"]
)
def test_what_is_no_http_is_refused_and_the_server_lives(house, raw):
    parts = urlsplit(house.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(raw)
        connection.recv(1000)
    with house.ana.client() as client:
        assert client.get("/v1/chat/sessions").status_code == 200


# ---- our own faults ----


def edged(app, **more):
    return TestClient(Edge(app, max_body_bytes=lambda: 1000), raise_server_exceptions=False, **more)


def failing(_request: Request):
    raise RuntimeError("a secret at /srv/app/file.py")


def test_fault_of_ours_tells_nothing_of_itself():
    app = build_app(lambda: None)
    app.router.routes.insert(0, Route("/v1/fails", failing))
    answer = edged(app).get("/v1/fails")
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_fault_outside_of_the_app_is_answered_too():
    async def app(_scope, _receive, _send):
        raise RuntimeError("secret")

    answer = edged(app).get("/v1/x")
    assert (answer.status_code, "secret" in answer.text) == (500, False)


def test_slow_body_is_refused(monkeypatch):
    monkeypatch.setattr("chatplay.api.edge._BODY_SEC", 0.05)
    sent = []

    async def never():
        await asyncio.sleep(10)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/v1/x", "headers": [(b"content-length", b"5")], "method": "POST"}
    asyncio.run(Edge(Starlette(), max_body_bytes=lambda: 10)(scope, never, send))
    assert sent[0]["status"] == 408


def test_every_error_of_the_tree_has_a_status_of_its_own():
    def below(kind):
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    listed = {kind for kind, _ in _STATUS}
    unlisted = [kind for kind in below(ChatplayError) if not listed & set(kind.__mro__) and kind is not ChatplayError]
    assert unlisted == []
    assert status_of_code(errors.RateLimited.code) == 429
    assert status_of(errors.TooManyRequests("Slow.", retry_after_sec=1)) == 429


def test_database_away_is_503_and_says_what_to_do():
    def away():
        raise errors.StoreUnavailable("The database cannot be reached right now.", cure="Try again in a moment.")

    answer = edged(build_app(away)).get("/v1/chat/sessions")
    assert (answer.status_code, answer.json()["error"]["cure"]) == (503, "Try again in a moment.")


def test_stream_that_breaks_is_cut_and_not_ended():
    async def broken(_request):
        async def body():
            yield b"one"
            raise RuntimeError("secret")

        return StreamingResponse(body())

    with pytest.raises(RuntimeError):
        TestClient(Edge(Starlette(routes=[Route("/", broken)]), max_body_bytes=lambda: 10)).get("/")


def test_small_body_reaches_the_app_whole():
    async def echo(request: Request):
        return JSONResponse({"body": (await request.body()).decode()})

    app = Starlette(routes=[Route("/", echo, methods=["POST"])])
    assert edged(app).post("/", content=b"x" * 1000).json() == {"body": "x" * 1000}


# ---- secrets ----


def test_planted_key_is_in_no_answer(house):
    said = []
    for script in SCRIPTS:
        if "hang" not in script and script != "slow":
            house.upstream.default = SCRIPTS[script]
            with house.ana.client() as client:
                path = f"/v1/chat/sessions/{house.ana.new_session('mock-model')}"
                said += [client.post(f"{path}/generate", json={"content": "Hi"}), client.get(path)]
                asked = {"model": "mock-model", "messages": [{"role": "user", "content": "Hi"}]}
                said.append(client.post("/v1/chat/completions", json=asked))
    with house.ada.client() as client:
        said += [client.get(path) for path in ("/v1/models/running", "/v1/models", "/v1/openapi.json", "/v1/docs")]
        said.append(client.post("/admin/upstreams/refresh-health"))
    house.upstream.default = SCRIPTS["answer"]
    assert len(said) > 60
    assert not [one.text for one in said if PLANTED_KEY in one.text + str(one.headers) or "sk-secret" in one.text]


# ---- limits ----


def test_two_processes_share_one_count(own_house, monkeypatch):
    guest = own_house.add_guest("often")
    monkeypatch.setattr(own_house.runtime.limits, "_per_person", Pace(every_sec=3, burst=20))
    with own_house.other_process(api_requests_per_minute=20) as other, guest.client() as client:
        places = [own_house.url, other] * 30
        answers = [client.get(f"{place}/v1/models/running") for place in places]
        with own_house.bob.client() as somebody:
            assert somebody.get("/v1/models/running").status_code == 200
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 20 <= len(answers) - len(refused) <= 30  # and one more each three seconds
    assert {answer.json()["error"]["type"] for answer in refused} == {"too_many_requests"}
    assert all(1 <= int(answer.headers["retry-after"]) <= 4 for answer in refused)


def test_address_is_counted_whoever_asks(embedded_url):
    with fresh_database(embedded_url) as url, open_house(url, api_address_requests_per_minute=5) as house:
        with house.client() as nobody:
            statuses = [nobody.get("/v1/models/running").status_code for _ in range(8)]
        with house.ana.client() as client:
            assert client.get("/v1/models/running").status_code == 429
    assert (statuses[:5], statuses[-1]) == ([401] * 5, 429)


def test_requests_at_once_are_counted_one_by_one(embedded_url):
    with fresh_database(embedded_url) as url, open_house(url, api_requests_per_minute=10) as house:
        found = []

        def ask():
            with house.ana.client() as client:
                found.append(client.get("/v1/models/running").status_code)

        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 10 <= found.count(200) <= 11  # another one each six seconds
