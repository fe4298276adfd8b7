"""Who stays connected: as long as the credential opens the door, so many at a time, and only those who read."""

import json
import socket
import threading
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import psutil
import pytest

from chatplay.errors import StoreUnavailable
from tests.api.house import frames, open_house, sse_events, until
from tests.api.test_sockets import closed, send
from tests.databases import fresh_database
from tests.upstream import DONE, SCRIPTS, Body, Gate, Hang, Head, Wait, delta, event


@pytest.fixture
def house(own_house):
    yield own_house
    own_house.upstream.default = SCRIPTS["answer"]
    own_house.clock.ahead = timedelta()


@pytest.fixture
def answering(house):
    """An answer that has begun and goes on when the gate opens: its generation id and the gate."""
    gate = Gate(threading.Event())
    rest = (Body(event(delta(" there"))), Body(event(delta(finish="stop"))), Body(DONE))
    house.upstream.default = lambda _request: (Head(), Body(event(delta("Hello"))), gate, *rest)
    session_id = house.ana.new_session("mock-model")
    yield session_id, house.ana.ask(session_id, wait=False)["generation_id"], gate.event
    gate.event.set()


def new_token(house):
    return house.runtime.access_tokens.create(actor=house.ana.person, name="x", scopes=["read", "chat"], days=1)


def stored(house, session_id):
    with house.ana.client() as client:
        return client.get(f"/v1/chat/sessions/{session_id}").json()["messages"][-1]


def lose(house, how, made):
    """Takes away what the connections were opened with."""
    person = house.ana.person
    if how == "revoked":
        house.runtime.access_tokens.revoke(actor=person, token_id=made.record.id)
    elif how == "expired":
        house.clock.ahead = timedelta(days=2)
    else:
        house.runtime.sessions.end_everywhere(user_id=person.id)
        house.ana.cookie = house.runtime.sessions.open(user_id=person.id, address=None, user_agent="Firefox")


@pytest.mark.parametrize("how", ["revoked", "expired", "signed out"])
def test_event_stream_ends_with_the_right_to_it_and_the_answer_goes_on(house, answering, how):
    session_id, generation_id, gate = answering
    made = new_token(house)
    client = house.ana.browser() if how == "signed out" else house.client(authorization=f"Bearer {made.secret}")
    with client, client.stream("GET", f"/v1/chat/generations/{generation_id}/events") as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line == "event: delta")
        lose(house, how, made)
        last = [json.loads(line[6:]) for line in lines if line.startswith("data: ")][-1]
    gate.set()
    house.clock.ahead = timedelta()
    assert (last["type"], last["error"]["type"]) == ("error", "not_signed_in")
    until(lambda: stored(house, session_id)["status"] == "complete")
    assert stored(house, session_id)["content"] == "Hello there"


@pytest.mark.parametrize("how", ["revoked", "expired", "signed out"])
def test_silent_socket_ends_with_the_right_to_it_and_the_answer_goes_on(house, answering, how):
    session_id, _generation_id, gate = answering
    made = new_token(house)
    cookie = {"cookie": f"chatplay_session={house.ana.cookie}", "origin": house.url}
    with house.socket(session_id, cookie if how == "signed out" else {"authorization": f"Bearer {made.secret}"}) as one:
        send(one, type="follow")
        frames(one, upto="delta")
        lose(house, how, made)
        last, code = closed(one)
    gate.set()
    house.clock.ahead = timedelta()
    assert (last["error"]["type"], code) == ("not_signed_in", 4401)
    until(lambda: stored(house, session_id)["status"] == "complete")


def test_deactivated_person_is_sent_away(house):
    guest = house.add_guest("leaving")
    with guest.socket(guest.new_session()) as open_socket:
        send(open_socket, type="follow")
        house.runtime.accounts.set_active(actor=house.ada.person, user_id=guest.person.id, is_active=False)
        assert closed(open_socket)[1] == 4401


