"""`/ws/chat/{id}/`: prompts in, the chat's answers out, the same to every socket, resumed where it was cut."""

import json
import random
import threading
from contextlib import suppress
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from chatplay.api import sockets
from chatplay.api.generations import begin_turn
from chatplay.auth.tokens import SESSION_COOKIE
from db.schema import usage
from tests.api.house import frames, held, until
from tests.upstream import SCRIPTS, Gate, words


@pytest.fixture
def house(own_house):
    yield own_house
    own_house.upstream.default = SCRIPTS["answer"]


def send(socket, **frame):
    socket.send(json.dumps(frame))


def closed(socket):
    """The last frame before the close, and its code."""
    last = None
    try:
        while True:
            last = json.loads(socket.recv(timeout=10))
    except ConnectionClosed as error:
        return last, error.rcvd.code


def test_first_frame_carries_the_parameters_and_events_are_as_specified(house):
    house.upstream.default = words(3, delay_sec=0.01)
    with house.ana.socket(house.ana.new_session("mock-model")) as socket:
        send(socket, content="Hi", params={"temperature": 0.2, "max_tokens": 256, "top_p": 0.9})
        start, *deltas, end = frames(socket)
    sent = house.upstream.chats[-1].body
    assert (sent["temperature"], sent["max_tokens"], sent["top_p"]) == (0.2, 256, 0.9)
    assert {"type", "id", "role", "created_at", "seq"} <= set(start)
    assert (start["type"], start["role"], start["seq"]) == ("message_start", "assistant", 0)
    assert all(set(one) == {"type", "id", "content_chunk", "seq"} and one["id"] == start["id"] for one in deltas)
    assert (end["full_content"], end["tokens"], end["id"]) == ("w0 w1 w2 ", 3, start["id"])
    assert "".join(one["content_chunk"] for one in deltas) == end["full_content"]
    assert [one["seq"] for one in (*deltas, end)] == sorted({one["seq"] for one in (*deltas, end)})


def test_full_content_is_what_is_stored_and_the_source_is_the_socket(house):
    session_id = house.ana.new_session()
    with house.ana.socket(session_id) as socket:
        send(socket, content="Hi")
        start, *_, end = frames(socket)
    with house.ana.client() as client:
        stored = client.get(f"/v1/chat/sessions/{session_id}").json()["messages"][-1]
    with house.runtime.store.reading() as conn:
        row = conn.execute(usage.select().where(usage.c.generation_id == start["generation_id"])).mappings().one()
    assert (stored["id"], stored["content"], row["source"]) == (end["id"], end["full_content"], "websocket")


def test_several_sockets_on_one_chat_see_the_same_stream(house):
    house.upstream.default = words(20, delay_sec=0.01)
    session_id = house.ana.new_session("mock-model")
    with house.ana.socket(session_id) as one, house.ana.socket(session_id) as two:
        send(two, type="follow")
        send(one, content="Hi")
        assert text_of(frames(one)) == text_of(frames(two)) == "".join(f"w{n} " for n in range(20))


def test_socket_sees_answers_asked_for_elsewhere(house):
    session_id = house.ana.new_session()
    with house.ana.socket(session_id) as socket, house.other_process() as url:
        send(socket, type="follow")
        house.ana.ask(session_id, "By REST")
        assert frames(socket)[-1]["full_content"].endswith("By REST")
        with house.ana.client() as client:
            client.base_url = url
            client.post(f"/v1/chat/sessions/{session_id}/generate", json={"content": "Elsewhere"}).raise_for_status()
        assert frames(socket)[-1]["full_content"] == "You said: Elsewhere"


def test_later_frames_keep_the_parameters_of_the_first(house):
    with house.ana.socket(house.ana.new_session("mock-model")) as socket:
        for frame in ({"content": "One", "params": {"temperature": 0.35}}, {"content": "Two"}):
            send(socket, **frame)
            frames(socket)
    assert [chat.body["temperature"] for chat in house.upstream.chats[-2:]] == [0.35, 0.35]


def test_first_frame_may_carry_the_parameters_alone(house):
    with house.ana.socket(house.ana.new_session("mock-model")) as socket:
        send(socket, params={"temperature": 0.45})
        for text in ("One", "Two"):
            send(socket, content=text)
            frames(socket)
    assert [chat.body["temperature"] for chat in house.upstream.chats[-2:]] == [0.45, 0.45]


def test_stop_ends_the_answer_with_its_text(house):
    house.upstream.default = words(500, delay_sec=0.02)
    with house.ana.socket(house.ana.new_session("mock-model")) as socket:
        send(socket, content="Hi")
        begun = frames(socket, upto="delta")
        send(socket, type="stop")
        rest = frames(socket)
    assert (rest[-1]["status"], text_of(begun + rest)) == ("stopped", rest[-1]["full_content"])


