"""What programs written for OpenAI are answered, what is passed on for them, and what the usage log keeps of it."""

import asyncio
import json
import threading

import openai
import pytest

from tests.api.openai_rig import ASKED, MODEL, TOOL, text_of
from tests.upstream import (
    DONE,
    Body,
    Gate,
    Head,
    answer,
    delta,
    event,
    json_body,
    refuse,
    steps,
    usage_chunk,
    whole,
    words,
)


@pytest.fixture
def house(openai_house):
    return openai_house


# ---- answers ----


def test_whole_answer_has_text_usage_and_reason(house):
    house.upstream.script(answer("Hello", " there", finish="length"))
    found = house.ask()
    choice = found.choices[0]
    assert (choice.message.content, choice.message.role, choice.finish_reason) == ("Hello there", "assistant", "length")
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens) == (3, 2, 5)
    assert (found.object, found.model, found.system_fingerprint) == ("chat.completion", MODEL, "fp_mock")
    assert found.id.startswith("chatcmpl-")


@pytest.mark.parametrize(("extra", "stream"), [({}, True), ({"tools": []}, False), ({"logprobs": True}, False)])
def test_whole_text_is_gathered_from_a_stream_that_can_be_stopped(house, extra, stream):
    house.upstream.script(answer("Hello", " there"))
    assert house.ask(**extra).choices[0].message.content == "Hello there"
    assert house.sent()["stream"] is stream
    assert (house.usage_row()["ttft_ms"] is not None, house.usage_row()["fallback_reason"]) == (True, None)


def test_whole_answer_has_the_reasoning_that_came_in_pieces(house):
    pieces = [delta(reasoning_content="Hm, "), delta(reasoning_content="yes."), delta("Hi"), delta(finish="stop")]
    house.upstream.script(steps(Head(), *(Body(event(piece)) for piece in pieces)))
    message = house.ask().choices[0].message
    assert (message.content, message.reasoning_content) == ("Hi", "Hm, yes.")


def test_streamed_answer_comes_piece_by_piece_without_usage_unless_asked(house):
    house.upstream.script(answer("Hel", "lo", " thére"))
    chunks = house.ask(stream=True)
    assert text_of(chunks) == "Hello thére"
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "Hel", "lo", " thére", None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, None, "stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.usage for chunk in chunks} == {None}
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


def test_usage_comes_in_a_chunk_of_its_own_when_asked_for(house):
    house.upstream.script(answer("Hello", " there"))
    *chunks, last = house.ask(stream=True, stream_options={"include_usage": True})
    assert (last.choices, last.usage.completion_tokens) == ([], 2)
    assert {chunk.usage for chunk in chunks} == {None}


def test_usage_is_passed_on_with_what_only_the_server_knows(house):
    details = {"completion_tokens_details": {"reasoning_tokens": 7}, "prompt_tokens_details": {"cached_tokens": 1}}
    body = whole("Hi") | {"usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12} | details}
    house.upstream.script(lambda request: json_body(200, body))
    usage = house.ask().usage
    assert (usage.completion_tokens_details.reasoning_tokens, usage.prompt_tokens_details.cached_tokens) == (7, 1)


def test_usage_that_nobody_reported_is_counted_and_marked(house):
    house.upstream.script(answer("Hello", usage_in=None))
    last = house.ask(stream=True, stream_options={"include_usage": True})[-1]
    assert last.usage.completion_tokens > 0
    assert last.usage.estimated is True


def test_stream_ends_with_done_in_plain_sight(house):
    house.upstream.script(answer("Hello"))
    headers, lines = house.raw_stream()
    assert headers["content-type"].startswith("text/event-stream")
    assert (lines[-1], headers["cache-control"]) == ("data: [DONE]", "no-store")
    assert all(line.startswith("data: ") for line in lines)


def test_first_piece_does_not_wait_for_the_second(house):
    gate = threading.Event()
    house.upstream.script(steps(Head(), Body(event(delta("Hel"))), Gate(gate), Body(event(delta("lo", finish="stop")))))
    with house.client() as client:
        stream = client.chat.completions.create(**ASKED, stream=True)
        assert text_of([next(stream), next(stream)]) == "Hel"
        gate.set()
        assert text_of(stream) == "lo"


def test_async_client_reads_many_streams_at_once(house):
    house.upstream.script(*(words(30) for _ in range(8)))

    async def one(client):
        stream = await client.chat.completions.create(**ASKED, stream=True)
        return text_of([chunk async for chunk in stream])

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.token, max_retries=0) as client:
            return await asyncio.gather(*(one(client) for _ in range(8)))

    assert asyncio.run(all_of_them()) == ["".join(f"w{number} " for number in range(30))] * 8


