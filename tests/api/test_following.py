"""Where readers of answers go on: places named at any time, beyond an end, and kept through errors about frames."""

import json
import threading
import time

import pytest

from tests.api.house import frames, held, sse_events
from tests.api.test_audience import lose, new_token
from tests.api.test_sockets import closed, send
from tests.upstream import SCRIPTS, Body, Gate, Head, delta, event, words


@pytest.fixture
def house(own_house):
    yield own_house
    own_house.upstream.default = SCRIPTS["answer"]


@pytest.fixture
def gate(house):
    """Holds answers in their middle, after `Hello`."""
    found = Gate(threading.Event())
    house.upstream.default = held(found)
    yield found.event
    found.event.set()


def get(socket):
    return json.loads(socket.recv(timeout=10))


# ---- follow ----


def test_follow_is_obeyed_after_other_frames(house):
    house.upstream.default = words(5, delay_sec=0.01)
    with house.ana.socket(house.ana.new_session("mock-model")) as socket:
        send(socket, content="Hi")
        *_, end = frames(socket)
        send(socket, type="follow", after_seq=2)
        again = frames(socket)
        send(socket, type="follow", message_id=end["id"])
        whole = frames(socket)
    assert (again[0]["seq"] > 2, [one.get("content_chunk") for one in again[:-1]]) == (True, ["w2 w3 w4 "])
    assert (again[-1], whole[0]["type"], whole[-1]) == (end, "message_start", end)


def test_follow_after_a_bad_first_frame_is_obeyed_before_anything_is_sent(house, gate):
    session_id = house.ana.new_session("mock-model")
    house.ana.ask(session_id, wait=False)
    with house.ana.socket(session_id) as socket:
        socket.send("{")
        assert get(socket)["error"]["type"] == "bad_frame"
        send(socket, type="follow", after_seq=1)
        gate.set()
        assert [one["type"] for one in frames(socket)] == ["message_end"]


def test_follow_moves_a_socket_that_waits_for_an_answer(house, gate):
    session_id = house.ana.new_session("mock-model")
    house.ana.ask(session_id, wait=False)
    with house.ana.socket(session_id) as socket:
        send(socket, type="follow", after_seq=1)
        send(socket, type="follow")
        assert [one["seq"] for one in frames(socket, upto="delta")] == [0, 1]
        gate.set()
        assert frames(socket)[-1]["full_content"] == "Hello"


def test_answer_that_was_interrupted_goes_on_where_it_was(house, gate):
    coming, house.upstream.default = house.upstream.default, SCRIPTS["answer"]
    session_id = house.ana.new_session("mock-model")
    first = house.ana.ask(session_id)
    house.upstream.default = coming
    with house.ana.socket(session_id) as socket:
        send(socket, content="And?")
        start, _delta = frames(socket, upto="delta")
        send(socket, type="follow", message_id=first["id"])
        earlier = frames(socket)
        gate.set()
        rest = frames(socket)
    assert {one["id"] for one in earlier} == {first["id"]}
    assert [(one["id"], one["type"], one["seq"]) for one in rest] == [(start["id"], "message_end", 2)]


def test_follow_of_what_is_no_answer_is_refused_and_the_socket_stays(house):
    session_id = house.ana.new_session()
    done = house.ana.ask(session_id)
    with house.ana.socket(session_id) as socket:
        for _ in range(2):
            send(socket, type="follow", message_id=done["user_message_id"])
            assert get(socket)["error"]["type"] == "not_found"
        send(socket, content="Still here")
        assert frames(socket)[-1]["status"] == "complete"


# ---- stop ----


def test_stop_as_the_first_frame_ends_what_is_coming(house, gate, monkeypatch):
    log = type(house.runtime.chat_log)
    look = log.list_new_answers
    monkeypatch.setattr(log, "list_new_answers", lambda *args: time.sleep(0.3) or look(*args))
    session_id = house.ana.new_session("mock-model")
    house.ana.ask(session_id, wait=False)
    with house.ana.socket(session_id) as socket:
        send(socket, type="stop")
        assert frames(socket)[-1]["status"] == "stopped"