def test_failed_answer_says_why_and_ends(house):
    house.upstream.default = SCRIPTS["rate-limited"]
    with house.ana.socket(house.ana.new_session("mock-model")) as socket:
        send(socket, content="Hi")
        _start, error, end = frames(socket)
    assert (error["type"], error["error"]["type"], end["status"]) == ("error", "rate_limited", "failed")


def test_client_whose_socket_fails_gets_the_same_message_once_over_rest(house):
    house.upstream.default = words(30, delay_sec=0.01)
    session_id, key = house.ana.new_session("mock-model"), uuid4().hex
    before = len(house.upstream.chats)
    with house.ana.socket(session_id) as socket:
        send(socket, content="Hi", idempotency_key=key)
        start = frames(socket, upto="delta")[0]
    with house.ana.client() as client:
        path = f"/v1/chat/sessions/{session_id}/generate"
        found = client.post(path, json={"content": "Hi"}, headers={"Idempotency-Key": key}).json()
    assert (found["id"], len(found["content"].split())) == (start["id"], 30)
    assert len(house.upstream.chats) == before + 1


def test_key_sent_again_over_another_socket_gets_the_same_events_after_their_end(house):
    house.upstream.default = words(30, delay_sec=0.01)
    session_id, key = house.ana.new_session("mock-model"), uuid4().hex
    before = len(house.upstream.chats)
    with house.ana.socket(session_id) as socket:
        send(socket, content="Hi", idempotency_key=key)
        start, *_, end = frames(socket)
    with house.ana.socket(session_id) as socket:
        send(socket, content="Hi", idempotency_key=key)
        again = frames(socket)
        assert_next_is_new(socket, start)
    assert (again[0], again[-1], text_of(again)) == (start, end, end["full_content"])
    assert len(house.upstream.chats) == before + 2


def test_key_sent_again_over_another_socket_gets_each_event_once_while_they_come(house):
    gate = Gate(threading.Event())
    house.upstream.default = held(gate)
    session_id, key = house.ana.new_session("mock-model"), uuid4().hex
    with house.ana.socket(session_id) as socket:
        send(socket, content="Hi", idempotency_key=key)
        start = frames(socket, upto="delta")[0]
    with house.ana.socket(session_id) as socket:
        send(socket, content="Hi", idempotency_key=key)
        begun = frames(socket, upto="delta")
        gate.event.set()
        found = begun + frames(socket)
        assert_next_is_new(socket, start)
    assert (found[0], [one["seq"] for one in found]) == (start, [0, 1, 2])


def test_key_sent_again_over_the_same_socket_gets_the_same_events(house):
    with house.ana.socket(house.ana.new_session()) as socket:
        first, again = (send(socket, content="Hi", idempotency_key="one") or frames(socket) for _ in range(2))
        assert_next_is_new(socket, first[0])
    assert (first[0], first[-1], text_of(first)) == (again[0], again[-1], text_of(again))


def test_answer_that_ends_while_its_key_is_looked_up_is_sent_once(house, monkeypatch):
    looked_up, gate = threading.Event(), Gate(threading.Event())
    monkeypatch.setattr(sockets, "begin_turn", lambda *args: looked_up.wait(20) and begin_turn(*args))
    house.upstream.default = held(gate)
    session_id = house.ana.new_session("mock-model")
    body, headers = {"content": "Hi", "wait": False}, {"Idempotency-Key": "two"}
    with house.ana.client() as client:
        client.post(f"/v1/chat/sessions/{session_id}/generate", json=body, headers=headers).raise_for_status()
    with house.ana.socket(session_id) as socket:
        send(socket, content="Hi", idempotency_key="two")
        start = frames(socket, upto="delta")[0]
        gate.event.set()
        frames(socket)
        looked_up.set()
        assert_next_is_new(socket, start)


def test_socket_that_has_seen_only_the_start_is_not_told_of_it_again(house):
    session_id = house.ana.new_session("mock-model")
    house.ana.ask(session_id)
    with house.ana.socket(session_id) as socket:
        send(socket, type="follow", after_seq=0)
        assert frames(socket, upto="delta")[0]["seq"] > 0


def test_sockets_cut_at_random_places_resume_to_the_same_text(house):
    luck, cuts = random.Random(5), 0
    house.upstream.default = words(60, delay_sec=0.01)
    while cuts < 300:
        session_id = house.ana.new_session("mock-model")
        house.ana.ask(session_id, wait=False)
        text, whole, seen = "", None, 0
        while whole is None:
            with house.ana.socket(session_id) as socket, suppress(StopIteration):
                send(socket, type="follow", after_seq=seen)
                for _ in range(luck.randint(1, 6)):
                    event_ = json.loads(socket.recv(timeout=10))
                    seen = event_["seq"]
                    text += event_.get("content_chunk", "")
                    if (whole := event_.get("full_content")) is not None:
                        break
                cuts += 1
        assert text == whole


# ---- who may ----


