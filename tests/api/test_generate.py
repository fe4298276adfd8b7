"""`generate`, the events of an answer and stopping it: over HTTP, as scripts use it."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from db.schema import usage
from tests.api.house import held, key, sse_events, until
from tests.upstream import SCRIPTS, Gate, answer, words


@pytest.fixture
def house(own_house):
    yield own_house
    own_house.upstream.default = SCRIPTS["answer"]


def generate(client, session_id, **more):
    headers = more.pop("headers", {})
    return client.post(f"/v1/chat/sessions/{session_id}/generate", json=more, headers=headers)


def events(client, generation_id, **headers):
    with client.stream("GET", f"/v1/chat/generations/{generation_id}/events", headers=headers) as answer_:
        assert answer_.status_code == 200, answer_.read()
        return list(sse_events(answer_.iter_lines()))


def text_of(found):
    return "".join(event.data["content_chunk"] for event in found if event.kind == "delta")


# ---- the whole answer ----


def test_whole_answer_tells_provider_usage_and_timings(house):
    house.upstream.default = answer("Hello", " there", delay_sec=0.03)
    found = house.ana.ask(house.ana.new_session("mock-model"), params={"temperature": 0.2})
    assert (found["content"], found["status"], found["finish_reason"]) == ("Hello there", "complete", "stop")
    assert (found["provider_used"], found["fallback"], found["fallback_reason"]) == ("openai", False, None)
    assert found["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "reasoning_tokens": None,
        "estimated": False,
        "cost_usd": found["usage"]["cost_usd"],
    }
    assert 0 < found["timings"]["ttft_ms"] < found["timings"]["duration_ms"]
    assert house.upstream.chats[-1].body["temperature"] == 0.2


def test_server_that_cannot_stream_is_a_fallback_and_says_so(house):
    house.upstream.default = SCRIPTS["refuse-stream"]
    found = house.ana.ask(house.ana.new_session("mock-model"))
    assert (found["content"], found["fallback"]) == ("Whole answer.", True)
    assert found["fallback_reason"]


@pytest.mark.parametrize(
    ("script", "status", "kind"),
    [
        ("rate-limited", 429, "rate_limited"),
        ("unauthorized", 502, "provider_auth_failed"),
        ("server-error", 502, "provider_bad_answer"),
        ("overflow", 400, "context_overflow"),
    ],
)
def test_failure_of_the_model_has_its_status_and_names_the_provider(house, script, status, kind):
    house.upstream.default = SCRIPTS[script]
    with house.ana.client() as client:
        failed = generate(client, house.ana.new_session("mock-model"), content="Hi")
    error = failed.json()["error"]
    assert (failed.status_code, error["type"], error["provider"]) == (status, kind, "openai")
    assert (failed.headers.get("retry-after") == "7") is (script == "rate-limited")


@pytest.mark.parametrize(
    ("params", "param"), [({"temperature": 7}, "temperature"), ({"nope": 1}, "nope"), ({"top_p": "x"}, "top_p")]
)
def test_bad_parameter_is_named_and_nothing_is_sent(house, params, param):
    session_id = house.ana.new_session()
    with house.ana.client() as client:
        refused = generate(client, session_id, content="Hi", params=params)
        messages = client.get(f"/v1/chat/sessions/{session_id}").json()["messages"]
    assert (refused.status_code, refused.json()["error"]["param"], len(messages)) == (400, param, 1)


@pytest.mark.parametrize("name", ["temperature", "max_tokens", "seed", "presence_penalty"])
def test_number_too_large_for_json_is_named(house, name):
    body = b'{"content": "Hi", "params": {"%s": 1e400}}' % name.encode()
    with house.ana.client(**{"content-type": "application/json"}) as client:
        refused = client.post(f"/v1/chat/sessions/{house.ana.new_session()}/generate", content=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, name)


def test_params_stay_as_they_were_used_last(house):
    session_id = house.ana.new_session("mock-model")
    house.ana.ask(session_id, params={"temperature": 0.15})
    house.ana.ask(session_id)
    assert house.upstream.chats[-1].body["temperature"] == 0.15


def test_message_that_stands_there_is_answered(house):
    session_id = house.ana.new_session()
    with house.ana.client() as client:
        found = generate(client, session_id).json()
        thread = client.get(f"/v1/chat/sessions/{session_id}").json()["messages"]
    assert (found["content"], [message["role"] for message in thread]) == ("You said: Begin.", ["user", "assistant"])


def test_nothing_to_answer_is_said(house):
    session_id = house.ana.new_session()
    house.ana.ask(session_id)
    with house.ana.client() as client:
        refused = generate(client, session_id)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "content")


def test_answer_is_asked_for_again_and_a_prompt_reworded(house):
    session_id = house.ana.new_session()
    first = house.ana.ask(session_id, "Alpha")
    with house.ana.client() as client:
        again = generate(client, session_id, message_id=first["id"]).json()
        other = generate(client, session_id, message_id=first["user_message_id"], content="Beta").json()
        variants = [m["variants"] for m in client.get(f"/v1/chat/sessions/{session_id}").json()["messages"]]
    assert (again["content"], other["content"]) == ("You said: Begin.\n\nAlpha", "You said: Begin.\n\nBeta")
    assert variants == [1, 2, 1]


def test_usage_log_has_the_source(house):
    found = house.ana.ask(house.ana.new_session())
    with house.runtime.store.reading() as conn:
        row = conn.execute(usage.select().where(usage.c.generation_id == found["generation_id"])).mappings().one()
    assert (row["source"], row["user_id"]) == ("rest", house.ana.person.id)


# ---- once and only once ----


@pytest.mark.parametrize("asked", [{"content": "Once"}, {}], ids=["a prompt", "the message that stands last"])
def test_same_key_gives_the_same_answer_and_asks_the_model_once(house, asked):
    session_id, same = house.ana.new_session("mock-model"), key()
    before = len(house.upstream.chats)
    with house.ana.client() as client:
        first, second = (generate(client, session_id, **asked, headers=same).json() for _ in range(2))
    assert (first["id"], first["content"]) == (second["id"], second["content"])
    assert len(house.upstream.chats) == before + 1


@pytest.mark.parametrize("asked", [{"content": "Once"}, {}], ids=["a prompt", "the message that stands last"])
def test_ten_requests_at_once_with_one_key_are_one_turn(house, asked):
    session_id, same = house.ana.new_session("mock-model"), key()
    before = len(house.upstream.chats)
    with house.ana.client() as client, ThreadPoolExecutor(10) as pool:
        sent = [pool.submit(generate, client, session_id, **asked, headers=same) for _ in range(10)]
        found = {(one.result().status_code, one.result().json()["id"]) for one in sent}
    assert (len(found), len(house.upstream.chats)) == (1, before + 1)


def test_key_of_somebody_else_is_another_key(house):
    same = key()
    for guest in (house.ana, house.bob):
        with guest.client() as client:
            assert generate(client, guest.new_session(), content="Hi", headers=same).status_code == 200


@pytest.mark.parametrize("asked", [{"content": "And?"}, {}], ids=["a prompt", "the message that stands last"])
def test_second_prompt_waits_for_the_first_answer(house, asked):
    gate = Gate(threading.Event())
    house.upstream.default = held(gate)
    session_id = house.ana.new_session("mock-model")
    started = house.ana.ask(session_id, wait=False)
    with house.ana.client() as client:
        refused = generate(client, session_id, **asked)
    gate.event.set()
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "generation_running")
    until(lambda: ended(house, started["generation_id"]))


# ---- events ----


def test_events_are_numbered_start_to_end(house):
    house.upstream.default = words(5, delay_sec=0.01)
    started = house.ana.ask(house.ana.new_session("mock-model"), wait=False)
    with house.ana.client() as client:
        found = events(client, started["generation_id"])
    start, end, deltas = found[0], found[-1], found[1:-1]
    assert (start.kind, start.seq, start.data["role"], start.data["id"]) == (
        "message_start",
        0,
        "assistant",
        started["id"],
    )
    assert (end.kind, end.seq, end.data["full_content"], end.data["tokens"]) == ("message_end", 6, text_of(found), 5)
    assert [event.seq for event in deltas] == sorted({event.seq for event in deltas})
    assert all(event.data["seq"] == event.seq for event in found)


def test_stream_of_generate_is_the_same_events(house):
    with house.ana.client() as client:
        path = f"/v1/chat/sessions/{house.ana.new_session()}/generate"
        with client.stream("POST", path, json={"content": "Hi there", "stream": True}) as answer_:
            assert answer_.headers["content-type"].startswith("text/event-stream")
            found = list(sse_events(answer_.iter_lines()))
    assert [found[0].kind, found[-1].data["full_content"], text_of(found)] == [
        "message_start",
        *["You said: Begin.\n\nHi there"] * 2,
    ]


def test_failed_answer_ends_with_an_error_and_its_text(house):
    house.upstream.default = SCRIPTS["cut-mid-stream"]
    started = house.ana.ask(house.ana.new_session("mock-model"), wait=False)
    with house.ana.client() as client:
        found = events(client, started["generation_id"])
    error, end = found[-2:]
    assert (error.kind, error.data["error"]["type"], error.seq + 1) == ("error", "stream_cut", end.seq)
    assert (end.data["full_content"], end.data["status"]) == ("Hello there", "failed")


def test_seen_end_is_told_not_to_connect_again(house):
    done = house.ana.ask(house.ana.new_session())
    with house.ana.client() as client:
        last = events(client, done["generation_id"])[-1].seq
        path = f"/v1/chat/generations/{done['generation_id']}/events"
        assert client.get(path, headers={"Last-Event-ID": str(last)}).status_code == 204
        assert [event.seq for event in events(client, done["generation_id"], **{"Last-Event-ID": str(last - 1)})] == [
            last
        ]


def test_answer_whose_lengths_were_not_kept_is_told_whole_to_a_reader_that_resumes(house):
    done = house.ana.ask(house.ana.new_session())
    unkept = "UPDATE generations SET delta_chars = NULL WHERE id = %(id)s"  # as calls of old have it
    with house.runtime.store.transaction() as conn:
        conn.exec_driver_sql(unkept, {"id": done["generation_id"]})
    with house.other_process() as url, house.ana.client() as client:
        client.base_url = url
        found = events(client, done["generation_id"], **{"Last-Event-ID": "1"})
    assert text_of(found) == found[-1].data["full_content"] != ""


def test_other_process_tells_the_same_events(house):
    house.upstream.default = words(40, delay_sec=0.02)
    started = house.ana.ask(house.ana.new_session("mock-model"), wait=False)
    with house.other_process() as url, house.ana.client() as client:
        client.base_url = url
        found = events(client, started["generation_id"])
        rest = events(client, started["generation_id"], **{"Last-Event-ID": "20"})
    assert text_of(found) == found[-1].data["full_content"] == "".join(f"w{n} " for n in range(40))
    assert text_of(rest) == "".join(f"w{n} " for n in range(20, 40))


@pytest.mark.parametrize("seen", [{"params": {"after_seq": 0}}, {"headers": {"Last-Event-ID": "0"}}])
def test_reader_who_has_seen_only_the_start_is_not_told_of_it_again(house, seen):
    done = house.ana.ask(house.ana.new_session())
    with house.ana.client() as client:
        answered = client.get(f"/v1/chat/generations/{done['generation_id']}/events", **seen)
    kinds = [event.kind for event in sse_events(iter(answered.text.split("\n")))]
    assert (kinds[0], kinds[-1]) == ("delta", "message_end")


def test_streams_cut_at_random_places_resume_to_the_same_text(house):
    """Hundreds of cuts, while answers come and after their end, always by what was seen last."""
    luck, cuts = random.Random(4), 0
    house.upstream.default = words(60, delay_sec=0.01)
    with house.ana.client() as client:
        while cuts < 300:
            started = house.ana.ask(house.ana.new_session("mock-model"), wait=False)
            text, whole = "", None
            seen = {}
            while whole is None:
                path = f"/v1/chat/generations/{started['generation_id']}/events"
                with client.stream("GET", path, headers=seen) as answer_:
                    for number, event in enumerate(sse_events(answer_.iter_lines())):
                        seen = {"Last-Event-ID": str(event.seq)}
                        text += event.data.get("content_chunk", "")
                        whole = event.data.get("full_content")
                        if number >= luck.randint(0, 3):
                            cuts += 1
                            break
            assert text == whole


# ---- stopping and leaving ----


def test_stopped_answer_keeps_its_text(house):
    house.upstream.default = words(500, delay_sec=0.02)
    session_id = house.ana.new_session("mock-model")
    started = house.ana.ask(session_id, wait=False)
    path = f"/v1/chat/generations/{started['generation_id']}"
    with house.ana.client() as client, client.stream("GET", f"{path}/events") as answer_:
        coming = sse_events(answer_.iter_lines())
        seen = [next(coming), next(coming)]
        stopped = client.post(f"{path}/stop")
        seen += coming
    assert (stopped.status_code, seen[-1].data["status"]) == (202, "stopped")
    assert text_of(seen) == seen[-1].data["full_content"]


def test_reader_that_leaves_does_not_end_the_answer(house):
    house.upstream.default = words(30, delay_sec=0.01)
    started = house.ana.ask(house.ana.new_session("mock-model"), wait=False)
    with house.ana.client() as client:
        with client.stream("GET", f"/v1/chat/generations/{started['generation_id']}/events") as answer_:
            next(sse_events(answer_.iter_lines()))
        found = events(client, started["generation_id"])
    assert (found[-1].data["status"], len(found[-1].data["full_content"].split())) == ("complete", 30)


@pytest.mark.parametrize("verb", ["events", "stop"])
def test_answer_of_somebody_else_does_not_exist(house, verb):
    done = house.ana.ask(house.ana.new_session())
    method = "GET" if verb == "events" else "POST"
    with house.bob.client() as client:
        theirs = client.request(method, f"/v1/chat/generations/{done['generation_id']}/{verb}")
        nobodys = client.request(method, f"/v1/chat/generations/{uuid4()}/{verb}")
    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert without_id(theirs) == without_id(nobodys)


def without_id(refused):
    return {name: value for name, value in refused.json()["error"].items() if name != "request_id"}


def ended(house, generation_id):
    with house.runtime.store.reading() as conn:
        row = conn.execute(usage.select().where(usage.c.generation_id == generation_id)).mappings().one()
    return row["status"] != "streaming"