def test_echo_answers_both_ways(house):
    assert house.ask("Good day", model="echo").choices[0].message.content == "You said: Good day"
    chunks = house.ask("Good day", model="echo", stream=True, stream_options={"include_usage": True})
    assert (text_of(chunks), chunks[-1].usage.completion_tokens) == ("You said: Good day", 4)


def test_server_that_will_not_stream_is_asked_whole(house):
    chunks = house.ask(model="refuse-stream", stream=True)
    assert (text_of(chunks), chunks[-1].choices[0].finish_reason) == ("Whole answer.", "stop")


# ---- what is passed on ----

CONVERSATION = [
    {"role": "developer", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:,"}}],
    },
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "22 degrees"},
]


def test_messages_and_fields_reach_the_server_as_they_came(house):
    extra = {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        "logprobs": True,
        "top_logprobs": 3,
        "user": "somebody",
    }
    house.upstream.script(answer("ok"))
    house.ask(messages=CONVERSATION, **extra)
    assert house.sent()["messages"] == CONVERSATION
    assert {name: house.sent()[name] for name in extra} == extra


def test_nothing_is_set_that_was_not_asked_for(house):
    house.upstream.script(answer("ok"))
    house.ask()
    assert set(house.sent()) == {"model", "messages", "stream", "stream_options"}


def test_parameters_reach_the_server_and_wider_than_the_sliders(house):
    house.upstream.script(answer("ok"))
    given = {"temperature": 1.7, "max_tokens": 5, "top_p": 0.5, "seed": -3, "stop": ["x"], "presence_penalty": -1.5}
    house.ask(**given)
    assert {name: house.sent()[name] for name in given} == given


def test_newer_name_of_max_tokens_is_taken(house):
    house.upstream.script(answer("ok"))
    house.ask(max_completion_tokens=4000)
    assert house.sent()["max_tokens"] == 4000


CALLS = [
    {
        "tool_calls": [
            {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        ]
    },
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Mün'}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": 'chen \\u00fc"}'}}]},
    {"tool_calls": [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "time", "arguments": "{}"}}]},
]


def tool_call_script(request):
    yield Head()
    for piece in CALLS:
        yield Body(event(delta(**piece)))
    yield Body(event(delta(finish="tool_calls")))
    yield Body(event(usage_chunk(3, 9)))


def test_tool_call_deltas_arrive_unchanged(house):
    house.upstream.script(tool_call_script)
    _, lines = house.raw_stream(tools=[TOOL])
    choices = [json.loads(line[6:])["choices"][0] for line in lines[:-1]]
    assert [choice["delta"] for choice in choices[1:-1]] == CALLS
    assert choices[-1]["finish_reason"] == "tool_calls"


def test_call_of_tools_alone_is_timed_and_counted(house):
    house.upstream.script(tool_call_script)
    house.ask(stream=True, tools=[TOOL])
    row = house.usage_row()
    assert (row["finish_reason"], row["completion_tokens"], row["sent"]["tools"]) == ("tool_calls", 9, "(sent)")
    assert row["ttft_ms"] > 0


def test_tool_round_trip_of_the_official_client(house):
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
    asking = whole("") | {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "tool_calls": [call]},
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ]
    }
    house.upstream.script(lambda request: json_body(200, asking), answer("22 degrees"))
    with house.client() as client:
        first = client.chat.completions.create(**ASKED, tools=[TOOL]).choices[0]
        reply = {"role": "tool", "tool_call_id": first.message.tool_calls[0].id, "content": "22"}
        messages = [*ASKED["messages"], first.message, reply]
        second = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    assert (first.finish_reason, first.message.content) == ("tool_calls", None)
    assert first.message.tool_calls[0].function.arguments == '{"city":"Ulm"}'
    assert house.sent(2)["messages"][1]["tool_calls"] == [call]
    assert second.choices[0].message.content == "22 degrees"