@pytest.mark.parametrize(
    ("frame", "param"),
    [
        ({"type": "stop", "content": "x"}, "content"),
        ({"type": "stop", "message_id": 1}, "message_id"),
        ({"type": "follow", "content": "x"}, "content"),
        ({"type": "stop", "params": {"temperature": 0.1}}, "params"),
        ({"content": "Hi", "after_seq": 1}, "after_seq"),
    ],
)
def test_field_that_does_not_belong_to_its_frame_is_refused(house, frame, param):
    with house.ana.socket(house.ana.new_session()) as socket:
        send(socket, **frame)
        error = get(socket)["error"]
    assert (error["type"], error["param"], bool(error["cure"])) == ("bad_frame", param, True)


# ---- the place of an error about a frame ----


def test_error_about_a_frame_leaves_a_client_where_it_was(house, gate):
    session_id = house.ana.new_session("mock-model")
    with house.ana.socket(session_id) as socket:
        socket.send("{")
        before = get(socket)
        send(socket, content="Hi")
        start, first = frames(socket, upto="delta")
        for bad in ("{", json.dumps({"content": "And?"}), json.dumps({"content": "x", "params": {"temperature": 9}})):
            socket.send(bad)
            error = get(socket)
            assert (error["type"], error["seq"], "id" in error) == ("error", first["seq"], False)
    with house.ana.socket(session_id) as socket:
        send(socket, type="follow", after_seq=error["seq"])
        socket.send("{")
        assert get(socket)["seq"] == error["seq"]
        gate.set()
        assert [one["type"] for one in frames(socket)] == ["message_end"]
    assert ("seq" in before, start["seq"]) == (False, 0)


@pytest.mark.parametrize("way", ["socket", "events"])
def test_last_words_leave_a_client_where_it_was(house, gate, way):
    session_id, made = house.ana.new_session("mock-model"), new_token(house)
    headers = {"authorization": f"Bearer {made.secret}"}
    generation_id = house.ana.ask(session_id, wait=False)["generation_id"]
    if way == "socket":
        with house.socket(session_id, headers) as socket:
            send(socket, type="follow")
            frames(socket, upto="delta")
            lose(house, "revoked", made)
            last, _code = closed(socket)
    else:
        path = f"/v1/chat/generations/{generation_id}/events"
        with house.client(**headers) as client, client.stream("GET", path) as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line == "event: delta")
            lose(house, "revoked", made)
            last = [json.loads(line[6:]) for line in lines if line.startswith("data: ")][-1]
    assert (last["error"]["type"], last["seq"]) == ("not_signed_in", 1)


# ---- beyond the end ----


@pytest.mark.parametrize("beyond", [2, 3, 100_000])
def test_reader_from_beyond_the_end_is_told_of_it(house, beyond):
    found = Gate(threading.Event())
    broken = (Head(), Body(event(delta("Hello"))), found)  # the connection ends without a word
    house.upstream.default = lambda _request: broken
    session_id = house.ana.new_session("mock-model")
    generation_id = house.ana.ask(session_id, wait=False)["generation_id"]
    path = f"/v1/chat/generations/{generation_id}/events"
    with house.ana.socket(session_id) as socket, house.ana.client() as client:
        send(socket, type="follow", after_seq=beyond)
        with client.stream("GET", path, params={"after_seq": beyond}) as stream:
            time.sleep(0.3)  # both are there
            found.event.set()
            by_events = [one.kind for one in sse_events(stream.iter_lines())]
        by_socket = [one["type"] for one in frames(socket)]
        assert client.get(path, params={"after_seq": 100_000}).status_code == 204
    assert by_events == by_socket == ["error", "message_end"]


# ---- the same POST again ----


def test_stream_of_generate_goes_on_after_the_event_seen_last(house):
    house.upstream.default = words(5, delay_sec=0.01)
    session_id = house.ana.new_session("mock-model")
    asked = {"content": "Hi", "stream": True}
    with house.ana.client() as client:
        path = f"/v1/chat/sessions/{session_id}/generate"

        def again(**headers):
            return client.post(path, json=asked, headers={"Idempotency-Key": "once", **headers})

        def kinds(answer):
            return [(one.kind, one.seq) for one in sse_events(iter(answer.text.split("\n")))]

        whole = again()
        assert kinds(again(**{"Last-Event-ID": "5"})) == [("message_end", 6)]
        assert again(**{"Last-Event-ID": "6"}).status_code == 204
        assert kinds(again())[-1] == kinds(whole)[-1]
        other = client.post(path, json=asked, headers={"Last-Event-ID": "5"})
    assert kinds(other)[0] == ("message_start", 0)
