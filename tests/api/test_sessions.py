"""`/v1/models/*` and `/v1/chat/sessions`: the shapes and rules that programs rely on."""

import json
import time

import pytest

from tests.api.house import key


@pytest.fixture
def house(own_house):
    return own_house


def error(answer):
    return answer.status_code, answer.json()["error"]["type"], answer.json()["error"]["param"]


# ---- models ----


def test_running_models_are_listed_the_default_first(house):
    with house.ana.client() as client:
        found = client.get("/v1/models/running").json()
    assert (found["data"][0]["served_model_name"], found["data"][0]["is_default"]) == ("mock-model", True)
    assert {"echo", "demo-small"} <= {model["served_model_name"] for model in found["data"]}


def test_constraints_have_exactly_the_promised_fields_nulls_among_them(house):
    with house.ana.client() as client:
        found = client.get("/v1/models/echo/constraints").json()
    assert found == {
        "served_model_name": "echo",
        "engine_type": "echo",
        "task": "generate",
        "context_size": None,
        "max_model_len": None,
        "max_tokens_default": 512,
        "request_defaults": None,
        "supports_streaming": True,
        "supports_system_prompt": True,
    }


def test_model_name_with_slashes_is_one_name(house):
    with house.ana.client() as client:
        answer = client.get("/v1/models/org/family/model-7b/constraints")
    assert error(answer) == (404, "not_found", None)
    assert "org/family/model-7b" in answer.json()["error"]["message"]


# ---- sessions ----


def test_new_session_is_the_one_empty_session(house):
    guest = house.add_guest("carl")
    with guest.client() as client:
        first, second = (client.post("/v1/chat/sessions", json={"model_name": "echo"}) for _ in range(2))
    assert (first.status_code, first.json()["model_name"], first.json()["id"]) == (201, "echo", second.json()["id"])


def test_new_session_without_a_body_has_the_default_model_and_params(house):
    with house.add_guest("cleo").client() as client:
        made = client.post("/v1/chat/sessions").json()
    assert (made["model_name"], made["params"]["temperature"], made["locked_at"]) == ("mock-model", 0.7, None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"model_name": "nope"}, (404, "not_found", None)),
        ({"model": "echo"}, (422, "bad_request", "model")),
        ({"title": ""}, (422, "bad_request", "title")),
        ({"title": "\u0000"}, (400, "bad_input", "title")),
        ([], (422, "bad_request", None)),
    ],
)
def test_bad_new_session_names_what_is_wrong(house, body, expected):
    with house.bob.client() as client:
        assert error(client.post("/v1/chat/sessions", json=body)) == expected


