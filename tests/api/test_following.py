"""Where readers of answers go on."""

import threading
import time

import pytest

from tests.api.house import frames, sse_events
from tests.api.test_sockets import send
from tests.upstream import SCRIPTS, Body, Gate, Head, delta, event, words


@pytest.fixture
def house(own_house):
    yield own_house
    own_house.upstream.default = SCRIPTS["answer"]


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