def test_nobody_is_sent_away_with_4401(house):
    with house.socket(house.ana.new_session(), {}) as socket:
        last, code = closed(socket)
    assert (last["error"]["type"], code) == ("not_signed_in", 4401)


@pytest.mark.parametrize("session_id", ["theirs", "3fa85f64-5717-4562-b3fc-2c963f66afa6", "nonsense"])
def test_chat_of_somebody_else_does_not_exist(house, session_id):
    found = house.bob.new_session() if session_id == "theirs" else session_id
    with house.ana.socket(found) as socket:
        last, code = closed(socket)
    assert (last["error"]["type"], last["error"]["message"], code) == ("not_found", "There is no such chat.", 4404)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None, "http://127.0.0.1"])
def test_cookie_from_another_sites_page_is_refused(house, origin):
    headers = {"cookie": f"{SESSION_COOKIE}={house.ana.cookie}"} | ({"origin": origin} if origin else {})
    with house.socket(house.ana.new_session(), headers) as socket:
        last, code = closed(socket)
    assert (last["error"]["type"], code) == ("not_allowed", 4403)


def test_cookie_from_our_own_page_is_let_in(house):
    headers = {"cookie": f"{SESSION_COOKIE}={house.ana.cookie}", "origin": house.url}
    with house.socket(house.ana.new_session(), headers) as socket:
        send(socket, content="Hi")
        assert frames(socket)[-1]["status"] == "complete"


def test_token_that_may_only_read_sends_no_prompt(house):
    made = house.runtime.access_tokens.create(actor=house.ana.person, name="reader", scopes=["read"], days=1)
    with house.socket(house.ana.new_session(), {"authorization": f"Bearer {made.secret}"}) as socket:
        send(socket, content="Hi")
        assert json.loads(socket.recv(timeout=10))["error"]["type"] == "not_allowed"


def test_token_revoked_while_the_socket_is_open_ends_it_at_the_next_frame(house):
    tokens = house.runtime.access_tokens
    made = tokens.create(actor=house.ana.person, name="soon gone", scopes=["read", "chat"], days=1)
    with house.socket(house.ana.new_session(), {"authorization": f"Bearer {made.secret}"}) as socket:
        send(socket, content="Hi")
        frames(socket)
        tokens.revoke(actor=house.ana.person, token_id=made.record.id)
        send(socket, content="Still me")
        assert closed(socket)[1] == 4401


# ---- frames that cannot be used ----


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nope",
        "[]",
        "null",
        '"text"',
        '{"content": 7}',
        '{"content": ""}',
        '{"role": "assistant", "content": "I am a model"}',
        '{"type": "nope"}',
        '{"after_seq": -1}',
        '{"params": []}',
        "[" * 5000,
        '{"a":' * 5000,
        b"\x00\x01",
        json.dumps({"content": "x", "params": {"temperature": 99}}),
        json.dumps({"content": "a\u0000b"}),
        json.dumps({"content": "\ud800"}),
    ],
)
def test_bad_frame_is_told_and_the_socket_stays_open(house, frame):
    with house.ana.socket(house.ana.new_session()) as socket:
        send(socket, type="follow")
        socket.send(frame)
        assert json.loads(socket.recv(timeout=10))["type"] == "error"
        send(socket, content="Still here")
        assert frames(socket)[-1]["status"] == "complete"


def test_random_frames_never_break_the_server(house):
    luck = random.Random(6)
    with house.ana.socket(house.ana.new_session()) as socket:
        for _ in range(200):
            alphabet = '{}[]":,\\ \x00aé😀0123e.-'
            socket.send("".join(luck.choices(alphabet, k=luck.randint(0, 80))))
            assert json.loads(socket.recv(timeout=10))["error"]["type"] == "bad_frame"


def test_prompt_while_an_answer_is_coming_is_refused_and_the_answer_goes_on(house):
    gate = Gate(threading.Event())
    house.upstream.default = held(gate)
    with house.ana.socket(house.ana.new_session("mock-model")) as socket:
        send(socket, content="Hi")
        frames(socket, upto="delta")
        send(socket, content="And?")
        refused = json.loads(socket.recv(timeout=10))
        gate.event.set()
        end = frames(socket)[-1]
    assert (refused["error"]["type"], end["full_content"]) == ("generation_running", "Hello")


def test_closed_sockets_leave_nothing_behind(house):
    threads = threading.active_count()
    for _ in range(20):
        with house.ana.socket(house.ana.new_session()) as socket:
            send(socket, content="Hi")
            frames(socket)
    until(lambda: threading.active_count() <= threads + 4)


def text_of(found):
    return "".join(one.get("content_chunk", "") for one in found)


def assert_next_is_new(socket, start):
    """Nothing more of the answer that began with `start` comes before that of another prompt."""
    send(socket, content="Next")
    following = frames(socket)
    assert following[0]["type"] == "message_start"
    assert start["id"] not in {one["id"] for one in following}