@pytest.mark.parametrize("stream", [True, False])
def test_completion_ends_with_the_right_to_it(house, answering, stream):
    made = new_token(house)
    asked = {"model": "mock-model", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    timer = threading.Timer(0.5, lambda: lose(house, "revoked", made))
    timer.start()
    with house.client(authorization=f"Bearer {made.secret}") as client:
        answer = client.post("/v1/chat/completions", json=asked)
    timer.join()
    *_, last = answer.text.strip().splitlines()
    error = json.loads(last.removeprefix("data: "))["error"]
    assert (answer.status_code, error["code"]) == (200 if stream else 401, "invalid_api_key")
    assert "[DONE]" not in answer.text


def test_database_that_is_away_ends_no_stream(house, answering, monkeypatch):
    _session_id, generation_id, gate = answering
    refused = threading.Event()

    def away(*_args, **_more):
        refused.set()
        raise StoreUnavailable("The database cannot be reached right now.")

    with house.ana.client() as client, client.stream("GET", f"/v1/chat/generations/{generation_id}/events") as stream:
        found = sse_events(stream.iter_lines())
        next(found)
        with monkeypatch.context() as patch:
            patch.setattr(type(house.runtime.standing), "list_good", away)
            assert refused.wait(10)
        gate.set()
        assert [one.kind for one in found][-1] == "message_end"


# ---- so many at a time ----


@pytest.fixture(scope="module")
def small(embedded_url):
    with fresh_database(embedded_url) as url, open_house(url, api_connections_per_person=2) as house:
        yield house


def test_third_connection_of_a_person_is_refused_until_one_closes(small):
    gate = Gate(threading.Event())
    small.upstream.default = lambda _request: (Head(), Body(event(delta("Hello"))), gate, Body(DONE))
    session_id = small.ana.new_session("mock-model")
    path = f"/v1/chat/generations/{small.ana.ask(session_id, wait=False)['generation_id']}/events"
    with small.ana.client() as client, small.ana.socket(session_id) as one:
        send(one, type="follow")
        frames(one, upto="delta")
        with client.stream("GET", path) as second:
            lines = second.iter_lines()  # to drop it would close the stream
            next(lines)
            third = client.get(path)
            with small.ana.socket(session_id) as fourth:
                last, code = closed(fourth)
            with small.bob.socket(small.bob.new_session()) as somebody:
                send(somebody, content="Hi")
                assert frames(somebody, upto="message_start")
        until(lambda: room(small, session_id))
    gate.event.set()
    assert (third.status_code, third.headers["retry-after"]) == (429, "5")
    assert (third.json()["error"]["type"], last["error"]["type"], code) == (*["too_many_connections"] * 2, 4429)


def room(house, session_id):
    with house.ana.socket(session_id) as another:
        send(another, type="follow")
        return json.loads(another.recv(timeout=10))["type"] == "message_start"


def test_file_takes_a_seat(small):
    session_id, experiment_id = small.ana.new_session(), small.ana.new_experiment()
    with small.ana.client() as client, small.ana.socket(session_id) as one, small.ana.socket(session_id) as two:
        for each in (one, two):
            send(each, content="")
            each.recv(timeout=10)
        refused = client.get(f"/v1/experiments/{experiment_id}/export")
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "too_many_connections")


def test_prompt_whose_stream_has_no_room_is_not_sent(small):
    small.upstream.default = SCRIPTS["answer"]
    session_id = small.bob.new_session("mock-model")
    before = len(small.upstream.chats)
    with small.bob.client() as client, small.bob.socket(session_id) as one, small.bob.socket(session_id) as two:
        for each in (one, two):
            send(each, content="")
            each.recv(timeout=10)
        refused = client.post(f"/v1/chat/sessions/{session_id}/generate", json={"content": "Hi", "stream": True})
    assert (refused.status_code, len(small.upstream.chats)) == (429, before)


# ---- who takes nothing ----


@pytest.mark.parametrize("way", ["events", "socket"])
def test_connection_of_a_reader_that_takes_nothing_is_gone(embedded_url, way, monkeypatch):
    monkeypatch.setattr(
        "chatplay.generation.running._SPARE_CHARS", 10_000_000
    )  # more than the kernel holds for a reader
    pieces = [piece for _ in range(60) for piece in (Body(event(delta("日" * 40_000))), Wait(0.02))]
    with fresh_database(embedded_url) as url, open_house(url, api_slow_reader_sec=0.3) as house:
        house.upstream.default = lambda _request: (Head(), *pieces, Hang())
        session_id = house.ana.new_session("mock-model")
        generation_id = house.ana.ask(session_id, wait=False, params={"max_tokens": 1024})["generation_id"]
        with lazy_reader(house, session_id, generation_id, way) as lazy:
            until(lambda: not servers_end_of(lazy))
        assert house.runtime.generations.hub.running_count == 1


@contextmanager
def lazy_reader(house, session_id, generation_id, way):
    """A connection that has asked for the answer and then reads nothing."""
    address = urlsplit(house.url)
    upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    own = f"{upgrade}sec-websocket-key: {'A' * 22}==\r\n" if way == "socket" else ""
    path = f"/ws/chat/{session_id}/" if way == "socket" else f"/v1/chat/generations/{generation_id}/events"
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((address.hostname, address.port))
        head = f"GET {path} HTTP/1.1\r\nhost: x\r\n{own}authorization: Bearer {house.ana.token}\r\n\r\n"
        lazy.sendall(head.encode())
        assert lazy.recv(12) == (b"HTTP/1.1 101" if way == "socket" else b"HTTP/1.1 200")
        if way == "socket":
            lazy.sendall(b"\x81\x82\x00\x00\x00\x00{}")  # one masked text frame
        yield lazy


def servers_end_of(lazy):
    own = lazy.getsockname()[1]
    return [one for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port == own]
