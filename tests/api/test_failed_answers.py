"""Answers that came to no good end: what a program is told of them, and how it asks again."""

import threading

import pytest

from tests.api.house import frames, held, key
from tests.api.test_generate import generate
from tests.api.test_sockets import send
from tests.upstream import SCRIPTS, Gate, answer, refuse


@pytest.fixture
def house(own_house):
    yield own_house
    own_house.upstream.default = SCRIPTS["answer"]


def thread(client, session_id):
    return client.get(f"/v1/chat/sessions/{session_id}").json()["messages"]


def test_failure_names_what_stands_in_the_chat(house):
    house.upstream.default = SCRIPTS["server-error"]
    session_id = house.ana.new_session("mock-model")
    with house.ana.client() as client:
        error = generate(client, session_id, content="Hi").json()["error"]
        last = thread(client, session_id)[-1]
        refused = generate(client, session_id, content="Hi", params={"temperature": 9}).json()["error"]
    assert (error["message_id"], error["generation_id"]) == (last["id"], last["generation_id"])
    assert not {"message_id", "generation_id"} & set(refused)


def test_failure_names_the_parameter_that_the_server_refused(house):
    said = {"message": "temperature is not supported", "param": "temperature", "type": "invalid_request_error"}
    house.upstream.default = refuse(400, said)
    with house.ana.client() as client:
        error = generate(client, house.ana.new_session("mock-model"), content="Hi").json()["error"]
    assert (error["type"], error["param"]) == ("parameter_refused", "temperature")


def test_failure_told_again_names_no_wait(house):
    house.upstream.default = SCRIPTS["rate-limited"]
    session_id, same = house.ana.new_session("mock-model"), key()
    with house.ana.client() as client:
        first, again = (generate(client, session_id, content="Hi", headers=same) for _ in range(2))
    assert (first.headers["retry-after"], first.json()["error"]["retry_after_sec"]) == ("7", 7)
    assert (again.status_code, "retry-after" in again.headers) == (429, False)
    left = {name: value for name, value in first.json()["error"].items() if name != "retry_after_sec"}
    assert again.json()["error"] | {"request_id": left["request_id"]} == left


def test_failed_answer_that_stands_last_is_asked_for_again(house):
    house.upstream.default = SCRIPTS["rate-limited"]
    session_id = house.ana.new_session("mock-model")
    with house.ana.client() as client:
        failed = generate(client, session_id, content="Hi").json()["error"]
        house.upstream.default = answer("Hello")
        found = generate(client, session_id).json()
        messages = thread(client, session_id)
    assert (found["content"], found["id"] != failed["message_id"]) == ("Hello", True)
    assert [(one["content"], one["variants"]) for one in messages] == [("Begin.", 1), ("Hi", 1), ("Hello", 2)]
    assert [one["content"] for one in house.upstream.chats[-1].body["messages"]] == ["Begin.\n\nHi"]


def test_stopped_answer_that_stands_last_is_asked_for_again(house):
    gate = Gate(threading.Event())
    house.upstream.default = held(gate)
    session_id = house.ana.new_session("mock-model")
    with house.ana.socket(session_id) as socket, house.ana.client() as client:
        send(socket, content="Hi")
        frames(socket, upto="delta")
        send(socket, type="stop")
        assert frames(socket)[-1]["status"] == "stopped"
        house.upstream.default = answer("Hello there")
        assert generate(client, session_id).json()["content"] == "Hello there"
    gate.event.set()