def final_of(house, **more):
    """The answer as the official client's helper puts the stream together."""
    with house.client() as client, client.chat.completions.stream(**ASKED | more) as stream:
        return stream.get_final_completion().choices[0]


def streaming(*deltas, finish="stop"):
    return steps(Head(), *(Body(event(piece)) for piece in (*deltas, delta(finish=finish))), Body(DONE))


STREAMED_CALLS = [delta(role="assistant", content=None, **CALLS[0]), *(delta(**piece) for piece in CALLS[1:])]


def test_streamed_tool_round_trip_of_the_official_client(house):
    house.upstream.script(streaming(*STREAMED_CALLS, finish="tool_calls"), answer("22 degrees"))
    first = final_of(house, tools=[TOOL])
    assert (first.message.role, first.finish_reason) == ("assistant", "tool_calls")
    city, clock = first.message.tool_calls
    assert (json.loads(city.function.arguments), clock.function.name) == ({"city": "München ü"}, "time")
    replies = [{"role": "tool", "tool_call_id": call.id, "content": "22"} for call in (city, clock)]
    second = final_of(house, messages=[*ASKED["messages"], first.message, *replies], tools=[TOOL])
    assert second.message.content == "22 degrees"


def test_whole_answer_has_the_calls_of_tools_nobody_spoke_of_and_the_annotations(house):
    notes = [{"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "title": "x", "url": "x:"}}]
    house.upstream.script(streaming(*STREAMED_CALLS, delta(annotations=notes), finish="tool_calls"))
    choice = house.ask().choices[0]
    assert [call.function.name for call in choice.message.tool_calls] == ["weather", "time"]
    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"city": "München ü"}
    assert (choice.message.content, choice.finish_reason) == (None, "tool_calls")
    assert [note.model_dump() for note in choice.message.annotations] == notes


@pytest.mark.parametrize("ask", [final_of, lambda house: house.ask().choices[0]])
def test_refusal_is_said_once_and_is_no_content(house, ask):
    house.upstream.script(streaming(delta(role="assistant", content=None, refusal="I "), delta(refusal="can't.")))
    message = ask(house).message
    assert (message.content or None, message.refusal) == (None, "I can't.")


@pytest.mark.parametrize("ask", [final_of, lambda house: house.ask().choices[0]])
def test_text_in_parts_is_text(house, ask):
    pieces = [delta(content=[{"type": "text", "text": text}]) for text in ("Hello", " there")]
    house.upstream.script(streaming(*pieces))
    assert ask(house).message.content == "Hello there"


def test_logprobs_and_reasoning_come_through(house):
    probabilities = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}]}
    piece = delta("Hi") | {"choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": probabilities}]}
    house.upstream.script(
        steps(
            Head(), Body(event(delta(reasoning_content="Hm."))), Body(event(piece)), Body(event(delta(finish="stop")))
        )
    )
    chunks = house.ask(stream=True, logprobs=True)
    assert text_of(chunks) == "Hi"
    assert chunks[1].choices[0].delta.reasoning_content == "Hm."
    assert chunks[2].choices[0].logprobs.content[0].logprob == -0.1


# ---- the usage log ----


def test_call_has_its_usage_row_and_no_kept_answer(house):
    house.upstream.script(answer("Hello", " there"))
    found = house.ask(stream=True, temperature=0.3)
    row = house.usage_row()
    assert found[0].id == f"chatcmpl-{row['generation_id'].hex}"
    assert (row["source"], row["status"], row["user_id"], row["model"]) == (
        *("completions", "complete", house.person.id),
        MODEL,
    )
    assert (row["prompt_tokens"], row["completion_tokens"], row["params"]["temperature"]) == (3, 2, 0.3)
    assert row["ttft_ms"] is not None
    assert "messages" not in row["sent"]


def test_failed_call_has_its_usage_row(house):
    house.upstream.script(refuse(500))
    with pytest.raises(openai.InternalServerError):
        house.ask()
    row = house.usage_row()
    assert (row["status"], row["error_class"]) == ("failed", "provider_bad_answer")