def test_sessions_are_paged_without_gap_or_repeat(house):
    guest = house.add_guest("dora")
    made = [guest.new_session() for _ in range(5)]
    with guest.client() as client:
        found, cursor = [], None
        while cursor is not None or not found:
            page = client.get("/v1/chat/sessions", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
            found += [line["id"] for line in page["data"]]
            cursor = page["next_cursor"]
    assert found == made[::-1]


def test_listed_session_counts_its_messages(house):
    guest = house.add_guest("emil")
    guest.ask(guest.new_session())
    with guest.client() as client:
        line = client.get("/v1/chat/sessions").json()["data"][0]
    assert (line["message_count"], line["title"], line["streaming"]) == (3, "Begin.", False)


def test_sessions_are_found_by_a_word_of_a_message(house):
    guest = house.add_guest("fay")
    session_id = guest.new_session()
    guest.ask(session_id, "zebra crossing")
    guest.new_session()
    with guest.client() as client:
        found = client.get("/v1/chat/sessions", params={"search": "zebr"}).json()["data"]
    assert [line["id"] for line in found] == [session_id]


@pytest.mark.parametrize("cursor", ["x", "####", "MjAyNA==", "MjAyNC0wMS0wMSBub25l", "ÿ"])
def test_made_up_cursor_is_refused(house, cursor):
    with house.ana.client() as client:
        assert error(client.get("/v1/chat/sessions", params={"cursor": cursor})) == (400, "bad_input", "cursor")


def test_whole_answer_stands_in_its_session_at_once(house, monkeypatch):
    ends = house.runtime.generations.hub._ends
    write = ends._write
    monkeypatch.setattr(ends, "_write", lambda batch: time.sleep(0.3) or write(batch))
    session_id = house.ana.new_session()
    house.ana.ask(session_id, "Hi")
    with house.ana.client() as client:
        last = client.get(f"/v1/chat/sessions/{session_id}").json()["messages"][-1]
    assert (last["status"], last["content"].endswith("Hi")) == ("complete", True)


def test_thread_is_paged_backwards(house):
    session_id = house.ana.new_session()
    for number in range(3):
        house.ana.ask(session_id, f"prompt {number}")
    with house.ana.client() as client:
        whole = client.get(f"/v1/chat/sessions/{session_id}").json()
        last = client.get(f"/v1/chat/sessions/{session_id}", params={"limit": 3}).json()
        rest = client.get(f"/v1/chat/sessions/{session_id}", params={"before": last["next_before"]}).json()
    assert (whole["next_before"], rest["next_before"]) == (None, None)
    assert rest["messages"] + last["messages"] == whole["messages"]
    assert [message["content"] for message in whole["messages"]][:2] == ["Begin.", "prompt 0"]


# ---- messages ----


def test_message_is_added_and_locks_the_model_and_no_model_is_asked(house):
    with house.add_guest("gus").client() as client:
        session_id = client.post("/v1/chat/sessions", json={"model_name": "echo"}).json()["id"]
        added = client.post(f"/v1/chat/sessions/{session_id}/messages", json={"content": "A first message"})
        session = client.get(f"/v1/chat/sessions/{session_id}").json()
    assert (added.status_code, added.json()["role"], added.json()["generation_id"]) == (201, "user", None)
    assert (session["title"], session["locked_at"] is not None) == ("A first message", True)
    assert [message["role"] for message in session["messages"]] == ["user"]


def test_nobody_but_a_model_writes_answers(house):
    with house.ana.client() as client:
        body = {"role": "assistant", "content": "I am a model."}
        answer = client.post(f"/v1/chat/sessions/{house.ana.new_session()}/messages", json=body)
    assert error(answer) == (422, "bad_request", "role")


def test_system_message_reaches_the_model(house):
    session_id = house.ana.new_session("mock-model")
    with house.ana.client() as client:
        client.post(f"/v1/chat/sessions/{session_id}/messages", json={"role": "system", "content": "Be brief."})
    house.ana.ask(session_id)
    assert {"role": "system", "content": "Be brief."} in house.upstream.chats[-1].body["messages"]


def test_same_idempotency_key_adds_one_message(house):
    session_id, same = house.ana.new_session(), key()
    with house.ana.client() as client:
        path = f"/v1/chat/sessions/{session_id}/messages"
        first, second = (client.post(path, json={"content": "Once"}, headers=same) for _ in range(2))
        count = len(client.get(f"/v1/chat/sessions/{session_id}").json()["messages"])
    assert (first.json()["id"], count) == (second.json()["id"], 2)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"content": " "}, (400, "bad_input", "content")),
        ({"content": "a\u0000b"}, (400, "bad_input", "content")),
        ({"content": "a\ud800b"}, (400, "bad_input", "content")),
        ({"content": "x" * 200_001}, (400, "bad_input", "content")),
        ({"content": 7}, (422, "bad_request", "content")),
        ({}, (422, "bad_request", "content")),
    ],
)
def test_message_that_cannot_be_kept_is_named(house, body, expected):
    with house.ana.client() as client:
        assert error(post(client, f"/v1/chat/sessions/{house.ana.new_session()}/messages", body)) == expected


def post(client, path, body):
    """Half of a surrogate pair among it, which the client itself would not encode."""
    return client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})


@pytest.mark.parametrize("bad", ["\u0000", "\ud800"])
@pytest.mark.parametrize("verb", ["messages", "generate"])
def test_program_is_told_which_character_cannot_be_sent_and_of_no_input_it_does_not_have(house, bad, verb):
    with house.ana.client() as client:
        refused = post(client, f"/v1/chat/sessions/{house.ana.new_session()}/{verb}", {"content": f"a{bad}b"})
    told = refused.json()["error"]
    assert (refused.status_code, told["param"], told["cure"]) == (400, "content", "Remove it and send again.")
    assert "at position 2, which can be neither stored nor sent." in told["message"]


# ---- deleting ----


def test_deleted_session_is_gone(house):
    session_id = house.ana.new_session()
    with house.ana.client() as client:
        assert client.delete(f"/v1/chat/sessions/{session_id}").status_code == 204
        assert error(client.get(f"/v1/chat/sessions/{session_id}"))[:2] == (404, "not_found")
        assert client.delete(f"/v1/chat/sessions/{session_id}").status_code == 404


def test_deleting_all_tells_how_many_and_leaves_others_alone(house):
    guest, kept = house.add_guest("hal"), house.bob.new_session()
    for _ in range(3):
        guest.new_session()
    with guest.client() as client, house.bob.client() as other:
        assert client.delete("/v1/chat/sessions").json() == {"deleted_count": 3}
        assert other.get(f"/v1/chat/sessions/{kept}").status_code == 200


@pytest.mark.parametrize("session_id", ["3fa85f64-5717-4562-b3fc-2c963f66afa6", "not-a-uuid"])
def test_unknown_session_is_not_there(house, session_id):
    with house.ana.client() as client:
        assert error(client.get(f"/v1/chat/sessions/{session_id}")) == (404, "not_found", None)
