"""Our routes beside Streamlit's in the real app: addresses, headers, sockets."""

import json
import socket

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from chatplay.api.server import send_at_once
from chatplay.auth.tokens import SESSION_COOKIE
from tests.browser.app_process import App


@pytest.fixture(scope="module")
def app():
    with App() as app:
        app.cookie = app.sign_in(app.add_person())
        yield app


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/nope", "/admin", "/ws", "/auth", "/auth/nope", "/admin/x/y", "/ws/chat/7"]
)
def test_unknown_path_of_ours_is_json_and_not_a_page(app, path):
    answer = httpx2.get(app.url + path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/v1/..%2fadmin/usage", "/v1/%2e%2e/x", "/auth/a%00b", "/ws/x/.."])
def test_step_upwards_from_a_path_of_ours_is_json_too(app, path):
    raw = talk(app, f"GET {path} HTTP/1.1\r\nHost: {app.url.removeprefix('http://')}\r\nConnection: close\r\n\r\n")
    assert raw.startswith("HTTP/1.1 404")
    assert '"type":"not_found"' in raw


@pytest.mark.parametrize("path", ["/v1/models/running", "/"])
def test_request_of_two_lengths_is_refused_and_what_follows_is_no_request(app, path):
    host = f"Host: {app.url.removeprefix('http://')}\r\n"
    two = f"POST {path} HTTP/1.1\r\n{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    raw = talk(app, f"{two}GET /v1/docs HTTP/1.1\r\n{host}Connection: close\r\n\r\n")
    assert raw.startswith("HTTP/1.1 400")
    assert raw.count("HTTP/1.1") == 1


def talk(app, text):
    with socket.create_connection(("127.0.0.1", app.port), timeout=10) as connection:
        connection.sendall(text.encode())
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


@pytest.mark.parametrize("path", ["/", "/chat", "/v1/docs", "/v1/models/running", "/v1/nope", "/auth/whoami"])
def test_every_answer_is_confined(app, path):
    headers = httpx2.get(app.url + path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


@pytest.mark.parametrize("path", ["/", "/chat", "/metrics"])
def test_page_bears_our_name_and_is_sent_again_only_when_it_changed(app, path):
    asked = {"accept": "text/html"}
    answer = httpx2.get(app.url + path, headers=asked)
    assert answer.text.count("<title>Chat Playground</title>") == answer.text.count("BACKEND_BASE_URL") == 1
    again = httpx2.get(app.url + path, headers=asked | {"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_document_needs_no_script_and_nothing_from_elsewhere(app):
    page = httpx2.get(f"{app.url}/v1/docs").text
    assert "/v1/chat/sessions" in page
    assert "<script" not in page
    assert "http://" not in page.replace(app.url, "")
    assert "https://" not in page


def test_page_of_ours_chats_over_a_socket_with_its_cookie(app):
    headers = {"Cookie": f"{SESSION_COOKIE}={app.cookie}", "Origin": app.url}
    made = httpx2.post(f"{app.url}/v1/chat/sessions", json={"model_name": "echo"}, headers=headers)
    url = f"{app.url.replace('http', 'ws', 1)}/ws/chat/{made.json()['id']}/"
    with connect(url, additional_headers={"Cookie": headers["Cookie"]}, origin=app.url) as chat:
        chat.send(json.dumps({"content": "Hello"}))
        kinds = []
        for frame in map(json.loads, chat):
            kinds.append(frame["type"])
            if frame["type"] == "message_end":
                break
    assert (kinds[0], set(kinds[1:-1]), frame["full_content"]) == ("message_start", {"delta"}, "You said: Hello")


def test_sockets_that_streamlit_bound_send_at_once():
    with socket.socket() as listening:  # as Streamlit makes it: asyncio does not take it for TCP
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        send_at_once()
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_address_that_a_request_names_is_not_believed_of_this_machine_either(app):
    headers = {"Cookie": f"{SESSION_COOKIE}={app.cookie}", "X-Forwarded-For": "6.6.6.6"}
    assert httpx2.get(f"{app.url}/v1/models/running", headers=headers).status_code == 200
    with app.database() as conn:
        keys = set(conn.exec_driver_sql("SELECT key FROM request_limits").scalars())
    assert any("127.0.0.1" in key for key in keys)
    assert not any("6.6.6.6" in key for key in keys)


@pytest.mark.parametrize("path", ["/_stcore/stream", "/ws/chat/{chat}/"])
def test_what_was_sent_20_kb_ago_is_still_known_to_compression(app, path):
    headers = {"Cookie": f"{SESSION_COOKIE}={app.cookie}", "Origin": app.url}
    made = httpx2.post(f"{app.url}/v1/chat/sessions", json={"model_name": "echo"}, headers=headers)
    url = app.url.replace("http", "ws", 1) + path.format(chat=made.json()["id"])
    with connect(url, additional_headers={"Cookie": headers["Cookie"]}, origin=app.url, open_timeout=10) as connection:
        answered = connection.response.headers["Sec-WebSocket-Extensions"]
    assert answered.startswith("permessage-deflate")
    assert "server_max_window_bits" not in answered  # else it looks back less than the 32 KB there can be
    assert "server_no_context_takeover" not in answered


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1", "http://127.0.0.1:{port}.evil.example", "null", "https://evil.example"]
)
def test_page_from_elsewhere_gets_no_socket_of_streamlit(app, origin):
    place = app.url.removeprefix("http://")
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{place}/_stcore/stream", origin=origin.format(port=app.port), open_timeout=10)
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["error"]["type"] == "not_allowed"


@pytest.mark.parametrize("path", ["/ws", "/ws/chat/7", "/ws/nope/", "/v1/models/running", "/admin"])
def test_socket_at_an_address_that_has_none_is_told_where_there_is_one(app, path):
    with pytest.raises(InvalidStatus) as refused:
        connect(app.url.replace("http", "ws", 1) + path, open_timeout=10)
    response = refused.value.response
    error = json.loads(response.body)["error"]
    assert (response.status_code, error["type"]) == (404, "not_found")
    assert "/ws/chat/{session_id}/" in error["cure"]
    assert response.headers["x-request-id"] == error["request_id"]
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]


def test_own_page_and_programs_get_their_socket_of_streamlit(app):
    place = app.url.removeprefix("http://")
    for origin in (app.url, None):
        with connect(f"ws://{place}/_stcore/stream", origin=origin, open_timeout=10):
            pass
